"""CONFIRM: polls the runs that the messages of the confirm queue name, until they have stopped."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from gluebrake.stages import STAGES
from infra.queue_function import Foundation, FunctionSpec, QueueFunction
from infra.statements import allow_glue, allow_send


class ConfirmFunction(QueueFunction):
    """The function CONFIRM. Its role can read the runs of the configured jobs, and cannot stop a run."""

    def __init__(self, scope: Construct, construct_id: str, *, foundation: Foundation) -> None:
        stage = STAGES["confirm"]
        spec = FunctionSpec(
            stage=stage,
            environment=confirm_settings(foundation),
            statements=[
                allow_glue("ReadJobRuns", stage, cdk.Stack.of(scope), foundation.config.stoppable_jobs),
                allow_send("SendToConfirmQueue", foundation.queues.confirm_queue),
            ],
        )
        super().__init__(scope, construct_id, spec=spec, foundation=foundation)


def confirm_settings(foundation: Foundation) -> dict[str, Any]:
    """Return the settings of confirmation, for STOP, which sends the first message, and for CONFIRM."""
    return {
        "confirm_queue_url": foundation.queues.confirm_queue.queue_url,
        "confirm_seconds": foundation.config.confirm_seconds,
        "confirm_deadline_seconds": foundation.config.confirm_deadline_seconds,
    }
