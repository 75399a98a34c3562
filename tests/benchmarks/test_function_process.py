"""What runs in the measured process: the events, the calls made again, the parts of the work."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from benchmarks import function_process
from benchmarks.function_process import (
    CONFIRM,
    MOST_MESSAGES,
    PARTS_OF_THE_WORK,
    STOP,
    Stopwatch,
    deliveries,
    make,
    own_cpu,
    own_cpu_in_series,
    phases,
    records,
    requests,
    with_stubs,
)
from benchmarks.streams import distinct_runs
from gluebrake.aws.glue import CallBudget
from gluebrake.handlers import confirm, stop
from gluebrake.lambda_event import arrival
from gluebrake.model import Message
from gluebrake.outcomes import Outcome
from gluebrake.settings import environment
from tests.support.builders import NOON, SETTINGS
from tests.support.fakes.exchange import Call
from tests.support.fakes.faults import Throttle
from tests.support.simulated_aws import World

WORK: Final = {STOP: stop.work, CONFIRM: confirm.work}
MESSAGES: Final = 250


@pytest.fixture
def _function(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give this process a function's environment, and loggers that go with the test's standard output."""
    urls = {f"{name}_queue_url": f"https://sqs/{name}" for name in ("stop", "confirm", "dead_letter")}
    aws = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "fake", "AWS_SECRET_ACCESS_KEY": "fake"}
    for name, value in {**aws, **environment({**SETTINGS, **urls})}.items():
        monkeypatch.setenv(name, value)
    _forget()
    yield
    _forget()


def _forget() -> None:
    function_process.parts.cache_clear()
    for service in (STOP, CONFIRM):
        logging.root.manager.loggerDict.pop(service, None)


def _call(operation: str, **parameters: Any) -> Call:
    return Call(operation, parameters)


def _messages(service: str) -> tuple[Message, ...]:
    """Read the service's records as its function does."""
    came = arrival(
        {"Records": list(records(service, requests(MESSAGES)))},
        request_id="request-1",
        now=NOON,
        max_attempts=8,
        trusted_sender_ids=frozenset(SETTINGS["trusted_sender_ids"]),
    )
    assert came.from_queue
    return came.messages


class TestEvents:
    """What the function is given."""

    def test_messages_name_each_run_once(self) -> None:
        """No run is named twice, so that each message costs what a message can."""
        assert len(distinct_runs(requests(MESSAGES))) == MESSAGES

    def test_records_are_read_as_first_messages(self) -> None:
        """The stop function takes each for a message that nobody has worked on."""
        messages = _messages(STOP)
        assert len({message.message_id for message in messages}) == MESSAGES
        assert all(message.is_first and message.submitted_at is None for message in messages)

    def test_confirm_functions_records_are_ours(self) -> None:
        """The confirm function believes when the runs were submitted."""
        assert all(message.submitted_at for message in _messages(CONFIRM))

    def test_invocation_is_given_no_more_bytes_than_it_may(self) -> None:
        """The records are delivered in order, in as few events as hold them."""
        some = list(records(STOP, requests(10)))
        largest = max(len(json.dumps(record)) for record in some) + 2
        delivered = list(deliveries(some, most_bytes=4 * largest))
        assert [record for batch in delivered for record in batch] == some
        assert [len(batch) for batch in delivered] == [4, 4, 2]

    def test_invocation_is_given_no_more_messages_than_it_may(self) -> None:
        """Small records are limited by their number."""
        delivered = list(deliveries([{}] * (MOST_MESSAGES + 1)))
        assert [len(batch) for batch in delivered] == [MOST_MESSAGES, 1]


class TestMakingTheSameCalls:
    """Bare boto3."""

    def test_calls_are_those_that_were_made(self, world: World) -> None:
        """What the function called is called again: the same calls with the same parameters, sends last."""
        for job_name, (run_id,) in requests(60):
            world.aws.glue.add_run(job_name, run_id)
            world.ask(job_name, run_id)
        calls = world.deliver_due(STOP).calls
        world.aws.calls.clear()
        make(calls, world.parts[STOP])
        assert sorted(map(str, world.aws.calls)) == sorted(map(str, calls))
        operations = [call.operation for call in world.aws.calls]
        assert operations == sorted(operations)
        assert set(operations) == {"BatchStopJobRun", "SendMessageBatch"}

    def test_throttled_call_stops_no_other(self, world: World) -> None:
        """A call that fails is made all the same, and so are those after it."""
        world.aws.faults.add(Throttle())
        calls = [_call("BatchStopJobRun", JobName="etl", JobRunIds=[f"jr_{number}"]) for number in range(20)]
        make(calls, world.parts[STOP])
        assert sorted(map(str, world.aws.calls)) == sorted(map(str, calls))

    def test_repeats_are_left_to_botocore(self) -> None:
        """Calls come by operation, in the order of the first of each, and each of them once."""
        first, second = _call("BatchStopJobRun", JobName="a"), _call("BatchStopJobRun", JobName="b")
        sent = _call("SendMessageBatch", QueueUrl="q")
        assert phases([first, sent, second, first]) == [[first, second], [sent]]


class TestStopwatch:
    """Whom time is charged to."""

    def test_time_is_charged_to_the_innermost_part(self) -> None:
        """What a part has done by another is the other's, and what nobody does is the rest."""
        stopwatch = Stopwatch(iter([0.0, 1.0, 3.0, 7.0, 8.0, 9.0]).__next__)
        count = stopwatch.charged("count", lambda: "counted")
        log = stopwatch.charged("log", lambda: count())  # noqa: PLW0108 - it is called within
        assert log() == "counted"
        stopwatch.charge()
        assert stopwatch.spent == {"the rest": 1.0 + 1.0, "log": 2.0 + 1.0, "count": 4.0}

    def test_part_that_raises_is_charged(self) -> None:
        """An exception ends a part as a return does."""
        stopwatch = Stopwatch(iter([0.0, 1.0, 3.0, 4.0]).__next__)
        with pytest.raises(ZeroDivisionError):
            stopwatch.charged("log", lambda: 1 / 0)()
        stopwatch.charge()
        assert stopwatch.spent == {"the rest": 1.0 + 1.0, "log": 2.0}


@pytest.mark.usefixtures("_function")
class TestOwnWork:
    """The function between stubs."""

    @pytest.mark.parametrize(
        ("service", "outcome"), [(STOP, Outcome.STOP_SUBMITTED), (CONFIRM, Outcome.STOPPED)]
    )
    def test_all_goes_well_between_stubs(self, service: str, outcome: Outcome) -> None:
        """Each run comes to the end that costs the most: it is submitted, or confirmed and measured."""
        wiring = with_stubs(function_process.parts(service), requests(MESSAGES))
        settled = WORK[service](_messages(service), wiring, CallBudget(lambda: 30.0))
        assert Counter(result.outcome for result in settled.results) == {outcome: MESSAGES}
        assert not settled.undelivered
        assert all(None not in result.measures.values() for result in settled.results)

    @pytest.mark.parametrize("service", [STOP, CONFIRM])
    def test_each_part_is_charged(self, service: str) -> None:
        """Every part of the work is found in the function, and spends something; nothing else is charged."""
        spent = own_cpu(service, MESSAGES)
        assert spent.keys() == set(PARTS_OF_THE_WORK)
        assert all(seconds > 0 for seconds in spent.values())

    def test_series_is_worked_off(self) -> None:
        """A row of invocations has a sum."""
        assert own_cpu_in_series(MESSAGES) > 0
