"""A function gets its queue's messages in the batches that Lambda would form."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from local.aws import ACCOUNT, REGION
from local.emulator import Emulator, running
from tests.support.eventually import eventually

ROLE = f"arn:aws:iam::{ACCOUNT}:role/function"
HANDLER = """
import json, time

def handler(event, context):
    began = time.time()
    time.sleep(float(event["Records"][0]["body"]))
    print(json.dumps({"records": len(event["Records"]), "began": began, "ended": time.time()}))
"""


@pytest.fixture
def queue(emulator: Emulator, request: pytest.FixtureRequest) -> str:
    """Create a queue and its function, named after the test."""
    return _create(emulator, request.node.name)


def _create(emulator: Emulator, name: str) -> str:
    """Create a queue, and a function that logs what it receives. Each test creates the mapping itself."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", HANDLER)
    emulator.aws.lambda_.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=ROLE,
        Code={"ZipFile": code.getvalue()},
        Timeout=30,
        LoggingConfig={"LogGroup": f"/logs/{name}"},
    )
    return emulator.aws.sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]


def _map(emulator: Emulator, queue: str, **settings: Any) -> None:
    name = queue.rpartition("/")[2]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    emulator.aws.lambda_.create_event_source_mapping(EventSourceArn=arn, FunctionName=name, **settings)


def _send(emulator: Emulator, queue: str, count: int, body: str = "0") -> None:
    for start in range(0, count, 10):
        emulator.aws.sqs.send_message_batch(
            QueueUrl=queue,
            Entries=[{"Id": str(n), "MessageBody": body} for n in range(start, min(start + 10, count))],
        )


def _invocations(emulator: Emulator, queue: str, records: int) -> list[dict[str, float]]:
    """Return what the function logged, once it has received that many records in total."""
    group = f"/logs/{queue.rpartition('/')[2]}"
    if not emulator.aws.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    pages = emulator.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = [event["message"] for page in pages for event in page["events"]]
    invocations = [json.loads(line) for line in lines if line.startswith("{")]
    return invocations if sum(invocation["records"] for invocation in invocations) >= records else []


def test_messages_within_the_window_are_one_batch(emulator: Emulator, queue: str) -> None:
    """A thousand messages within the window are one invocation."""
    _map(emulator, queue, BatchSize=1000, MaximumBatchingWindowInSeconds=300)
    _send(emulator, queue, 1000)
    invocations = eventually(lambda: _invocations(emulator, queue, 1000))
    assert [invocation["records"] for invocation in invocations] == [1000]


def test_batch_is_delivered_when_its_window_has_passed(emulator: Emulator, queue: str) -> None:
    """An incomplete batch is delivered when its window has passed."""
    _map(emulator, queue, BatchSize=10_000, MaximumBatchingWindowInSeconds=1)
    _send(emulator, queue, 7)
    invocations = eventually(lambda: _invocations(emulator, queue, 7))
    assert [invocation["records"] for invocation in invocations] == [7]


def test_window_can_be_shortened_for_tests() -> None:
    """With `GLUEBRAKE_LOCAL_WINDOW_SECONDS` no batch waits longer, whatever the mapping says."""
    with running(GLUEBRAKE_LOCAL_WINDOW_SECONDS="0.5") as emulator:
        queue = _create(emulator, "shortened")
        _map(emulator, queue, BatchSize=10_000, MaximumBatchingWindowInSeconds=300)
        _send(emulator, queue, 1)
        eventually(lambda: _invocations(emulator, queue, 1))


def test_batch_has_at_most_six_megabytes(emulator: Emulator, queue: str) -> None:
    """The payload of a batch does not exceed Lambda's 6 MB."""
    _send(emulator, queue, 70, body="0".ljust(100_000))
    _map(emulator, queue, BatchSize=10_000, MaximumBatchingWindowInSeconds=1)
    invocations = eventually(lambda: _invocations(emulator, queue, 70))
    assert sorted(invocation["records"] for invocation in invocations) == [8, 62]


def test_batch_without_a_window_has_at_most_ten_messages(emulator: Emulator, queue: str) -> None:
    """A mapping without a batching window gets batches of at most ten messages."""
    _send(emulator, queue, 25)
    _map(emulator, queue, BatchSize=10)
    invocations = eventually(lambda: _invocations(emulator, queue, 25))
    assert max(invocation["records"] for invocation in invocations) == 10


def test_concurrent_invocations_are_limited(emulator: Emulator, queue: str) -> None:
    """Exactly MaximumConcurrency invocations run at the same time."""
    _send(emulator, queue, 8, body="0.4")
    _map(emulator, queue, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    invocations = eventually(lambda: _invocations(emulator, queue, 8))
    overlaps = [sum(a["began"] <= b["began"] < a["ended"] for a in invocations) for b in invocations]
    assert max(overlaps) == 2
