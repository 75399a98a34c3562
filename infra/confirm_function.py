"""CONFIRM: polls the runs that the messages of the confirm queue name, until they have stopped."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from gluebrake.stages import STAGES
from infra.queue_function import Foundation, FunctionSpec, QueueFunction
from infra.statements import allow_glue, allow_send


class ConfirmFunction(QueueFunction):
    """The function CONFIRM. Its role can read the runs of the configured jobs, and stop none."""

    def __init__(self, scope: Construct, construct_id: str, *, foundation: Foundation) -> None:
        stage = STAGES["confirm"]
        spec = FunctionSpec(
            stage=stage,
            statements=[
                allow_glue("ReadJobRuns", stage, cdk.Stack.of(scope), foundation.config.jobs),
                allow_send("SendToConfirmQueue", foundation.queues.confirm_queue),
            ],
        )
        super().__init__(scope, construct_id, spec=spec, foundation=foundation)
