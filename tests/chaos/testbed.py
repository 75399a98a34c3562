"""The test bed of the deployed stack: an emulator, and a fault-injecting proxy between it and the functions."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from local import jobs
from local.aws import ACCOUNT, REGION, Aws
from local.deployment import deploy, log_group, synthesise
from local.emulator import Emulator, running
from tests.chaos.proxy import Proxy
from tests.support.fakes.exchange import Json
from tests.support.invariants import DeadLetter, Evidence

FUNCTIONS: Final = ("StopFunctionName", "ConfirmFunctionName")
WORK_QUEUES: Final = ("StopQueueUrl", "ConfirmQueueUrl")
TIMEOUT_SECONDS: Final = 600.0

CONFIG: Final[Mapping[str, Any]] = {
    "maxAttempts": 4,
    "retrySeconds": [1, 1],
    "confirmSeconds": [1, 1],
    "confirmDeadlineSeconds": 15,
    "maxConcurrency": 4,
}
"""The shortest delays that the configuration allows, so that retries take seconds."""


@dataclass(frozen=True, slots=True)
class TestBed:
    """A deployment whose functions reach AWS only through the proxy."""

    __test__: ClassVar[bool] = False  # pytest would collect the class by its name

    emulator: Emulator
    proxy: Proxy
    outputs: Mapping[str, str]
    sent: list[str] = field(default_factory=list)
    """The bodies of all messages that were sent."""
    taken_dead_letters: list[DeadLetter] = field(default_factory=list)
    """The dead letters that were deleted from their queue."""

    @property
    def aws(self) -> Aws:
        """Clients that reach the emulator without faults."""
        return self.emulator.aws

    def start(self, job_name: str, count: int, tags: Mapping[str, str] = jobs.NO_ARGUMENTS) -> list[str]:
        """Create a job and start runs of it."""
        jobs.create(self.aws, [job_name])
        self.aws.glue.tag_resource(
            ResourceArn=f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{job_name}", TagsToAdd=tags
        )
        return jobs.start(self.aws, job_name, count)

    def send(self, bodies: Sequence[str]) -> None:
        """Put messages on the stop queue, in order."""
        self.sent.extend(bodies)
        for start in range(0, len(bodies), 10):
            entries: list[Any] = [
                {"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])
            ]
            self.aws.sqs.send_message_batch(QueueUrl=self.outputs["StopQueueUrl"], Entries=entries)

    def set_timeouts(self, seconds: int) -> None:
        """Set the functions' timeout and the work queues' visibility timeout."""
        for function in FUNCTIONS:
            self.aws.lambda_.update_function_configuration(FunctionName=self.outputs[function], Timeout=seconds)
        for queue in WORK_QUEUES:
            attributes: Any = {"VisibilityTimeout": str(seconds)}
            self.aws.sqs.set_queue_attributes(QueueUrl=self.outputs[queue], Attributes=attributes)

    def undelivered(self) -> int:
        """Count the messages on the work queues. The stop queue is first: CONFIRM never sends to it."""
        return sum(self._messages_on(self.outputs[queue]) for queue in WORK_QUEUES)

    def wait_until_empty(self, timeout_seconds: float = TIMEOUT_SECONDS) -> int:
        """Wait until the work queues are empty. Return how many messages are left after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while (undelivered := self.undelivered()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return undelivered

    def evidence(self, undelivered: int) -> Evidence:
        """Collect all messages that were sent, and all that is known about their results."""
        return Evidence(
            bodies=tuple(self.sent),
            lines=[line for line in self.log() if "outcome" in line],
            dead_letters=tuple(self.dead_letters()),
            stop_calls=self.proxy.requests("BatchStopJobRun"),
            max_runs=1000,
            events=[
                json.loads(entry["Detail"])
                for call in self.proxy.requests("PutEvents")
                for entry in call["Entries"]
            ],
            undelivered=undelivered,
        )

    def log(self) -> list[Json]:
        """Return the functions' structured log lines, without metrics."""
        paginator = self.aws.logs.get_paginator("filter_log_events")
        groups = [log_group(self.aws, self.outputs[function]) for function in FUNCTIONS]
        pages = [page for group in groups for page in paginator.paginate(logGroupName=group)]
        messages = [event["message"] for page in pages for event in page["events"]]
        lines = [json.loads(message) for message in messages if message.startswith("{")]
        return [line for line in lines if "_aws" not in line]

    def dead_letters(self) -> list[DeadLetter]:
        """Delete the dead letters from their queue. Return all dead letters so far."""
        url = self.outputs["DeadLetterQueueUrl"]
        while self._messages_on(url):
            response = self.aws.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            for message in response.get("Messages", []):
                attributes: Any = message.get("MessageAttributes", {})
                self.taken_dead_letters.append((message["Body"], attributes))
                self.aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return self.taken_dead_letters

    def kill(self, function: str) -> int:
        """Kill the processes of a function, as a crash does. Return their number."""
        marks = (f"-{self.outputs[function]}-", "_worker.py", str(self.emulator.directory))
        process_ids = [pid for pid, command in _processes() if all(mark in command for mark in marks)]
        for process_id in process_ids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        return len(process_ids)

    def states(self, job_name: str) -> dict[str, str]:
        """Return the state of each run of a job."""
        pages = self.aws.glue.get_paginator("get_job_runs").paginate(JobName=job_name)
        return {run["Id"]: run["JobRunState"] for page in pages for run in page["JobRuns"]}

    def _messages_on(self, url: str) -> int:
        names: Any = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        response = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(map(int, response["Attributes"].values()))


@contextlib.contextmanager
def deployed(**config: Any) -> Iterator[TestBed]:
    """Start an emulator, deploy the stack and insert the proxy. Stop all of it with the context."""
    with running(GLUEBRAKE_LOCAL_WINDOW_SECONDS="1") as emulator, Proxy(emulator.aws.endpoint) as proxy:
        file = emulator.directory / "chaos.json"
        file.write_text(json.dumps({**CONFIG, **config}))
        outputs = deploy(emulator.aws, synthesise(emulator, file).wait())
        test_bed = TestBed(emulator, proxy, outputs)
        for function in FUNCTIONS:
            _route_through(proxy, emulator.aws, outputs[function])
        yield test_bed


def _route_through(proxy: Proxy, aws: Aws, function_name: str) -> None:
    variables = aws.lambda_.get_function_configuration(FunctionName=function_name)["Environment"]["Variables"]
    services = ("GLUE", "SQS", "EVENTBRIDGE")
    endpoints = {f"AWS_ENDPOINT_URL_{service}": proxy.endpoint for service in services}
    aws.lambda_.update_function_configuration(
        FunctionName=function_name, Environment={"Variables": {**variables, **endpoints}}
    )


def _processes() -> Iterator[tuple[int, str]]:
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    )
    for line in listing.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command
