"""Tests that the proxy forwards calls unchanged where no fault applies."""

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
    """Run an AWS behind the proxy."""
    with FakeAws(clock=lambda: datetime.now(UTC)) as aws:
        aws.glue.add_run("etl", "jr_1")
        aws.glue.add_run("etl", "jr_2")
        yield aws


@pytest.fixture
def proxy(aws: FakeAws) -> Iterator[Proxy]:
    """Run a proxy in front of the AWS."""
    with Proxy(aws.endpoint) as proxy:
        yield proxy


@pytest.fixture
def glue(aws: FakeAws, proxy: Proxy) -> GlueClient:
    """Make a client that uses the proxy."""
    return boto3.client("glue", **{**aws.client_options, "endpoint_url": proxy.endpoint})


def test_answer_is_forwarded(aws: FakeAws, proxy: Proxy, glue: GlueClient) -> None:
    """The client gets the answer of AWS, and the proxy records the same call."""
    answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
    assert answer["SuccessfulSubmissions"] == [{"JobName": "etl", "JobRunId": "jr_1"}]
    calls = [{"JobName": "etl", "JobRunIds": ["jr_1"]}]
    assert aws.requests("BatchStopJobRun") == proxy.requests("BatchStopJobRun") == calls


def test_error_is_forwarded(glue: GlueClient) -> None:
    """The client gets the error code of AWS."""
    with pytest.raises(ClientError) as error:
        glue.get_job_run(JobName="etl", RunId="jr_3")
    assert error.value.response["Error"]["Code"] == "EntityNotFoundException"


def test_calls_of_sqs_and_eventbridge_are_forwarded(aws: FakeAws, proxy: Proxy) -> None:
    """Messages and events reach their services, and errors of SQS keep the code that botocore reports."""
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


def test_fault_refuses_a_call(aws: FakeAws, proxy: Proxy, glue: GlueClient) -> None:
    """A call that a fault refuses does not reach AWS, and the next call does."""
    proxy.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
    with pytest.raises(ClientError, match="Rate exceeded"):
        glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
    assert aws.calls == []
    glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
    assert len(aws.calls) == 1


def test_part_of_a_call_is_forwarded(aws: FakeAws, proxy: Proxy, glue: GlueClient) -> None:
    """With a partial failure the proxy forwards the other runs of the call."""
    proxy.faults.add(RunErrors(["jr_1"], "SomethingNewException"))
    answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1", "jr_2"])
    assert [run["JobRunId"] for run in answer["SuccessfulSubmissions"]] == ["jr_2"]
    assert aws.requests("BatchStopJobRun") == [{"JobName": "etl", "JobRunIds": ["jr_2"]}]
