"""The proxy hands calls on as they are, unless a fault says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_glue import GlueClient
from mypy_boto3_sqs import SQSClient

from tests.chaos.proxy import Proxy
from tests.support.fakes.aws_server import BUS, FakeAws
from tests.support.fakes.faults import RunErrors, Throttle


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """Run an AWS to hand calls on to."""
    with FakeAws(clock=lambda: datetime.now(UTC)) as aws:
        aws.glue.add_run("etl", "jr_1")
        aws.glue.add_run("etl", "jr_2")
        yield aws


@pytest.fixture
def proxy(aws: FakeAws) -> Iterator[Proxy]:
    """Run a proxy in front of it."""
    with Proxy(aws.endpoint) as proxy:
        yield proxy


@pytest.fixture
def glue(aws: FakeAws, proxy: Proxy) -> GlueClient:
    """Make a client that goes through the proxy."""
    return boto3.client("glue", **{**aws.client_options, "endpoint_url": proxy.endpoint})


def test_answer_comes_through(aws: FakeAws, proxy: Proxy, glue: GlueClient) -> None:
    """What AWS answers is what the client hears, and both have seen the call."""
    answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
    assert answer["SuccessfulSubmissions"] == [{"JobName": "etl", "JobRunId": "jr_1"}]
    asked = [{"JobName": "etl", "JobRunIds": ["jr_1"]}]
    assert aws.requests("BatchStopJobRun") == proxy.requests("BatchStopJobRun") == asked


def test_error_comes_through(glue: GlueClient) -> None:
    """An error keeps its code."""
    with pytest.raises(ClientError) as error:
        glue.get_job_run(JobName="etl", RunId="jr_3")
    assert error.value.response["Error"]["Code"] == "EntityNotFoundException"


def test_sqs_and_events_go_through_too(aws: FakeAws, proxy: Proxy) -> None:
    """Sends and events reach their services, and SQS's errors keep the code that clients know."""
    options = {**aws.client_options, "endpoint_url": proxy.endpoint}
    sqs: SQSClient = boto3.client("sqs", **options)
    queue = aws.sqs.add_queue("stop")
    sqs.send_message_batch(QueueUrl=queue.url, Entries=[{"Id": "0", "MessageBody": "hello"}])
    assert [message.body for message in queue] == ["hello"]
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message_batch(QueueUrl="https://nowhere", Entries=[{"Id": "0", "MessageBody": "hello"}])
    entry: Any = {"EventBusName": BUS, "Source": "tests", "DetailType": "Test", "Detail": "{}"}
    boto3.client("events", **options).put_events(Entries=[entry])
    assert aws.events.details == [{}]


def test_fault_decides(aws: FakeAws, proxy: Proxy, glue: GlueClient) -> None:
    """A call that a fault refuses reaches nobody; the next one does."""
    proxy.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
    with pytest.raises(ClientError, match="Rate exceeded"):
        glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
    assert aws.calls == []
    glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
    assert len(aws.calls) == 1


def test_part_of_a_call_is_handed_on(aws: FakeAws, proxy: Proxy, glue: GlueClient) -> None:
    """A partial failure hands on what does not fail."""
    proxy.faults.add(RunErrors(["jr_1"], "SomethingNewException"))
    answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1", "jr_2"])
    assert [run["JobRunId"] for run in answer["SuccessfulSubmissions"]] == ["jr_2"]
    assert aws.requests("BatchStopJobRun") == [{"JobName": "etl", "JobRunIds": ["jr_2"]}]
