"""Glue's responses with values of the wrong type: no exception, and no other run is harmed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gluebrake.aws import glue_responses
from gluebrake.aws.findings import read_response
from gluebrake.decisions import run_cost
from gluebrake.decisions.confirm_outcomes import measures
from gluebrake.metrics import Measure
from gluebrake.model import Finding, Observation
from gluebrake.prices import Prices
from tests.support.builders import NOON, Invalid, message, parse_one, target
from tests.support.fakes.exchange import Answer, Call, Json, Reply, ServiceError
from tests.support.fakes.faults import Refused
from tests.support.simulated_aws import Invocation, SimulatedAws

ODD_VALUES: Final[tuple[Any, ...]] = (
    None,
    "",
    "x" * 300,
    "\a",
    "\ud800",
    "2026-11-24T03:00:00Z",
    0,
    -1,
    10**18,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    True,
    [],
    [None],
    [["jr_1"]],
    {},
    {"a": 1},
)
ALWAYS: Final = float("inf")
EXAMPLES: Final = settings(
    max_examples=int(os.environ.get("GLUEBRAKE_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

_GLUE: Final = ("BatchStopJobRun", "GetJobRuns", "GetJobRun", "GetTags")
_NEIGHBOUR: Final = "neighbour"


@dataclass(frozen=True)
class Twist:
    """A fault that replaces a node of a response, or leaves it out if the value is `...`."""

    node: int
    value: Any

    def __call__(self, call: Call, answer: Answer) -> Reply:
        """Perform the call and change the reply."""
        reply = answer(call)
        payload: Any = [deepcopy(reply.payload)]
        places = list(_places(payload))
        container, key = places[self.node % len(places)]
        if self.value is ... and len(places) > 1 and container is not payload:
            del container[key]
        else:
            container[key] = None if self.value is ... else self.value
        return replace(reply, payload=payload[0])


def _places(container: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in the JSON, with each of its keys or indexes."""
    items = container.items() if isinstance(container, dict) else enumerate(container)
    for key, value in list(items):
        yield container, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _refuse(code: Any, text: Any) -> Callable[[Call, Answer], Reply]:
    """Return a fault that refuses the call with members of any type."""
    reply = replace(ServiceError("").reply, payload={"__type": code, "message": text})
    return lambda _call, _answer: reply


def _is_no_neighbours(call: Call) -> bool:
    return _NEIGHBOUR not in json.dumps(call.parameters)


class TestErrors:
    """Refused calls whose code or message is not text."""

    @pytest.mark.parametrize("text", [None, 5, 1.5, True, [], {}, ["a"], {"a": "b"}, ""])
    @pytest.mark.parametrize(
        "code", ["AccessDeniedException", "InvalidInputException", "InternalServiceException"]
    )
    def test_run_fails_once_and_the_other_job_is_stopped(
        self, simulation: SimulatedAws, code: str, text: Any
    ) -> None:
        """The run of the refused job has one dead letter and one event. The other run stops as usual."""
        simulation.aws.glue.add_run("etl", "jr_1")
        simulation.aws.glue.add_run(_NEIGHBOUR, "jr_2")
        simulation.request_stop("etl", "jr_1")
        simulation.request_stop(_NEIGHBOUR, "jr_2")
        for operation in _GLUE:
            simulation.aws.faults.add(_refuse(code, text), operation=operation, when=_is_no_neighbours)
        simulation.run()
        assert simulation.counts["UnexpectedErrors"] == 0
        assert simulation.history("etl", "jr_1")[-1] == "Failed"
        assert [letter[1] for letter in simulation.dead_letters()] == [code]
        assert simulation.history(_NEIGHBOUR, "jr_2") == ["StopSubmitted", "Stopped"]
        ends = {(event["jobRunId"], event["outcome"]) for event in simulation.aws.events.details}
        assert ends == {("jr_1", "Failed"), ("jr_2", "Stopped")}
        assert len(simulation.aws.events.details) == 2

    @pytest.mark.parametrize("code", [None, "", 5, [], {}, ["a"]])
    def test_code_that_is_no_text_is_retried(self, simulation: SimulatedAws, code: Any) -> None:
        """An error without a usable code may be temporary, whatever its type is."""
        simulation.aws.glue.add_run("etl", "jr_1")
        simulation.request_stop("etl", "jr_1")
        simulation.aws.faults.add(_refuse(code, "Oh"), operation="BatchStopJobRun", times=1)
        simulation.run()
        assert simulation.counts["UnexpectedErrors"] == 0
        assert simulation.history("etl", "jr_1") == ["Retrying", "StopSubmitted", "Stopped"]

    @pytest.mark.parametrize("response", [{}, {"Tags": None}])
    def test_denied_job_without_tags_fails_at_once(self, simulation: SimulatedAws, response: Json) -> None:
        """`Tags` is not a required member of the response. A job without tags is not protected."""
        simulation.aws.glue.add_run("etl", "jr_1")
        simulation.request_stop("etl", "jr_1")
        simulation.aws.faults.add(Refused("AccessDeniedException"), operation="BatchStopJobRun")
        simulation.aws.faults.add(lambda _call, _answer: Reply(payload=response), operation="GetTags")
        simulation.run()
        assert simulation.history("etl", "jr_1") == ["Failed"]
        assert len(simulation.dead_letter_queue) == 1


class TestRuns:
    """Listed runs whose id, state or figures are not usable."""

    @pytest.mark.parametrize("run_id", ["", "x" * 256, "jr\a1", "jr\n1", "jr_\ufffe", 5, None, [], {}])
    def test_run_without_a_usable_id_does_not_harm_the_other_runs(
        self, simulation: SimulatedAws, run_id: Any
    ) -> None:
        """A selection leaves the run out. The other runs are retried in one message, and then stop."""
        started_on = simulation.clock() - timedelta(hours=1)
        simulation.aws.glue.add_run("etl", "odd", started_on=started_on, Id=run_id)
        for name in ("jr_1", "jr_2", "jr_3"):
            simulation.aws.glue.add_run("etl", name, started_on=started_on)
        simulation.put('{"JobName": "etl", "Select": {}}')
        simulation.aws.faults.add(Refused("InternalServiceException"), operation="BatchStopJobRun", times=1)
        simulation.run()
        assert {run_id for _, run_id, _ in simulation.outcomes} == {"jr_1", "jr_2", "jr_3"}
        for name in ("jr_1", "jr_2", "jr_3"):
            assert simulation.history("etl", name) == ["Retrying", "StopSubmitted", "Stopped"]
        assert not simulation.dead_letters()
        assert simulation.counts["InvalidRequest"] == 0

    @pytest.mark.parametrize("field", ["DPUSeconds", "MaxCapacity", "ExecutionTime", "NumberOfWorkers"])
    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), -1, 10**400, 1e300, "10", True, [], {}, None], ids=repr
    )
    def test_figure_that_is_no_number_is_unknown(
        self, simulation: SimulatedAws, field: str, value: Any
    ) -> None:
        """The run is confirmed, its metrics have finite numbers only, and its event is valid."""
        simulation.aws.glue.add_run("etl", "jr_1", **{"WorkerType": "G.025X", field: value})
        simulation.request_stop("etl", "jr_1")
        simulation.run()
        assert simulation.history("etl", "jr_1")[-1] == "Stopped"
        assert simulation.counts["UnexpectedErrors"] == 0
        for invocation in simulation.invocations:
            _check_numbers(invocation)
        (event,) = simulation.aws.events.details
        assert event["outcome"] == "Stopped"
        assert None not in event.values()

    @pytest.mark.parametrize("value", [value for value in ODD_VALUES if not isinstance(value, str)], ids=repr)
    def test_state_that_is_no_text_is_unknown(self, simulation: SimulatedAws, value: Any) -> None:
        """A run whose state cannot be read is retried or polled again, and then stops."""
        simulation.aws.glue.add_run("etl", "jr_1")
        simulation.request_stop("etl", "jr_1")

        def change_state(call: Call, answer: Answer) -> Reply:
            """Replace the state in the reply."""
            reply = answer(call)
            return replace(reply, payload={"JobRun": {**reply.payload["JobRun"], "JobRunState": value}})

        simulation.aws.faults.add(change_state, operation="GetJobRun", times=1)
        simulation.run()
        assert simulation.history("etl", "jr_1") == ["StopSubmitted", "NotYetConfirmed", "Stopped"]


class TestAnyNode:
    """Hypothesis replaces nodes of the responses."""

    @EXAMPLES
    @given(
        twists=st.lists(
            st.tuples(
                st.sampled_from(_GLUE),
                st.builds(Twist, st.integers(0, 99), st.sampled_from((..., *ODD_VALUES))),
                st.sampled_from((1, 3, ALWAYS)),
            ),
            min_size=1,
            max_size=3,
        )
    )
    def test_odd_value_harms_no_other_run(self, twists: list[tuple[str, Twist, float]]) -> None:
        """No exception is raised, each named run ends, and the neighbour ends exactly as usual."""
        with SimulatedAws() as simulation:
            _request_all_kinds(simulation)
            for operation, twist, times in twists:
                simulation.aws.faults.add(twist, operation=operation, when=_is_no_neighbours, times=times)
            simulation.run()
            assert simulation.counts["UnexpectedErrors"] == 0
            assert simulation.history(_NEIGHBOUR, "jr") == ["StopSubmitted", "Stopped"]
            assert not simulation.moved
            _check_that_named_runs_end(simulation)
            _check_what_was_written(simulation)

    @EXAMPLES
    @given(
        operation=st.sampled_from(["SendMessageBatch", "DeleteMessageBatch", "PutEvents"]),
        twist=st.builds(Twist, st.integers(0, 30), st.sampled_from((..., *ODD_VALUES))),
        times=st.sampled_from((1, 3)),
    )
    def test_odd_value_of_a_queue_or_bus_loses_no_run(self, operation: str, twist: Twist, times: float) -> None:
        """A response of SQS or EventBridge that cannot be read counts as failed, and raises no exception."""
        with SimulatedAws() as simulation:
            _request_all_kinds(simulation)
            simulation.aws.faults.add(twist, operation=operation, times=times)
            simulation.run()
            assert simulation.counts["UnexpectedErrors"] == 0
            _check_that_named_runs_end(simulation)
            _check_what_was_written(simulation)

    @EXAMPLES
    @given(node=st.integers(0, 30), value=st.sampled_from((..., *ODD_VALUES)), denied=st.booleans())
    def test_checked_values_have_their_types(self, node: int, value: Any, *, denied: bool) -> None:
        """What the core gets is text, finite numbers and ids that a request can name."""
        response: Json = {
            "SuccessfulSubmissions": [{"JobName": "etl", "JobRunId": "jr_1"}],
            "Errors": [{"JobRunId": "jr_2", "ErrorDetail": {"ErrorCode": "Oh", "ErrorMessage": "no"}}],
            "JobRuns": [{"Id": "jr_3", "JobRunState": "STOPPED", "StartedOn": NOON, "CompletedOn": NOON}],
            "JobRun": {"Id": "jr_4", "JobRunState": "RUNNING", "WorkerType": "G.1X", "NumberOfWorkers": 2},
            "Error": {"Code": "AccessDeniedException", "Message": "no" if denied else None},
            "Tags": {"a": "b"},
            "NextToken": "t",
        }
        twisted = Twist(node, value)(Call("", {}), lambda _: Reply(payload=response)).payload
        if not isinstance(twisted, dict):
            return
        assert all(type(text) is str for text in glue_responses.error(twisted))
        assert type(glue_responses.next_token(twisted)) is str
        assert all(type(key) is str for key in glue_responses.tag_keys(twisted))
        findings = [Finding(target(f"jr_{n}"), Observation.NOT_CALLED) for n in (1, 2, 9)]
        for finding in read_response(findings, twisted):
            assert type(finding.code) is type(finding.error) is str
        for run in (*(glue_responses.runs(twisted) or ()), glue_responses.run_facts(twisted.get("JobRun"))):
            if run:
                assert not isinstance(parse_one(message(_naming(run.run_id))), Invalid)
                measured = measures(Finding(target(submitted_at=NOON), Observation.STATE, run=run))
                cost = run_cost.measures(run, Prices(), NOON)
                assert {*measured, *cost} <= set(Measure)
                json.dumps([run.state, *measured.values(), *cost.values()], allow_nan=False)


def _naming(run_id: str) -> str:
    return json.dumps({"JobName": "etl", "JobRunIds": [run_id]})


def _request_all_kinds(simulation: SimulatedAws) -> None:
    """Request to stop runs by every operation of Glue, and one run of a job that no fault concerns."""
    glue, started_on = simulation.aws.glue, simulation.clock() - timedelta(hours=1)
    for job_name in ("etl", "picked", "tagged", "denied", _NEIGHBOUR):
        for run_id in ("jr", "jr_1", "jr_2"):
            glue.add_run(job_name, run_id, started_on=started_on)
    glue.add_run("etl", "done", state="SUCCEEDED")
    glue.add_job("tagged", tags={"gluebrake:protect": "yes"})
    simulation.aws.faults.add(
        Refused("AccessDeniedException"),
        operation="BatchStopJobRun",
        when=lambda call: call.parameters["JobName"] in {"tagged", "denied"},
    )
    simulation.put('{"JobName": "picked", "Select": {}}')
    for job_name, *run_ids in _NAMED:
        simulation.request_stop(job_name, *run_ids)
    simulation.request_stop(_NEIGHBOUR, "jr")


_NAMED: Final = (("etl", "jr_1", "jr_2", "done"), ("tagged", "jr_1"), ("denied", "jr_1"))


def _check_that_named_runs_end(simulation: SimulatedAws) -> None:
    final = {
        (line["job_name"], line["job_run_id"])
        for invocation in simulation.invocations
        for line in invocation.outcomes
        if "job_run_id" in line and not line["will_redeliver"] and line["outcome"] not in _IN_PROGRESS
    }
    moved = [json.loads(delivery.message.body) for delivery in simulation.moved]
    final |= {(body["JobName"], run_id) for body in moved for run_id in body.get("JobRunIds", ())}
    assert final >= {(job_name, run_id) for job_name, *run_ids in _NAMED for run_id in run_ids}


_IN_PROGRESS: Final = {"StopSubmitted", "AlreadyStopping", "NotYetConfirmed", "Retrying", "Deferred"}


def _check_what_was_written(simulation: SimulatedAws) -> None:
    """Expect that the functions' own messages can be parsed, and that lines and events are valid JSON."""
    for call in simulation.aws.requests("SendMessageBatch"):
        if not call["QueueUrl"].endswith("/dead-letter"):
            for entry in call["Entries"]:
                assert not isinstance(parse_one(message(entry["MessageBody"])), Invalid)
    for invocation in simulation.invocations:
        _check_numbers(invocation)
    for entry in simulation.aws.events.published:
        assert None not in json.loads(entry["Detail"], parse_constant=_refuse_constant).values()


def _check_numbers(invocation: Invocation) -> None:
    for line in filter(None, invocation.output.split("\n")):
        json.loads(line, parse_constant=_refuse_constant)
    for values in invocation.values.values():
        assert all(isinstance(value, int | float) for value in values)


def _refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")
