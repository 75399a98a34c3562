"""Fills queues, stops runs for a message, and leases the dead-letter queue in the time of the simulated AWS."""

from __future__ import annotations

import json

from gluebrake.model import AwsEnvironment
from gluebrake_cli.lease import Lease
from gluebrake_cli.stack import Deployment
from tests.support.fakes.aws_server import ACCOUNT, REGION
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.sqs import Queue
from tests.support.simulated_aws import SimulatedAws

AWS_ENVIRONMENT = AwsEnvironment(ACCOUNT, REGION)


def leased(deployment: Deployment, simulation: SimulatedAws) -> Lease:
    """Return a lease whose clock is that of the simulated AWS."""
    clock = simulation.clock
    return Lease(deployment.dead_letter_queue, AWS_ENVIRONMENT, clock=lambda: clock().timestamp())


def fill(queue: Queue, count: int, code: str = "StopTimedOut") -> None:
    """Put dead letters with an error code in a queue, one for each run."""
    for number in range(count):
        body = json.dumps({"JobName": "etl", "JobRunIds": [f"jr_{number}"]})
        queue.put(body, attributes={"ERROR_CODE": {"DataType": "String", "StringValue": code}})


class StopsAtOnce:
    """A fault that lets Glue stop the runs of a message before the sender gets the answer."""

    def __init__(self, simulation: SimulatedAws) -> None:
        self._simulation = simulation

    def __call__(self, call: Call, answer: Answer) -> Reply:
        """Answer the call, and let the stop of each named run begin."""
        reply = answer(call)
        for message in self._simulation.stop_queue.take():
            request = json.loads(message.body)
            for run_id in request["JobRunIds"]:
                self._simulation.aws.glue.run(request["JobName"], run_id).become("STOPPING")
        return reply
