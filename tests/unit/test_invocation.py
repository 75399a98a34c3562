"""An invocation: the records in turn, the answer to SQS, and how the parts are wired."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.aws.glue import CallBudget
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import Backoff
from gluebrake.handlers import confirm, stop
from gluebrake.model import Count, Message, ParsedRequest, Queue
from gluebrake.outcomes import Outcome
from gluebrake.runtime import (
    Dependencies,
    DispatchError,
    StageResult,
    build_dependencies,
    dispatch,
    initialised_by_lambda,
    invoke,
    isolate_poison_pills,
    read,
)
from gluebrake.settings import SettingsError, environment
from tests.support.builders import (
    AWS_ENVIRONMENT,
    NOON,
    SETTINGS,
    body,
    message,
    message_result,
    record,
    result,
)
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.faults import EntriesFailed
from tests.unit.parsing.events import run_status

pytestmark = pytest.mark.usefixtures("own_loggers")

VALUES: Final[dict[str, Any]] = {
    **SETTINGS,
    "stop_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/stop",
    "confirm_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/confirm",
    "dead_letter_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
    "jobs": ["etl*"],
    "protected_jobs": ["etl-prod"],
    "max_runs_per_request": 100,
    "calls_at_once": 4,
    "max_attempts": 6,
}
CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_500)


@pytest.fixture
def environ(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set the environment of a function that is deployed to the fake, and return our part of it."""
    queues = {f"{name}_queue_url": aws.sqs.add_queue(name).url for name in ("stop", "confirm", "dead_letter")}
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
    }.items():
        monkeypatch.setenv(name, value)
    ours = environment({**VALUES, **queues})
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    return ours


@pytest.fixture
def parts(environ: dict[str, str]) -> Dependencies:
    """Wire the parts as the stop function does, to the fake."""
    return build_dependencies("stop", Queue.STOP, environ)


def _records(*receive_counts: int) -> list[dict[str, Any]]:
    """Build records m-0, m-1 and so on, delivered so many times."""
    return [
        {**record(ApproximateReceiveCount=str(count)), "messageId": f"m-{number}"}
        for number, count in enumerate(receive_counts)
    ]


def _metrics(written: str) -> dict[str, list[float]]:
    """Return the metrics of the one blob that was written."""
    (blob,) = [json.loads(line) for line in written.split("\n") if '"_aws"' in line]
    return {name: values for name, values in blob.items() if isinstance(values, list)}


def _pace() -> CallBudget:
    return CallBudget(lambda: 30.0)


SETTLED: Final = StageResult()


class TestInTurn:
    """Suspects are worked on alone."""

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
    def test_message_seen_for_the_third_time_is_worked_on_alone(
        self, receive_counts: list[int], groups: list[list[int]]
    ) -> None:
        """One that may crash the function comes after the others, by itself."""
        messages = [
            message(message_id=str(number), receive_count=count) for number, count in enumerate(receive_counts)
        ]
        turns = list(isolate_poison_pills(messages, _pace()))
        assert [[int(one.message_id) for one in some] for some, _ in turns] == groups
        assert [more for _, more in turns] == [True] * (len(groups) - 1) + [False] * bool(groups)

    @given(st.lists(st.integers(1, 5), max_size=10))
    def test_each_message_has_exactly_one_turn(self, receive_counts: list[int]) -> None:
        """Nothing is lost or worked on twice, and no turn is empty."""
        messages = [message(message_id=str(n), receive_count=count) for n, count in enumerate(receive_counts)]
        turns = [some for some, _ in isolate_poison_pills(messages, _pace())]
        assert sorted(one.message_id for some in turns for one in some) == sorted(
            one.message_id for one in messages
        )
        assert all(turns)

    def test_suspects_are_put_off_together_when_no_call_can_start(self) -> None:
        """Once the pace is spent, none of them can be worked on: they share a turn."""
        budget = _pace()
        turns = isolate_poison_pills([message(message_id=str(n), receive_count=3) for n in range(4)], budget)
        assert len(next(turns)[0]) == 1
        budget.calls["batch_stop_job_run"] += 1
        budget.throttled = 3
        assert [(len(some), more) for some, more in turns] == [(3, False)]


class TestInvoking:
    """What is answered to SQS."""

    def test_messages_that_come_back_are_the_answer(self, parts: Dependencies) -> None:
        """Exactly the messages that the work gives back are to be delivered again."""
        answer = invoke(
            lambda *_: StageResult(undelivered=frozenset({"m-1"})),
            {"Records": _records(1, 1, 1)},
            CONTEXT,
            parts,
        )
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}

    def test_all_done_is_an_empty_answer(self, parts: Dependencies) -> None:
        """With nothing to deliver again the list is there, and empty: any other answer would mean all."""
        assert invoke(lambda *_: SETTLED, {"Records": _records(1)}, CONTEXT, parts) == {"batchItemFailures": []}

    def test_work_gets_its_messages_and_the_time_that_is_left(self, parts: Dependencies) -> None:
        """The records are taken apart, and the pace knows Lambda's own deadline."""
        seen: list[tuple[Sequence[Message], float]] = []

        def work(messages: Sequence[Message], _parts: Dependencies, budget: CallBudget) -> StageResult:
            seen.append((messages, budget.seconds_left()))
            return SETTLED

        invoke(work, {"Records": _records(1)}, CONTEXT, parts)
        assert seen == [([message(message_id="m-0")], 29.5)]

    def test_attempt_at_the_functions_maximum_reads_as_none(self, parts: Dependencies) -> None:
        """The maximum is the function's own."""
        seen: list[int] = []

        def work(messages: Sequence[Message], *_: Any) -> StageResult:
            seen.extend(one.attempt for one in messages)
            return SETTLED

        records = [record("{}", {"GluebrakeAttempt": attempt}) for attempt in ("5", "6")]
        invoke(work, {"Records": records}, CONTEXT, parts)
        assert seen == [5, 0]

    def test_crash_brings_back_its_own_messages_only(
        self, parts: Dependencies, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """When the work on a turn raises, its messages come back, the others are done, and the log says why."""
        turns: list[list[str]] = []

        def work(messages: Sequence[Message], *_: Any) -> StageResult:
            turns.append([one.message_id for one in messages])
            if len(turns) == 2:
                raise RuntimeError("nobody foresaw this")
            return SETTLED

        answer = invoke(work, {"Records": _records(1, 3, 2, 7)}, CONTEXT, parts)
        assert turns == [["m-0", "m-2"], ["m-3"], ["m-1"]]
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m-3"}]}
        assert sum(_metrics(capsys.readouterr().out)["UnexpectedErrors"]) == 1
        assert "RuntimeError: nobody foresaw this" in caplog.text

    def test_what_is_done_is_acknowledged_before_a_suspect(self, aws: FakeAws, parts: Dependencies) -> None:
        """A suspect may take the function down, and with it the answer: the others are deleted before."""
        deleted: list[set[str]] = []

        def work(messages: Sequence[Message], *_: Any) -> StageResult:
            deleted.append(set(aws.sqs.deleted))
            return StageResult(undelivered=frozenset({one.message_id for one in messages} & {"m-1"}))

        records = [{**one, "receiptHandle": f"handle of {one['messageId']}"} for one in _records(1, 1, 4, 4)]
        answer = invoke(work, {"Records": records}, CONTEXT, parts)
        assert deleted == [set(), {"handle of m-0"}, {"handle of m-0", "handle of m-2"}]
        assert aws.sqs.deleted == deleted[-1]
        assert aws.requests("DeleteMessageBatch")[0]["QueueUrl"].endswith("/stop")
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}

    def test_nothing_is_acknowledged_without_suspects(self, aws: FakeAws, parts: Dependencies) -> None:
        """Lambda deletes what the answer does not name."""
        records = [{**one, "receiptHandle": "handle"} for one in _records(1, 2)]
        invoke(lambda *_: SETTLED, {"Records": records}, CONTEXT, parts)
        assert not aws.calls

    def test_crash_of_all_brings_all_back(self, parts: Dependencies) -> None:
        """Even then each message is named, and the invocation itself does not fail."""

        def work(*_: Any) -> StageResult:
            raise MemoryError

        answer = invoke(work, {"Records": _records(1, 1, 3)}, CONTEXT, parts)
        assert sorted(item["itemIdentifier"] for item in answer["batchItemFailures"]) == ["m-0", "m-1", "m-2"]

    def test_what_no_queue_brought_is_a_message_of_now(self, parts: Dependencies) -> None:
        """A direct invocation's request goes by the invocation's id, and was sent when it came."""
        seen: list[Message] = []

        def work(messages: Sequence[Message], *_: Any) -> StageResult:
            seen.extend(messages)
            return SETTLED

        invoke(work, json.loads(body()), CONTEXT, replace(parts, clock=lambda: NOON))
        assert [(one.message_id, one.sent_at, one.body) for one in seen] == [("request-1/0", NOON, body())]

    def test_direct_invocation_is_answered_with_what_became_of_all(self, parts: Dependencies) -> None:
        """Runs and requests alike are in the answer."""
        settled = StageResult([result(Outcome.STOP_SUBMITTED)], [message_result()])
        answer = invoke(lambda *_: settled, {}, CONTEXT, parts)
        assert answer["SuccessfulSubmissions"] == [{"JobName": "etl", "JobRunId": "jr_1"}]
        assert [error["ErrorDetail"]["ErrorCode"] for error in answer["Errors"]] == ["InvalidRequest"]

    def test_direct_invocation_that_was_not_handed_on_fails(self, parts: Dependencies) -> None:
        """No queue brings it again, so whoever invoked the function has to, and is told so."""
        with pytest.raises(DispatchError, match=r"^not everything .+; invoke the function again$"):
            invoke(lambda *_: StageResult(undelivered=frozenset({"request-1/0"})), {}, CONTEXT, parts)

    def test_calls_of_all_turns_are_counted_once(
        self, parts: Dependencies, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The calls to Glue are published at the end: stops, and reads of states."""

        def work(_messages: Any, _parts: Dependencies, budget: CallBudget) -> StageResult:
            for operation in ("batch_stop_job_run", "get_job_runs", "get_job_run", "get_tags"):
                budget.start(operation)
            return SETTLED

        invoke(work, {"Records": _records(1, 3)}, CONTEXT, parts)
        metrics = _metrics(capsys.readouterr().out)
        assert (metrics["StopCalls"], metrics["StateReads"]) == ([2], [4])
        assert metrics["UnexpectedErrors"] == [0]


class TestReading:
    """What the messages are."""

    def test_message_that_asks_is_apart_from_one_that_cannot_be_used(self) -> None:
        """Requests go on, and an unreadable message is settled by that."""
        asking, broken = message(), message("{")
        asked, settled = read([broken, asking], AWS_ENVIRONMENT)
        assert [one.message for one in asked] == [asking]
        assert [(one.message, one.outcome) for one in settled] == [(broken, Outcome.INVALID_REQUEST)]
        assert settled[0].why.startswith("the body: is not JSON")
        assert isinstance(asked[0], ParsedRequest)

    def test_message_that_asks_for_nothing_is_ignored(self) -> None:
        """A known event that asks for nothing is settled as that, with the reason."""
        elsewhere = message(json.dumps(run_status(envelope={"account": "999999999999"})))
        asked, settled = read([elsewhere], AWS_ENVIRONMENT)
        assert asked == []
        assert [(one.message, one.outcome) for one in settled] == [(elsewhere, Outcome.IGNORED)]
        assert settled[0].why.startswith("it is of account 999999999999")


class TestHandingOn:
    """Sending and accounting."""

    def test_each_outcome_is_sent_and_told(
        self, aws: FakeAws, parts: Dependencies, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What the outcomes lead to is sent, and each is counted."""
        outcomes = [result(Outcome.STOP_SUBMITTED), result(Outcome.FAILED, run_id="jr_2")]
        counts = {Count.RUNS_REQUESTED: 2}
        settled = StageResult(outcomes, [message_result()], counts)
        assert dispatch(settled, parts, _pace(), NOON) == settled
        parts.telemetry.end({})
        assert [len(aws.requests("SendMessageBatch")), *_sent(aws)] == [
            2,
            "confirm",
            "dead_letter",
            "dead_letter",
        ]
        metrics = _metrics(capsys.readouterr().out)
        assert {name: sum(metrics[name]) for name in ("StopSubmitted", "Failed", "InvalidRequest")} == {
            "StopSubmitted": 1,
            "Failed": 1,
            "InvalidRequest": 1,
        }
        assert metrics["RunsRequested"] == [2]

    def test_submitted_stop_is_dated_when_it_was_submitted(self, aws: FakeAws, parts: Dependencies) -> None:
        """The time of the work, not of the sending, is what the run's time to stop counts from."""
        dispatch(StageResult([result(Outcome.STOP_SUBMITTED)]), parts, _pace(), NOON)
        (sent,) = aws.requests("SendMessageBatch")
        submitted_at = sent["Entries"][0]["MessageAttributes"]["GluebrakeSubmittedAt"]["StringValue"]
        assert datetime.fromisoformat(submitted_at) == NOON

    def test_final_outcome_is_published(self, aws: FakeAws, parts: Dependencies) -> None:
        """Whoever listens hears of it, with the time at which it was settled, in the time that was reserved."""
        budget, later = _pace(), NOON + timedelta(seconds=2)
        budget.reserve_for_dispatch(4)
        outcomes = [result(Outcome.WOULD_STOP), result(Outcome.RETRYING, run_id="jr_2")]
        dispatch(StageResult(outcomes), replace(parts, clock=lambda: later), budget, NOON)
        assert [(one["jobRunId"], one["settledAt"]) for one in aws.events.details] == [
            ("jr_1", "2026-11-24T12:00:02Z")
        ]
        (published,) = aws.events.published
        assert (published["EventBusName"], published["Resources"]) == (
            "gluebrake-bus",
            ["arn:aws:glue:eu-west-1:123456789012:job/etl"],
        )

    def test_messages_behind_failed_sends_come_back(self, aws: FakeAws, parts: Dependencies) -> None:
        """A message whose consequences were not all sent is delivered again; the others are done."""
        aws.faults.add(EntriesFailed(when=lambda entry: "jr_2" in entry["MessageBody"]))
        outcomes = [
            result(Outcome.FAILED, run_id="jr_1", message_ids=("m-1",)),
            result(Outcome.FAILED, run_id="jr_2", message_ids=("m-2", "m-3")),
        ]
        assert dispatch(StageResult(outcomes), parts, _pace(), NOON).undelivered == {"m-2", "m-3"}


def _sent(aws: FakeAws) -> list[str]:
    """Return the names of the queues that were sent to, once for each message."""
    requests = aws.requests("SendMessageBatch")
    return sorted(request["QueueUrl"].split("/")[-1] for request in requests for _ in request["Entries"])


class TestWiring:
    """From the environment to the parts."""

    @pytest.mark.usefixtures("environ")
    @pytest.mark.parametrize("function", [stop, confirm], ids=["stop", "confirm"])
    def test_handler_wires_itself_once(
        self, aws: FakeAws, function: ModuleType, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Lambda gives no parts: a handler makes its own of the environment, and keeps them when warm."""
        function._wired.cache_clear()  # noqa: SLF001 - what another test wired is not for this one
        answers = [function.handler({"Records": [record("{")]}, CONTEXT) for _ in range(2)]
        assert answers == [{"batchItemFailures": []}] * 2
        assert _sent(aws) == ["dead_letter", "dead_letter"]
        assert function._wired.cache_info().misses == 1  # noqa: SLF001 - being called once is the point
        function._wired.cache_clear()  # noqa: SLF001 - nor is this one's for another
        assert f'"service":"{function.__name__.split(".")[-1]}"' in capsys.readouterr().out

    @pytest.mark.usefixtures("environ")
    @pytest.mark.parametrize("name", ["stop", "confirm"])
    @pytest.mark.parametrize(("by_lambda", "wired"), [(True, "1"), (False, "0")])
    def test_handler_wires_itself_while_lambda_initialises_it(
        self, monkeypatch: pytest.MonkeyPatch, name: str, build_dependencies: str, *, by_lambda: bool
    ) -> None:
        """Lambda's import of the handler makes its parts; anybody else's makes nothing."""
        if by_lambda:
            monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        program = f"from gluebrake import {name}; print({name}._wired.cache_info().currsize)"
        command, sources = [sys.executable, "-c", program], Path(stop.__file__).parents[1]
        assert subprocess.check_output(command, cwd=sources, text=True).strip() == build_dependencies

    @pytest.mark.parametrize(
        ("environ", "by_lambda"),
        [({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, True), ({"AWS_LAMBDA_RUNTIME_API": "host"}, False)],
    )
    def test_lambda_is_known_by_its_environment(self, environ: dict[str, str], *, by_lambda: bool) -> None:
        """The variable that Lambda sets for every kind of initialisation tells."""
        assert initialised_by_lambda(environ) is by_lambda

    def test_settings_reach_the_parts(self, parts: Dependencies) -> None:
        """Each setting is where it counts."""
        assert parts.limits == Limits(("etl*",), ("etl-prod",), 100)
        assert parts.max_attempts == 6
        assert parts.policy.retry == Backoff(5, 900, first_attempt=1)
        assert parts.policy.look == Backoff(15, 300, first_attempt=0)
        assert parts.policy.deadline_seconds == 1800
        assert {part.calls_at_once for part in (parts.glue, parts.queues, parts.events)} == {4}
        assert parts.aws_environment == AWS_ENVIRONMENT
        assert parts.glue.protect_tag == "gluebrake:protect"
        assert parts.glue.job_arn_prefix == "arn:aws:glue:eu-west-1:123456789012:job/"
        assert {queue: url.split("/")[-1] for queue, url in parts.queues.urls.items()} == {
            Queue.STOP: "stop",
            Queue.CONFIRM: "confirm",
            Queue.DEAD_LETTER: "dead_letter",
        }

    def test_our_own_messages_are_never_too_many_runs(self, parts: Dependencies) -> None:
        """A message that we send names no more runs than a request may."""
        assert parts.policy.ids_in_a_message == 100

    def test_clients_end_before_the_function_does(self, parts: Dependencies) -> None:
        """Connections suffice for the calls at once, and waiting for one call takes no invocation's time."""
        for client in (parts.glue.client, parts.queues.client, parts.events.make_client()):
            config: Any = client.meta.config
            assert config.max_pool_connections == 4
            tries = config.retries["total_max_attempts"]
            assert tries >= 2
            assert tries * (config.connect_timeout + config.read_timeout) < 30

    def test_time_and_chance_are_real(self, parts: Dependencies) -> None:
        """Unless a test says otherwise, the clock knows its offset and the jitter is a share."""
        assert parts.clock().tzinfo is not None
        assert 0 <= parts.jitter() < 1

    def test_environment_that_says_nothing_is_refused(self) -> None:
        """A function without its settings does not start."""
        with pytest.raises(SettingsError, match="GLUEBRAKE_STOP_QUEUE_URL: missing"):
            build_dependencies("stop", Queue.STOP, {})

    def test_default_request_is_one_that_can_be_read(self) -> None:
        """The tests' own example of a message is valid."""
        assert read([message(body())], AWS_ENVIRONMENT)[0]
