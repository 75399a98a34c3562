"""A function gets its queue's messages in the batches that AWS would make."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from local.aws import ACCOUNT, REGION
from local.emulator import Emulator
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
    """Create a queue and a function that tells what it got; the mapping is the test's own."""
    name = request.node.name
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


def _map(emulator: Emulator, queue: str, **choices: Any) -> None:
    name = queue.rpartition("/")[2]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    emulator.aws.lambda_.create_event_source_mapping(EventSourceArn=arn, FunctionName=name, **choices)


def _send(emulator: Emulator, queue: str, count: int, body: str = "0") -> None:
    for start in range(0, count, 10):
        emulator.aws.sqs.send_message_batch(
            QueueUrl=queue,
            Entries=[{"Id": str(n), "MessageBody": body} for n in range(start, min(start + 10, count))],
        )


def _invocations(emulator: Emulator, queue: str, records: int) -> list[dict[str, float]]:
    """Return what the function told, once it got as many records in all."""
    group = f"/logs/{queue.rpartition('/')[2]}"
    if not emulator.aws.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    pages = emulator.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = [event["message"] for page in pages for event in page["events"]]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return told if sum(invocation["records"] for invocation in told) >= records else []


def test_a_window_gathers_one_batch(emulator: Emulator, queue: str) -> None:
    """A thousand messages within the window are one invocation."""
    _map(emulator, queue, BatchSize=1000, MaximumBatchingWindowInSeconds=300)
    _send(emulator, queue, 1000)
    told = eventually(lambda: _invocations(emulator, queue, 1000))
    assert [invocation["records"] for invocation in told] == [1000]


def test_a_window_ends(emulator: Emulator, queue: str) -> None:
    """A batch that is not full is delivered when its window has passed."""
    _map(emulator, queue, BatchSize=10_000, MaximumBatchingWindowInSeconds=1)
    _send(emulator, queue, 7)
    told = eventually(lambda: _invocations(emulator, queue, 7))
    assert [invocation["records"] for invocation in told] == [7]


def test_six_megabytes_end_a_batch(emulator: Emulator, queue: str) -> None:
    """A batch ends before its payload exceeds Lambda's 6 MB."""
    _send(emulator, queue, 70, body="0".ljust(100_000))
    _map(emulator, queue, BatchSize=10_000, MaximumBatchingWindowInSeconds=1)
    told = eventually(lambda: _invocations(emulator, queue, 70))
    assert sorted(invocation["records"] for invocation in told) == [8, 62]


def test_without_a_window_a_batch_ends_at_ten(emulator: Emulator, queue: str) -> None:
    """A mapping that does not wait gets batches of ten at most."""
    _send(emulator, queue, 25)
    _map(emulator, queue, BatchSize=10)
    told = eventually(lambda: _invocations(emulator, queue, 25))
    assert max(invocation["records"] for invocation in told) == 10


def test_invocations_at_once_are_bounded(emulator: Emulator, queue: str) -> None:
    """No more invocations run at once than MaximumConcurrency says, and no fewer."""
    _send(emulator, queue, 8, body="0.4")
    _map(emulator, queue, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    told = eventually(lambda: _invocations(emulator, queue, 8))
    overlaps = [sum(a["began"] <= b["began"] < a["ended"] for a in told) for b in told]
    assert max(overlaps) == 2
