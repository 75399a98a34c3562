"""Tests of the work in the measured process: replayed calls, stubs and own CPU by step."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from benchmarks import function_process
from benchmarks.function_process import STEPS, make_calls, own_cpu, own_cpu_of_series, phases
from benchmarks.lambda_events import CONFIRM, STOP, one_run_requests
from benchmarks.stubs import with_stubs
from gluebrake.aws.call_budget import CallBudget
from gluebrake.dispatch import StageResult, dispatch
from gluebrake.handlers import confirm, stop
from gluebrake.outcomes import Outcome
from gluebrake.parsing import stop_request
from gluebrake.parsing.messages import parse_messages
from gluebrake.settings import environment
from tests.benchmarks.conftest import MESSAGES, messages_of
from tests.support.builders import SETTINGS
from tests.support.fakes.exchange import Call
from tests.support.fakes.faults import Throttle
from tests.support.simulated_aws import SimulatedAws

WORK: Final[Mapping[str, Callable[..., StageResult]]] = {STOP: stop.work, CONFIRM: confirm.work}


@pytest.fixture
def _function(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set a function's environment, with loggers that write to the test's standard output."""
    urls = {f"{name}_queue_url": f"https://sqs/{name}" for name in ("stop", "confirm", "dead_letter")}
    aws = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "fake", "AWS_SECRET_ACCESS_KEY": "fake"}
    for name, value in {**aws, **environment({**SETTINGS, **urls})}.items():
        monkeypatch.setenv(name, value)
    _clear_caches()
    yield
    _clear_caches()


def _clear_caches() -> None:
    function_process.dependencies.cache_clear()
    function_process.fields_of_a_line.cache_clear()
    for service in (STOP, CONFIRM):
        logging.root.manager.loggerDict.pop(service, None)


def _call(operation: str, **parameters: Any) -> Call:
    return Call(operation, parameters)


class TestReplay:
    """Bare boto3 makes the calls of an invocation again."""

    def test_replayed_calls_are_equal(self, simulation: SimulatedAws) -> None:
        """The same calls are made with the same parameters, sends last."""
        for job_name, (run_id,) in one_run_requests(60):
            simulation.aws.glue.add_run(job_name, run_id)
            simulation.request_stop(job_name, run_id)
        calls = simulation.deliver_due(STOP).calls
        simulation.aws.calls.clear()
        make_calls(calls, simulation.dependencies[STOP])
        assert sorted(map(str, simulation.aws.calls)) == sorted(map(str, calls))
        operations = [call.operation for call in simulation.aws.calls]
        assert operations == sorted(operations)
        assert set(operations) == {"BatchStopJobRun", "SendMessageBatch"}

    def test_throttled_call_stops_no_other(self, simulation: SimulatedAws) -> None:
        """After a call fails, all other calls are still made."""
        simulation.aws.faults.add(Throttle())
        calls = [_call("BatchStopJobRun", JobName="etl", JobRunIds=[f"jr_{number}"]) for number in range(20)]
        make_calls(calls, simulation.dependencies[STOP])
        assert sorted(map(str, simulation.aws.calls)) == sorted(map(str, calls))

    def test_phases_leave_retries_to_botocore(self) -> None:
        """Calls are grouped by operation, and a repeated call is made once."""
        first, second = _call("BatchStopJobRun", JobName="a"), _call("BatchStopJobRun", JobName="b")
        send = _call("SendMessageBatch", QueueUrl="q")
        assert phases([first, send, second, first]) == [[first, second], [send]]


@pytest.mark.usefixtures("_function")
class TestOwnCpu:
    """The functions run with stubs."""

    @pytest.mark.parametrize(
        ("service", "outcome"), [(STOP, Outcome.STOP_SUBMITTED), (CONFIRM, Outcome.STOPPED)]
    )
    def test_every_run_succeeds_with_stubs(self, service: str, outcome: Outcome) -> None:
        """Each run has the outcome that takes the most work: submitted, or stopped and measured."""
        dependencies = with_stubs(function_process.dependencies(service), one_run_requests(MESSAGES))
        requests, unusable = parse_messages(
            messages_of(service), stop_request.parse, dependencies.aws_environment
        )
        assert not unusable
        budget = CallBudget(lambda: 30.0)
        stage_result = WORK[service](requests, dependencies, budget)
        assert Counter(result.outcome for result in stage_result.results) == {outcome: MESSAGES}
        assert not dispatch(stage_result, dependencies, budget)
        assert all(None not in result.measures.values() for result in stage_result.results)

    @pytest.mark.parametrize("service", [STOP, CONFIRM])
    def test_every_step_takes_time(self, service: str) -> None:
        """Each function has every step, and no time is counted for a step that does not exist."""
        seconds = own_cpu(service, MESSAGES)
        assert seconds.keys() == set(STEPS)
        assert all(value > 0 for value in seconds.values())

    @pytest.mark.parametrize("service", [STOP, CONFIRM])
    def test_logger_writes_the_lines_of_the_function(
        self, capsys: pytest.CaptureFixture[str], service: str
    ) -> None:
        """Logger gets the fields that the function's own line has, and writes them in each round."""
        fields = function_process.fields_of_a_line(service)
        assert {"outcome", "job_run_id", "message_ids", "will_redeliver"} <= fields.keys()
        assert ("TimeToStop" in fields) is (service == CONFIRM)
        for _ in range(2):
            assert function_process.cpu_of_logger(service, 100) > 0
        assert "Logging error" not in capsys.readouterr().err

    def test_series_of_invocations_takes_time(self) -> None:
        """The CPU time of consecutive invocations is added up."""
        assert own_cpu_of_series(MESSAGES) > 0
