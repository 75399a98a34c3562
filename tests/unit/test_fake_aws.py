"""The fake AWS answers real boto3 clients as Glue and SQS do."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape
from mypy_boto3_glue import GlueClient
from mypy_boto3_sqs import SQSClient
from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, SendMessageBatchRequestEntryTypeDef

from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import (
    Decide,
    EmptyBody,
    EntriesFailed,
    Fault,
    Latency,
    LostAnswer,
    RateLimit,
    Refused,
    Reset,
    RunErrors,
    Throttle,
    TruncatedBody,
    Unanswered,
    naming,
)
from tests.support.fakes.sqs import Queue

Attributes = dict[str, MessageAttributeValueTypeDef]
Entry = SendMessageBatchRequestEntryTypeDef
MIB = 1_048_576


@pytest.fixture
def clock() -> VirtualClock:
    """Make a clock that only a test advances."""
    return VirtualClock(datetime(2026, 11, 24, 3, tzinfo=UTC))


@pytest.fixture
def aws(clock: VirtualClock) -> Iterator[FakeAws]:
    """Run the fake."""
    with FakeAws(clock=clock) as aws:
        yield aws


@pytest.fixture
def glue(aws: FakeAws) -> GlueClient:
    """Connect a client to the fake's Glue."""
    return boto3.client("glue", **aws.client_options)


@pytest.fixture
def sqs(aws: FakeAws) -> SQSClient:
    """Connect a client to the fake's SQS."""
    return boto3.client("sqs", **aws.client_options)


@pytest.fixture
def queue(aws: FakeAws) -> Queue:
    """Create an empty queue."""
    return aws.sqs.add_queue("stop")


def _code(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def _submitted(answer: Any) -> list[str]:
    return [item["JobRunId"] for item in answer["SuccessfulSubmissions"]]


def _errors(answer: Any) -> dict[str, str]:
    return {item["JobRunId"]: item["ErrorDetail"]["ErrorCode"] for item in answer["Errors"]}


class TestStopping:
    """The operation BatchStopJobRun."""

    @pytest.mark.parametrize("state", ["STARTING", "RUNNING", "WAITING"])
    def test_active_run_is_submitted_and_then_stopping(
        self, aws: FakeAws, glue: GlueClient, state: str
    ) -> None:
        """A run in an active state is submitted, and its state is STOPPING after that."""
        run = aws.glue.add_run("etl", "jr_1", state=state)
        answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
        assert answer["SuccessfulSubmissions"] == [{"JobName": "etl", "JobRunId": "jr_1"}]
        assert answer["Errors"] == []
        assert run.state == "STOPPING"

    @pytest.mark.parametrize(
        "state", ["STOPPING", "STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"]
    )
    def test_run_in_another_state_is_refused(self, aws: FakeAws, glue: GlueClient, state: str) -> None:
        """A run in any other state is refused singly, in an answer of 200."""
        aws.glue.add_run("etl", "jr_1", state=state)
        answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
        assert _errors(answer) == {"jr_1": "JobRunCannotBeStoppedException"}
        assert _submitted(answer) == []

    def test_unknown_run_is_refused_alone(self, aws: FakeAws, glue: GlueClient) -> None:
        """An unknown run, or one of another job, has an error, and the other runs are stopped."""
        aws.glue.add_run("etl", "jr_1")
        aws.glue.add_run("other", "jr_2")
        answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_2", "jr_1"])
        assert _submitted(answer) == ["jr_1"]
        assert _errors(answer) == {"jr_2": "EntityNotFoundException"}

    def test_unknown_job_refuses_the_call(self, glue: GlueClient) -> None:
        """A job that does not exist refuses the whole call."""
        with pytest.raises(ClientError) as error:
            glue.batch_stop_job_run(JobName="none", JobRunIds=["jr_1"])
        assert _code(error) == ("EntityNotFoundException", 400)

    def test_25_ids_are_accepted_and_26_are_not(self, aws: FakeAws, glue: GlueClient) -> None:
        """The service checks the limit of 25 ids, which botocore does not."""
        run_ids = [f"jr_{number}" for number in range(26)]
        for run_id in run_ids:
            aws.glue.add_run("etl", run_id)
        with pytest.raises(glue.exceptions.InvalidInputException):
            glue.batch_stop_job_run(JobName="etl", JobRunIds=run_ids)
        assert {run.state for run in aws.glue} == {"RUNNING"}
        assert _submitted(glue.batch_stop_job_run(JobName="etl", JobRunIds=run_ids[:25])) == run_ids[:25]

    @pytest.mark.parametrize("text", ["x" * 256, "a\nb", "a\n", "\x7f\x00", "\ud800", "\ufffe"])
    def test_text_outside_glues_pattern_is_invalid(self, aws: FakeAws, glue: GlueClient, text: str) -> None:
        """A name or an id that is not one line of 1 to 255 characters refuses the whole call."""
        aws.glue.add_run("etl", "jr_1")
        with pytest.raises(glue.exceptions.InvalidInputException):
            glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1", text])
        with pytest.raises(glue.exceptions.InvalidInputException):
            glue.batch_stop_job_run(JobName=text, JobRunIds=["jr_1"])
        assert aws.glue.run("etl", "jr_1").state == "RUNNING"

    def test_text_at_the_edges_of_the_pattern_is_valid(self, aws: FakeAws, glue: GlueClient) -> None:
        """Names may have tabs, spaces, letters of any language and characters of the supplementary planes."""
        name = "\t é語\ufffd\U0001f6d1" + "x" * 248
        aws.glue.add_run(name, name)
        assert _submitted(glue.batch_stop_job_run(JobName=name, JobRunIds=[name])) == [name]


class TestReading:
    """The operations GetJobRun, GetJobRuns and GetTags."""

    def test_stopping_ends_by_the_clock(self, aws: FakeAws, glue: GlueClient, clock: VirtualClock) -> None:
        """A run is STOPPED when its number of seconds has passed, and CompletedOn is that time."""
        started_on = clock() - timedelta(hours=1)
        aws.glue.add_run("etl", "jr_1", started_on=started_on, stopping_seconds=11)
        glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
        clock.advance(10.9)
        run = glue.get_job_run(JobName="etl", RunId="jr_1")["JobRun"]
        assert (run["JobRunState"], "CompletedOn" in run) == ("STOPPING", False)
        clock.advance(60)
        run = glue.get_job_run(JobName="etl", RunId="jr_1")["JobRun"]
        assert (run["JobRunState"], run["StartedOn"]) == ("STOPPED", started_on)
        assert run["CompletedOn"] == started_on + timedelta(seconds=3611)
        assert run["ExecutionTime"] == 3611

    def test_run_may_hang_or_end_in_another_state(
        self, aws: FakeAws, glue: GlueClient, clock: VirtualClock
    ) -> None:
        """Some runs hang in STOPPING, and some succeed before they are stopped."""
        aws.glue.add_run("etl", "hangs", stopping_seconds=None)
        aws.glue.add_run("etl", "faster", stops_as="SUCCEEDED")
        glue.batch_stop_job_run(JobName="etl", JobRunIds=["hangs", "faster"])
        clock.advance(86_400)
        assert {run.run_id: run.state for run in aws.glue} == {"hangs": "STOPPING", "faster": "SUCCEEDED"}

    def test_run_has_the_fields_of_its_cost(self, aws: FakeAws, glue: GlueClient) -> None:
        """The answer has workers, capacity and DPU-seconds, also values that botocore's enums do not have."""
        aws.glue.add_run("etl", "jr_1", WorkerType="R.8X", NumberOfWorkers=2, MaxCapacity=16.0, DPUSeconds=7.5)
        run = glue.get_job_run(JobName="etl", RunId="jr_1")["JobRun"]
        cost = {"WorkerType": "R.8X", "NumberOfWorkers": 2, "MaxCapacity": 16.0, "DPUSeconds": 7.5}
        assert run.items() >= cost.items()

    def test_pages_are_newest_first_and_complete(
        self, aws: FakeAws, glue: GlueClient, clock: VirtualClock
    ) -> None:
        """Pages list the newest runs first, and a run that starts between two pages shifts nothing."""
        for age in (3, 1, 4, 2, 5):
            aws.glue.add_run("etl", f"jr_{age}", started_on=clock() - timedelta(hours=age))
        first = glue.get_job_runs(JobName="etl", MaxResults=2)
        aws.glue.add_run("etl", "jr_0")
        pages = glue.get_paginator("get_job_runs").paginate(
            JobName="etl", PaginationConfig={"PageSize": 2, "StartingToken": first["NextToken"]}
        )
        listed = [run["Id"] for page in (first, *pages) for run in page["JobRuns"]]
        assert listed == ["jr_1", "jr_2", "jr_3", "jr_4", "jr_5"]
        assert "NextToken" not in glue.get_job_runs(JobName="etl", MaxResults=6)

    @pytest.mark.parametrize("wrong", [{"MaxResults": 201}, {"NextToken": "made up"}])
    def test_wrong_page_is_invalid(self, aws: FakeAws, glue: GlueClient, wrong: dict[str, Any]) -> None:
        """A page has at most 200 runs, and a token is one of an earlier answer."""
        aws.glue.add_job("etl")
        with pytest.raises(ClientError) as error:
            glue.get_job_runs(JobName="etl", **wrong)
        assert _code(error) == ("InvalidInputException", 400)

    def test_unknown_job_run_and_arn_are_not_found(self, aws: FakeAws, glue: GlueClient) -> None:
        """The error is the exception of botocore's model."""
        aws.glue.add_job("etl")
        with pytest.raises(glue.exceptions.EntityNotFoundException):
            glue.get_job_runs(JobName="none")
        with pytest.raises(glue.exceptions.EntityNotFoundException):
            glue.get_job_run(JobName="etl", RunId="jr_1")
        with pytest.raises(glue.exceptions.EntityNotFoundException):
            glue.get_tags(ResourceArn="arn:aws:glue:eu-west-1:123456789012:job/none")

    def test_tags_are_read_by_the_jobs_arn(self, aws: FakeAws, glue: GlueClient) -> None:
        """GetTags returns the tags of the job with the ARN."""
        arn = aws.glue.add_job("etl", tags={"gluebrake:protect": "true"})
        assert arn == "arn:aws:glue:eu-west-1:123456789012:job/etl"
        assert glue.get_tags(ResourceArn=arn)["Tags"] == {"gluebrake:protect": "true"}

    def test_jobs_are_listed_by_their_tags(self, aws: FakeAws, glue: GlueClient) -> None:
        """ListJobs pages through the names of the jobs that have all the tags."""
        for name, tags in (("a", {"env": "dev"}), ("b", {}), ("c", {"env": "dev", "team": "x"}), ("d", {})):
            aws.glue.add_job(name, tags=tags)
        first = glue.list_jobs(MaxResults=3)
        assert first["JobNames"] == ["a", "b", "c"]
        last = glue.list_jobs(MaxResults=3, NextToken=first["NextToken"])
        assert (last["JobNames"], "NextToken" in last) == (["d"], False)
        assert glue.list_jobs(Tags={"env": "dev"})["JobNames"] == ["a", "c"]
        assert glue.list_jobs(Tags={"env": "dev", "team": "x"})["JobNames"] == ["c"]
        with pytest.raises(glue.exceptions.InvalidInputException):
            glue.list_jobs(MaxResults=1001)

    def test_definitions_are_read_by_name(self, aws: FakeAws, glue: GlueClient) -> None:
        """BatchGetJobs returns each definition once, and the names that it does not know."""
        aws.glue.add_job("etl", DefaultArguments={"--a": "1"})
        aws.glue.add_job("stream", command="gluestreaming")
        answer = glue.batch_get_jobs(JobNames=["stream", "etl", "gone", "etl"])
        assert answer["Jobs"] == [
            {"Name": "stream", "Command": {"Name": "gluestreaming"}},
            {"Name": "etl", "Command": {"Name": "glueetl"}, "DefaultArguments": {"--a": "1"}},
        ]
        assert answer["JobsNotFound"] == ["gone"]


class TestQueues:
    """The operations of SQS."""

    def test_sent_message_is_delivered_as_a_lambda_record(
        self, sqs: SQSClient, queue: Queue, clock: VirtualClock
    ) -> None:
        """The record has the message's body, and its attributes in Lambda's form."""
        attributes: Attributes = {
            "GluebrakeAttempt": {"DataType": "Number", "StringValue": "2"},
            "Raw": {"DataType": "Binary", "BinaryValue": b"\0"},
        }
        entry: Entry = {"Id": "0", "MessageBody": "{}", "DelaySeconds": 30, "MessageAttributes": attributes}
        answer = sqs.send_message_batch(QueueUrl=queue.url, Entries=[entry])
        (record,) = queue.records(receive_count=3)
        assert answer["Successful"][0]["MessageId"] == record["messageId"]
        assert answer["Successful"][0]["MD5OfMessageBody"] == record["md5OfBody"]
        assert record["body"] == "{}"
        assert record["attributes"]["ApproximateReceiveCount"] == "3"
        assert record["attributes"]["SentTimestamp"] == str(int(clock().timestamp() * 1000))
        assert (record["eventSource"], record["eventSourceARN"]) == ("aws:sqs", queue.arn)
        assert record["awsRegion"] == "eu-west-1"
        empty: dict[str, list[str]] = {"stringListValues": [], "binaryListValues": []}
        assert record["messageAttributes"] == {
            "GluebrakeAttempt": {"dataType": "Number", "stringValue": "2", **empty},
            "Raw": {"dataType": "Binary", "binaryValue": "AA==", **empty},
        }

    def test_delayed_message_is_taken_when_it_is_due(
        self, sqs: SQSClient, queue: Queue, clock: VirtualClock
    ) -> None:
        """A message is delivered once, when its delay has passed."""
        late: Entry = {"Id": "late", "MessageBody": "late", "DelaySeconds": 900}
        sqs.send_message_batch(QueueUrl=queue.url, Entries=[late, {"Id": "now", "MessageBody": "now"}])
        assert [message.body for message in queue.take()] == ["now"]
        clock.advance(900)
        assert [message.delay_seconds for message in queue] == [900]
        assert [message.body for message in queue.take()] == ["late"]
        assert len(queue) == 0

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"MessageBody": "\0"}, "InvalidMessageContents"),
            ({"MessageBody": "a\x0bb"}, "InvalidMessageContents"),
            ({"MessageBody": "\ud800"}, "InvalidMessageContents"),
            ({"MessageBody": "\ufffe"}, "InvalidMessageContents"),
            ({"MessageBody": "\uffff"}, "InvalidMessageContents"),
            ({"MessageBody": ""}, "MissingParameter"),
            ({"DelaySeconds": 901}, "InvalidParameterValue"),
            ({"DelaySeconds": -1}, "InvalidParameterValue"),
            ({"MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}}}, "InvalidParameterValue"),
            (
                {"MessageAttributes": {"a": {"DataType": "String", "StringValue": "\x07"}}},
                "InvalidParameterValue",
            ),
            ({"MessageAttributes": {"a": {"DataType": "Text", "StringValue": "b"}}}, "InvalidParameterValue"),
            (
                {"MessageAttributes": {"a b": {"DataType": "String", "StringValue": "c"}}},
                "InvalidParameterValue",
            ),
            (
                {"MessageAttributes": {"AWS.a": {"DataType": "String", "StringValue": "b"}}},
                "InvalidParameterValue",
            ),
            (
                {"MessageAttributes": {f"a{n}": {"DataType": "Number", "StringValue": "1"} for n in range(11)}},
                "InvalidParameterValue",
            ),
        ],
    )
    def test_wrong_entry_fails_alone(self, sqs: SQSClient, queue: Queue, wrong: Any, code: str) -> None:
        """An entry that SQS refuses is in Failed, and the others are sent."""
        entries: list[Entry] = [{"Id": "good", "MessageBody": "\t\n\r é語\U0001f6d1"}]
        bad: Any = {"Id": "bad", "MessageBody": "x", **wrong}
        entries.append(bad)
        answer = sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)
        assert [item["Id"] for item in answer["Successful"]] == ["good"]
        assert [(item["Id"], item["Code"], item["SenderFault"]) for item in answer["Failed"]] == [
            ("bad", code, True)
        ]
        assert len(queue) == 1

    @pytest.mark.parametrize(
        ("entries", "code"),
        [
            ([], "EmptyBatchRequest"),
            ([{"Id": str(n), "MessageBody": "x"} for n in range(11)], "TooManyEntriesInBatchRequest"),
            ([{"Id": "0", "MessageBody": "x"}] * 2, "BatchEntryIdsNotDistinct"),
            ([{"Id": "a b", "MessageBody": "x"}], "InvalidBatchEntryId"),
            ([{"Id": "0", "MessageBody": "x" * (MIB + 1)}], "BatchRequestTooLong"),
            ([{"Id": str(n), "MessageBody": "é" * (MIB // 4 + 1)} for n in range(2)], "BatchRequestTooLong"),
        ],
    )
    def test_wrong_batch_refuses_the_call(
        self, sqs: SQSClient, queue: Queue, entries: list[Entry], code: str
    ) -> None:
        """A batch over SQS's limits is refused, and none of its messages is sent."""
        with pytest.raises(ClientError) as error:
            sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)
        assert _code(error) == (f"AWS.SimpleQueueService.{code}", 400)
        assert len(queue) == 0

    def test_one_mebibyte_counts_attributes_and_bytes(self, sqs: SQSClient, queue: Queue) -> None:
        """A batch of exactly 1 MiB is accepted. The names, types and values of attributes count."""
        attributes: Attributes = {"abc": {"DataType": "String", "StringValue": "é"}}
        body = "x" * (MIB - len("abc") - len("String") - 2)
        entry: Entry = {"Id": "0", "MessageBody": body, "MessageAttributes": attributes}
        sqs.send_message_batch(QueueUrl=queue.url, Entries=[entry])
        with pytest.raises(sqs.exceptions.BatchRequestTooLong):
            sqs.send_message_batch(QueueUrl=queue.url, Entries=[{**entry, "MessageBody": f"{body}x"}])

    def test_received_message_is_invisible_until_its_timeout(
        self, sqs: SQSClient, queue: Queue, clock: VirtualClock
    ) -> None:
        """A message is visible again after its visibility timeout, or when the timeout is set to 0."""
        queue.put("x")
        receive = partial(sqs.receive_message, QueueUrl=queue.url, VisibilityTimeout=30)
        (first,) = receive()["Messages"]
        assert "Messages" not in receive()
        clock.advance(30)
        (second,) = receive()["Messages"]
        assert second["MessageId"] == first["MessageId"]
        shown: Any = [{"Id": "0", "ReceiptHandle": second["ReceiptHandle"], "VisibilityTimeout": 0}]
        sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=shown)
        assert receive()["Messages"]

    def test_only_the_last_receipt_handle_deletes(
        self, sqs: SQSClient, queue: Queue, clock: VirtualClock
    ) -> None:
        """A receiver whose visibility timeout has passed cannot delete a message that was received again."""
        queue.put("x")
        receive = partial(sqs.receive_message, QueueUrl=queue.url, VisibilityTimeout=30)
        (first,) = receive()["Messages"]
        clock.advance(30)
        (second,) = receive()["Messages"]
        for received, left in ((first, 1), (second, 0)):
            entry: Any = {"Id": "0", "ReceiptHandle": received["ReceiptHandle"]}
            sqs.delete_message_batch(QueueUrl=queue.url, Entries=[entry])
            assert len(queue) == left

    def test_messages_are_counted(self, sqs: SQSClient, queue: Queue) -> None:
        """Visible and invisible messages are counted separately."""
        for body in "abc":
            queue.put(body)
        sqs.receive_message(QueueUrl=queue.url, VisibilityTimeout=30, MaxNumberOfMessages=2)
        counted = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
        assert counted["ApproximateNumberOfMessages"] == "1"
        assert counted["ApproximateNumberOfMessagesNotVisible"] == "2"

    def test_unknown_queue_refuses_the_call(self, sqs: SQSClient, queue: Queue) -> None:
        """The error is the exception of botocore's model, with the code of the query protocol."""
        with pytest.raises(sqs.exceptions.QueueDoesNotExist) as error:
            sqs.send_message_batch(QueueUrl=f"{queue.url}x", Entries=[{"Id": "0", "MessageBody": "x"}])
        assert error.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


class TestFaults:
    """The faults that a test can add."""

    def test_fault_ends_after_its_number_of_calls(self, aws: FakeAws, glue: GlueClient) -> None:
        """A fault applies to a number of calls. The calls that it refused are recorded too."""
        aws.glue.add_run("etl", "jr_1")
        aws.faults.add(Throttle(), operation="BatchStopJobRun", times=2)
        for _ in range(2):
            with pytest.raises(ClientError, match="Rate exceeded") as error:
                glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
            assert _code(error) == ("ThrottlingException", 400)
            glue.get_job_run(JobName="etl", RunId="jr_1")
        assert _submitted(glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])) == ["jr_1"]
        assert aws.requests("BatchStopJobRun") == [{"JobName": "etl", "JobRunIds": ["jr_1"]}] * 3
        assert [operation for operation, _ in aws.calls] == ["BatchStopJobRun", "GetJobRun"] * 2 + [
            "BatchStopJobRun"
        ]

    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("InternalServiceException", 500),
            ("ServiceUnavailable", 503),
            ("OperationTimeoutException", 400),
            ("AccessDeniedException", 400),
        ],
    )
    def test_call_is_refused_with_any_code_and_status(
        self, aws: FakeAws, glue: GlueClient, code: str, status: int
    ) -> None:
        """The answer has the code and the status, and the call is not performed."""
        run = aws.glue.add_run("etl", "jr_1")
        aws.faults.add(Refused(code, status=status))
        with pytest.raises(ClientError) as error:
            glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
        assert _code(error) == (code, status)
        assert run.state == "RUNNING"

    def test_condition_selects_the_calls(self, aws: FakeAws, glue: GlueClient) -> None:
        """A fault with a condition applies only to the calls that name a run."""
        for run_id in ("jr_1", "jr_2", "bad"):
            aws.glue.add_run("etl", run_id)
        aws.faults.add(Refused("InvalidInputException"), when=naming("bad"))
        with pytest.raises(glue.exceptions.InvalidInputException):
            glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1", "bad"])
        assert _submitted(glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1", "jr_2"])) == [
            "jr_1",
            "jr_2",
        ]

    def test_function_chooses_a_fault_for_each_call(self, aws: FakeAws, glue: GlueClient) -> None:
        """A function gets each call and returns a fault, or none."""
        aws.glue.add_job("etl")
        script = iter((None, Throttle(), None))
        aws.faults.add(Decide(lambda _: next(script)))
        glue.get_job_runs(JobName="etl")
        with pytest.raises(ClientError):
            glue.get_job_runs(JobName="etl")
        glue.get_job_runs(JobName="etl")

    def test_any_function_can_be_a_fault(self, aws: FakeAws, glue: GlueClient) -> None:
        """A function can read the state before and after a call is performed."""
        run = aws.glue.add_run("etl", "jr_1")
        states = []

        def watch(call: Call, answer: Answer) -> Reply:
            states.append(run.state)
            reply = answer(call)
            states.append(run.state)
            return reply

        aws.faults.add(watch)
        glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
        assert states == ["RUNNING", "STOPPING"]

    def test_first_fault_decides_whether_the_next_is_reached(self, aws: FakeAws, glue: GlueClient) -> None:
        """Faults apply in the order in which they were added. A fault that is not reached is not used up."""
        aws.glue.add_job("etl")
        aws.faults.add(Throttle(), times=1)
        aws.faults.add(Refused("InternalServiceException", status=500), times=1)
        with pytest.raises(ClientError, match="ThrottlingException"):
            glue.get_job_runs(JobName="etl")
        with pytest.raises(glue.exceptions.InternalServiceException):
            glue.get_job_runs(JobName="etl")
        glue.get_job_runs(JobName="etl")
        aws.faults.add(Throttle())
        aws.faults.clear()
        glue.get_job_runs(JobName="etl")

    @pytest.mark.parametrize(
        ("fault", "error", "state"),
        [
            (LostAnswer(), ConnectionClosedError, "STOPPING"),
            (Reset(), HTTPClientError, "RUNNING"),
            (TruncatedBody(whole_length=True), HTTPClientError, "STOPPING"),
        ],
    )
    def test_broken_connection_does_not_show_whether_the_call_was_performed(
        self, aws: FakeAws, glue: GlueClient, fault: Fault, error: type[Exception], state: str
    ) -> None:
        """An answer is lost after the call is performed, and a reset precedes it. The next call succeeds."""
        run = aws.glue.add_run("etl", "jr_1")
        aws.faults.add(fault, times=1)
        with pytest.raises(error):
            glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
        assert run.state == state
        assert glue.get_job_run(JobName="etl", RunId="jr_1")["JobRun"]["JobRunState"] == state

    @pytest.mark.parametrize("fault", [TruncatedBody(), EmptyBody()])
    def test_truncated_body_is_no_error(self, aws: FakeAws, glue: GlueClient, fault: Fault) -> None:
        """boto3 raises no exception for a truncated body, and the run was stopped."""
        run = aws.glue.add_run("etl", "jr_1")
        aws.faults.add(fault, operation="BatchStopJobRun")
        answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1"])
        assert not {"SuccessfulSubmissions", "Errors"} & set(answer)
        assert run.state == "STOPPING"

    @pytest.mark.parametrize(("stopped", "state"), [(True, "STOPPING"), (False, "RUNNING")])
    def test_answer_may_leave_runs_out(
        self, aws: FakeAws, glue: GlueClient, *, stopped: bool, state: str
    ) -> None:
        """A run can be in neither list, whether it was stopped or not."""
        aws.glue.add_run("etl", "jr_1")
        run = aws.glue.add_run("etl", "jr_2")
        aws.faults.add(Unanswered({"jr_2"}, stopped=stopped))
        answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_1", "jr_2"])
        assert (_submitted(answer), answer["Errors"]) == (["jr_1"], [])
        assert run.state == state

    def test_single_run_has_an_error(self, aws: FakeAws, glue: GlueClient) -> None:
        """A run can fail with any code, alone or while others are stopped."""
        aws.glue.add_run("etl", "jr_1")
        run = aws.glue.add_run("etl", "jr_2")
        aws.faults.add(RunErrors({"jr_2"}, "InternalServiceException"))
        answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_2", "jr_1"])
        assert (_submitted(answer), _errors(answer)) == (["jr_1"], {"jr_2": "InternalServiceException"})
        answer = glue.batch_stop_job_run(JobName="etl", JobRunIds=["jr_2"])
        assert (_submitted(answer), _errors(answer)) == ([], {"jr_2": "InternalServiceException"})
        assert run.state == "RUNNING"

    def test_condition_selects_the_failed_entries(self, aws: FakeAws, sqs: SQSClient, queue: Queue) -> None:
        """The entries that match are in Failed and are not stored."""
        aws.faults.add(EntriesFailed(lambda entry: "jr_1" in entry["MessageBody"]))
        entries: list[Entry] = [{"Id": "0", "MessageBody": "jr_1"}, {"Id": "1", "MessageBody": "jr_2"}]
        answer = sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)
        assert answer["Failed"] == [{"Id": "0", "Code": "InternalError", "Message": "", "SenderFault": False}]
        assert [message.body for message in queue] == ["jr_2"]

    def test_rate_limit_is_a_token_bucket(self, aws: FakeAws, glue: GlueClient) -> None:
        """After a burst, as many calls a second succeed as the rate allows."""
        aws.glue.add_job("etl")
        seconds = 0.0
        aws.faults.add(RateLimit(per_second=2, burst=3, clock=lambda: seconds))

        def succeeded(calls: int) -> int:
            before = len(refused)
            for _ in range(calls):
                try:
                    glue.get_job_runs(JobName="etl")
                except ClientError as error:
                    refused.append(error)
            return calls - (len(refused) - before)

        refused: list[ClientError] = []
        assert succeeded(5) == 3
        seconds = 1.0
        assert succeeded(5) == 2
        seconds = 100.0
        assert succeeded(5) == 3

    def test_slow_calls_run_in_parallel(self, aws: FakeAws, glue: GlueClient) -> None:
        """A latency delays the reply of its own call, while the fake receives others."""
        aws.glue.add_job("etl")
        aws.faults.add(Latency(0.1))

        def calls_received_at_the_reply(_: int) -> int:
            glue.get_job_runs(JobName="etl")
            return len(aws.calls)

        with ThreadPoolExecutor(8) as pool:
            received = list(pool.map(calls_received_at_the_reply, range(16)))
        assert min(received) > 1

    def test_exception_in_a_fault_is_raised_at_the_end(self) -> None:
        """A mistake in a test's fault is not mistaken for a broken connection."""

        def mistaken(_call: Call, _answer: Answer) -> Reply:
            raise ZeroDivisionError

        def break_the_server() -> None:
            with FakeAws() as aws:
                aws.faults.add(mistaken)
                client = boto3.client("glue", **aws.client_options)
                with pytest.raises(ConnectionClosedError):
                    client.get_job_runs(JobName="etl")

        with pytest.raises(ZeroDivisionError):
            break_the_server()


class TestProtocol:
    """The protocol of the answers."""

    def test_every_answer_fits_botocores_model(self, aws: FakeAws, clock: VirtualClock, queue: Queue) -> None:
        """Each member of an answer is in botocore's model of the service, with the model's type."""
        aws.glue.add_run("etl", "jr_1", DPUSeconds=1.5, started_on=clock() - timedelta(seconds=1))
        aws.glue.add_run("etl", "jr_2", state="FAILED")
        arn = aws.glue.add_job("etl", tags={"team": "data"})
        entries = [{"Id": "0", "MessageBody": "x"}, {"Id": "1", "MessageBody": "\0"}]
        for service, operation, request in (
            ("glue", "BatchStopJobRun", {"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]}),
            ("glue", "GetJobRun", {"JobName": "etl", "RunId": "jr_2"}),
            ("glue", "GetJobRuns", {"JobName": "etl", "MaxResults": 1}),
            ("glue", "GetTags", {"ResourceArn": arn}),
            ("sqs", "SendMessageBatch", {"QueueUrl": queue.url, "Entries": entries}),
        ):
            client: Any = boto3.client(service, **aws.client_options)  # type: ignore[call-overload]
            shape = client.meta.service_model.operation_model(operation).output_shape
            answer = _post(aws, client.meta.service_model.metadata["targetPrefix"], operation, request)
            assert answer
            assert _mistakes(shape, answer, operation) == []

    def test_unknown_operation_is_refused(self, glue: GlueClient) -> None:
        """The error names the operation as unknown."""
        with pytest.raises(ClientError, match="UnknownOperationException"):
            glue.get_jobs()

    def test_connection_is_kept(self, aws: FakeAws, glue: GlueClient, caplog: pytest.LogCaptureFixture) -> None:
        """Consecutive calls share a connection."""
        aws.glue.add_job("etl")
        caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
        for _ in range(3):
            glue.get_job_runs(JobName="etl")
        assert sum("Starting new HTTP connection" in message for message in caplog.messages) == 1
        assert len(aws.connections) == 1


def _post(aws: FakeAws, prefix: str, operation: str, request: dict[str, Any]) -> Any:
    connection = HTTPConnection(aws.endpoint.removeprefix("http://"))
    headers = {"X-Amz-Target": f"{prefix}.{operation}"}
    connection.request("POST", "/", json.dumps(request), headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def _mistakes(shape: Shape, value: Any, path: str) -> list[str]:
    """Return the paths of members that the model does not have, that are missing or that have another type."""
    if isinstance(shape, StructureShape):
        wrong = [f"{path}.{name}" for name in set(value) - set(shape.members)]
        wrong += [f"{path}.{name} is missing" for name in shape.required_members if name not in value]
        known = [name for name in value if name in shape.members]
        return wrong + [text for n in known for text in _mistakes(shape.members[n], value[n], f"{path}.{n}")]
    if isinstance(shape, ListShape):
        return [text for item in value for text in _mistakes(shape.member, item, f"{path}[]")]
    if isinstance(shape, MapShape):
        return [text for item in value.values() for text in _mistakes(shape.value, item, f"{path}{{}}")]
    types: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "boolean": bool,
        "double": float,
        "timestamp": (int, float),
    }
    return [] if isinstance(value, types[shape.type_name]) else [f"{path} is {type(value).__name__}"]
