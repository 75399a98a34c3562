"""Where the deployed stack is attacked: the emulator, and between it and the functions a proxy that fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from local import jobs
from local.aws import ACCOUNT, REGION, Aws
from local.deployment import deploy, log_group, synthesise
from local.emulator import Emulator, running
from tests.chaos.proxy import Proxy
from tests.support.fakes.exchange import Json
from tests.support.invariants import Account, Letter

FUNCTIONS: Final = ("StopFunctionName", "ConfirmFunctionName")
WORK_QUEUES: Final = ("StopQueueUrl", "ConfirmQueueUrl")
PATIENCE_SECONDS: Final = 600.0

CONFIG: Final[Mapping[str, Any]] = {
    "maxAttempts": 4,
    "retrySeconds": [1, 1],
    "confirmSeconds": [1, 1],
    "confirmDeadlineSeconds": 15,
    "maxConcurrency": 4,
}
"""As short as the configuration allows: the story is the same as with the defaults, and is over sooner."""


@dataclass(frozen=True, slots=True)
class TestBed:
    """A deployment whose functions reach AWS through the proxy alone."""

    emulator: Emulator
    proxy: Proxy
    outputs: Mapping[str, str]
    sent: list[str] = field(default_factory=list)
    """The bodies of all messages that asked for something."""
    buried: list[Letter] = field(default_factory=list)
    """The dead letters that were taken from their queue."""

    @property
    def aws(self) -> Aws:
        """Clients that reach the emulator without any fault."""
        return self.emulator.aws

    def start(self, job_name: str, count: int, tags: Mapping[str, str] = jobs.NONE) -> list[str]:
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

    def give_functions(self, seconds: int) -> None:
        """Give each invocation so long, and a message that was not acknowledged as long to come back."""
        for function in FUNCTIONS:
            self.aws.lambda_.update_function_configuration(FunctionName=self.outputs[function], Timeout=seconds)
        for queue in WORK_QUEUES:
            attributes: Any = {"VisibilityTimeout": str(seconds)}
            self.aws.sqs.set_queue_attributes(QueueUrl=self.outputs[queue], Attributes=attributes)

    def left(self) -> int:
        """Count what is on the work queues; the stop queue first, since the other never leads back to it."""
        return sum(self._waiting(self.outputs[queue]) for queue in WORK_QUEUES)

    def drained(self, patience: float = PATIENCE_SECONDS) -> int:
        """Wait until nothing is left on the work queues; return how much still is after too long."""
        deadline = time.monotonic() + patience
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def account(self, left: int) -> Account:
        """Gather all that was asked and all that came of it so far, with what is left on the work queues."""
        return Account(
            bodies=tuple(self.sent),
            lines=[line for line in self.log() if "outcome" in line],
            letters=tuple(self.letters()),
            stop_calls=self.proxy.requests("BatchStopJobRun"),
            max_runs=1000,
            events=[
                json.loads(e["Detail"]) for put in self.proxy.requests("PutEvents") for e in put["Entries"]
            ],
            left=left,
        )

    def log(self) -> list[Json]:
        """Return the structured lines that the functions have logged, metrics left out."""
        found = self.aws.logs.get_paginator("filter_log_events")
        groups = [log_group(self.aws, self.outputs[function]) for function in FUNCTIONS]
        pages = [page for group in groups for page in found.paginate(logGroupName=group)]
        messages = [event["message"] for page in pages for event in page["events"]]
        lines = [json.loads(message) for message in messages if message.startswith("{")]
        return [line for line in lines if "_aws" not in line]

    def letters(self) -> list[Letter]:
        """Return the dead letters so far, which are taken from their queue."""
        url = self.outputs["DeadLetterQueueUrl"]
        while self._waiting(url):
            answer = self.aws.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            for letter in answer.get("Messages", []):
                attributes: Any = letter.get("MessageAttributes", {})
                self.buried.append((letter["Body"], attributes))
                self.aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
        return self.buried

    def kill(self, function: str) -> int:
        """Kill the processes that run a function, as a crash would; return how many they were."""
        marks = (f"-{self.outputs[function]}-", "_worker.py", str(self.emulator.directory))
        killed = [pid for pid, command in _processes() if all(mark in command for mark in marks)]
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(killed)

    def states(self, job_name: str) -> dict[str, str]:
        """Return the state of each run of a job."""
        pages = self.aws.glue.get_paginator("get_job_runs").paginate(JobName=job_name)
        return {run["Id"]: run["JobRunState"] for page in pages for run in page["JobRuns"]}

    def _waiting(self, url: str) -> int:
        names: Any = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        answer = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(map(int, answer["Attributes"].values()))


@contextlib.contextmanager
def standing(**config: Any) -> Iterator[TestBed]:
    """Start an emulator, deploy into it, and put the proxy between; end it all with the context."""
    with running() as emulator, Proxy(emulator.aws.endpoint) as proxy:
        file = emulator.directory / "prove.json"
        file.write_text(json.dumps({**CONFIG, **config}))
        outputs = deploy(emulator.aws, synthesise(emulator, file).wait())
        stand = TestBed(emulator, proxy, outputs)
        for function in FUNCTIONS:
            _lead_through(proxy, emulator.aws, outputs[function])
        yield stand


def _lead_through(proxy: Proxy, aws: Aws, function_name: str) -> None:
    known = aws.lambda_.get_function_configuration(FunctionName=function_name)["Environment"]["Variables"]
    services = ("GLUE", "SQS", "EVENTBRIDGE")
    endpoints = {f"AWS_ENDPOINT_URL_{service}": proxy.endpoint for service in services}
    aws.lambda_.update_function_configuration(
        FunctionName=function_name, Environment={"Variables": {**known, **endpoints}}
    )


def _processes() -> Iterator[tuple[int, str]]:
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command
