"""An invocation runs its stage, isolates poison pills, and answers SQS or the caller."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake import runtime
from gluebrake.aws.call_budget import CallBudget
from gluebrake.contract import StopRequest
from gluebrake.dispatch import StageResult
from gluebrake.handlers.stop import StopDependencies
from gluebrake.model import Message, RunResult
from gluebrake.outcomes import Outcome
from gluebrake.parsing import stop_request
from gluebrake.runtime import DispatchError, isolate_poison_pills
from tests.support.builders import NOON, body, message, message_result, record, result
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.faults import EntriesFailed
from tests.unit.conftest import Metrics

CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_500)
NO_RESULTS: Final = StageResult(NOON)

Requests = Sequence[tuple[Message, StopRequest]]
Work = runtime.Work[StopRequest, StopDependencies]


def _no_results(*_: Any) -> StageResult:
    return NO_RESULTS


def _fail_all(requests: Requests, *_: Any) -> StageResult:
    """Return a failure for each request. It leads to a dead letter, which the fake may be set to refuse."""
    return StageResult(NOON, [_failed(*pair) for pair in requests])


def _failed(message: Message, request: StopRequest) -> RunResult:
    (run_id,) = request.job_run_ids or ()
    return result(Outcome.FAILED, run_id=run_id, message_ids=(message.message_id,))


def _ids(requests: Requests) -> list[str]:
    return [message.message_id for message, _ in requests]


def _sqs_event(*receive_counts: int) -> dict[str, Any]:
    """Build an event with records m-0, m-1 and so on, which name the runs jr_0, jr_1 and so on."""
    records = [
        {
            **record(body(f"jr_{number}"), ApproximateReceiveCount=str(count)),
            "messageId": f"m-{number}",
            "receiptHandle": f"handle of m-{number}",
        }
        for number, count in enumerate(receive_counts)
    ]
    return {"Records": records}


def _invoke(work: Work, event: Any, dependencies: StopDependencies) -> dict[str, Any]:
    return runtime.invoke(event, CONTEXT, dependencies, parse=stop_request.parse, work=work)


def _redelivered(answer: dict[str, Any]) -> list[str]:
    assert answer.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def _budget() -> CallBudget:
    return CallBudget(lambda: 30.0)


class TestIsolatingPoisonPills:
    """Poison pill candidates are processed alone."""

    @pytest.mark.parametrize(
        ("receive_counts", "groups"),
        [
            ([], []),
            ([1, 1], [[0, 1]]),
            ([1, 2, 1], [[0, 1, 2]]),
            ([3], [[0]]),
            ([4, 4], [[0], [1]]),
            ([3, 3], [[1], [0]]),
            ([3, 1, 9, 2], [[1, 3], [2], [0]]),
        ],
    )
    def test_message_at_its_third_delivery_is_processed_alone(
        self, receive_counts: list[int], groups: list[list[int]]
    ) -> None:
        """A candidate follows the other messages, alternately from the first and from the last."""
        messages = [
            message(message_id=str(number), receive_count=count) for number, count in enumerate(receive_counts)
        ]
        isolated = list(isolate_poison_pills(messages, _budget()))
        assert [[int(message.message_id) for message in group] for group, _ in isolated] == groups
        assert [more for _, more in isolated] == [True] * (len(groups) - 1) + [False] * bool(groups)

    @given(st.lists(st.integers(1, 5), max_size=10))
    def test_each_message_is_in_exactly_one_group(self, receive_counts: list[int]) -> None:
        """No message is lost or processed twice, and no group is empty."""
        messages = [message(message_id=str(n), receive_count=count) for n, count in enumerate(receive_counts)]
        groups = [group for group, _ in isolate_poison_pills(messages, _budget())]
        grouped = sorted(message.message_id for group in groups for message in group)
        assert grouped == sorted(message.message_id for message in messages)
        assert all(groups)

    def test_candidates_share_a_group_when_the_call_budget_is_exhausted(self) -> None:
        """No further call can start, so none of the candidates can crash the function."""
        budget = _budget()
        groups = isolate_poison_pills([message(message_id=str(n), receive_count=3) for n in range(4)], budget)
        assert len(next(groups)[0]) == 1
        budget.calls["batch_stop_job_run"] += 1
        budget.throttled = 3
        assert [(len(group), more) for group, more in groups] == [(3, False)]


class TestAnsweringSqs:
    """The answer to an SQS event."""

    def test_answer_has_the_undelivered_messages(self, aws: FakeAws, dependencies: StopDependencies) -> None:
        """SQS redelivers exactly the messages whose results could not be sent."""
        aws.faults.add(EntriesFailed(when=lambda entry: "jr_1" in entry["MessageBody"]))
        assert _redelivered(_invoke(_fail_all, _sqs_event(1, 1, 1), dependencies)) == ["m-1"]

    def test_answer_without_undelivered_messages_is_an_empty_list(self, dependencies: StopDependencies) -> None:
        """Without the list, SQS would redeliver all messages."""
        assert _invoke(_no_results, _sqs_event(1), dependencies) == {"batchItemFailures": []}

    def test_message_that_is_delivered_twice_is_named_once(
        self, aws: FakeAws, dependencies: StopDependencies
    ) -> None:
        """SQS may deliver a message twice in one event, and refuses an answer that names it twice."""
        aws.faults.add(EntriesFailed(when=lambda _: True))
        event = _sqs_event(1)
        event["Records"] *= 2
        assert _redelivered(_invoke(_fail_all, event, dependencies)) == ["m-0"]

    def test_exception_redelivers_the_messages_of_its_group_only(
        self,
        dependencies: StopDependencies,
        metrics: Callable[[], Metrics],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The messages of the other groups are done, and the exception is logged and counted."""
        groups: list[list[str]] = []

        def work(requests: Requests, *_: Any) -> StageResult:
            groups.append(_ids(requests))
            if len(groups) == 2:
                raise RuntimeError("unexpected")
            return NO_RESULTS

        answer = _invoke(work, _sqs_event(1, 3, 2, 7), dependencies)
        assert groups == [["m-0", "m-2"], ["m-3"], ["m-1"]]
        assert _redelivered(answer) == ["m-3"]
        assert sum(metrics()["UnexpectedErrors"]) == 1
        assert "RuntimeError: unexpected" in caplog.text

    def test_exception_in_every_group_redelivers_all_messages(self, dependencies: StopDependencies) -> None:
        """The answer names each message, and the invocation itself does not fail."""

        def work(*_: Any) -> StageResult:
            raise MemoryError

        assert _redelivered(_invoke(work, _sqs_event(1, 1, 3), dependencies)) == ["m-0", "m-1", "m-2"]

    def test_completed_messages_are_deleted_before_a_candidate(
        self, aws: FakeAws, dependencies: StopDependencies
    ) -> None:
        """A candidate may crash the function. The answer that deletes the other messages would be lost."""
        deleted: list[set[str]] = []

        def work(requests: Requests, *_: Any) -> StageResult:
            deleted.append(set(aws.sqs.deleted))
            return _fail_all(requests)

        aws.faults.add(
            EntriesFailed(when=lambda entry: "jr_1" in entry["MessageBody"]), operation="SendMessageBatch"
        )
        answer = _invoke(work, _sqs_event(1, 1, 4, 4), dependencies)
        assert deleted == [set(), {"handle of m-0"}, {"handle of m-0", "handle of m-2"}]
        assert aws.sqs.deleted == deleted[-1]
        assert aws.requests("DeleteMessageBatch")[0]["QueueUrl"].endswith("/stop")
        assert _redelivered(answer) == ["m-1"]

    def test_nothing_is_deleted_without_candidates(self, aws: FakeAws, dependencies: StopDependencies) -> None:
        """Lambda deletes the messages that the answer does not name."""
        _invoke(_no_results, _sqs_event(1, 2), dependencies)
        assert not aws.calls


class TestAnsweringTheCaller:
    """The response to a direct invocation."""

    def test_request_has_the_invocations_id_and_the_present_time(self, dependencies: StopDependencies) -> None:
        """The event is a message that was sent now."""
        messages: list[Message] = []

        def work(requests: Requests, *_: Any) -> StageResult:
            messages.extend(message for message, _ in requests)
            return NO_RESULTS

        _invoke(work, json.loads(body()), replace(dependencies, clock=lambda: NOON))
        assert [(m.message_id, m.sent_at, m.body) for m in messages] == [("request-1/0", NOON, body())]

    def test_response_has_the_results_of_runs_and_messages(self, dependencies: StopDependencies) -> None:
        """The response has the form of BatchStopJobRun's."""
        results = StageResult(NOON, [result(Outcome.STOP_SUBMITTED)], [message_result()])
        response = _invoke(lambda *_: results, json.loads(body()), dependencies)
        assert response["SuccessfulSubmissions"] == [{"JobName": "etl", "JobRunId": "jr_1"}]
        assert [error["ErrorDetail"]["ErrorCode"] for error in response["Errors"]] == ["InvalidRequest"]

    def test_invocation_fails_when_a_result_could_not_be_sent(
        self, aws: FakeAws, dependencies: StopDependencies
    ) -> None:
        """No queue redelivers the request, so the error asks the caller to invoke the function again."""
        aws.faults.add(EntriesFailed(when=lambda _: True))
        message = "^not every result of this request could be sent; invoke the function again$"
        with pytest.raises(DispatchError, match=message):
            _invoke(_fail_all, json.loads(body()), dependencies)


class TestRunningTheStage:
    """What the stage gets, and what is counted."""

    def test_stage_gets_the_requests_and_the_time_that_is_left(self, dependencies: StopDependencies) -> None:
        """The records are parsed, and the call budget has Lambda's own deadline."""
        calls: list[tuple[Requests, float]] = []

        def work(requests: Requests, _: StopDependencies, budget: CallBudget) -> StageResult:
            calls.append((requests, budget.seconds_left()))
            return NO_RESULTS

        _invoke(work, _sqs_event(1), dependencies)
        ((((received, stop_request),), seconds_left),) = calls
        assert received == message(body("jr_0"), message_id="m-0", receipt_handle="handle of m-0")
        assert (stop_request.job_run_ids, seconds_left) == (("jr_0",), 29.5)

    def test_unusable_messages_do_not_reach_the_stage(
        self, aws: FakeAws, dependencies: StopDependencies
    ) -> None:
        """They become dead letters, and their number is in the time that the stage reserves for dispatch."""
        reserved: list[float] = []

        def work(requests: Requests, _: StopDependencies, budget: CallBudget) -> StageResult:
            assert requests == []
            budget.reserve_for_dispatch(0)
            reserved.append(budget.reserved)
            return NO_RESULTS

        assert _redelivered(_invoke(work, {"Records": [record("{")]}, dependencies)) == []
        assert reserved == [2.001]
        (sent,) = aws.requests("SendMessageBatch")
        assert [entry["MessageBody"] for entry in sent["Entries"]] == ["{"]

    def test_attempt_at_the_functions_maximum_counts_as_0(self, dependencies: StopDependencies) -> None:
        """The maximum is that of the function, here 6."""
        attempts: list[int] = []

        def work(requests: Requests, *_: Any) -> StageResult:
            attempts.extend(message.attempt for message, _ in requests)
            return NO_RESULTS

        records = [record(attributes={"GluebrakeAttempt": attempt}) for attempt in ("5", "6")]
        _invoke(work, {"Records": records}, dependencies)
        assert attempts == [5, 0]

    def test_calls_of_all_groups_are_counted_once(
        self, dependencies: StopDependencies, metrics: Callable[[], Metrics]
    ) -> None:
        """The calls to Glue are emitted at the end of the invocation: stops, and reads of states."""

        def work(_requests: Any, _dependencies: Any, budget: CallBudget) -> StageResult:
            for operation in ("batch_stop_job_run", "get_job_runs", "get_job_run", "get_tags"):
                budget.start(operation)
            return NO_RESULTS

        _invoke(work, _sqs_event(1, 3), dependencies)
        emitted = metrics()
        assert (emitted["StopCalls"], emitted["StateReads"]) == ([2], [4])
        assert "UnexpectedErrors" not in emitted
