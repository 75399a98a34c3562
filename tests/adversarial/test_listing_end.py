"""The end of a job's list of runs: a page without a token, or one whose runs are too old to be active."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest

from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.simulated_aws import SimulatedAws

EVERY_RUN: Final = '{"JobName": "etl", "Select": {}}'
DAY: Final = timedelta(days=1)


@pytest.mark.parametrize("days", [8.1, 10, 14.12])
def test_streaming_run_behind_many_younger_runs_is_stopped(simulation: SimulatedAws, days: float) -> None:
    """A streaming run may last until the maintenance window after its seventh day, so up to two weeks."""
    now = simulation.clock()
    simulation.aws.glue.add_run("etl", "old", started_on=now - days * DAY)
    for number in range(220):
        started_on = now - (days - 0.1) * DAY * (number + 1) / 220
        simulation.aws.glue.add_run("etl", f"jr_{number}", state="SUCCEEDED", started_on=started_on)
    simulation.put(EVERY_RUN)
    simulation.run()
    assert simulation.history("etl", "old") == ["StopSubmitted", "Stopped"]


@pytest.mark.parametrize("empty_pages", [1, 2])
def test_empty_page_with_a_token_is_not_the_last(simulation: SimulatedAws, empty_pages: int) -> None:
    """Glue returns a token if not all runs have been returned, also with an empty page."""
    _add_run(simulation)
    simulation.put(EVERY_RUN)
    tokens: list[str | None] = []

    def begin_empty(call: Call, answer: Answer) -> Reply:
        """Answer with empty pages before the first page."""
        tokens.append(call.parameters.get("NextToken"))
        if len(tokens) > empty_pages:
            call = call._replace(parameters={"JobName": "etl"})
            return answer(call)
        return Reply(payload={"JobRuns": [], "NextToken": f"page {len(tokens)}"})

    simulation.aws.faults.add(begin_empty, operation="GetJobRuns")
    simulation.run()
    assert simulation.history("etl", "jr_1") == ["StopSubmitted", "Stopped"]
    assert tokens == [None, *(f"page {number + 1}" for number in range(empty_pages))]


@pytest.mark.parametrize("token", ["", None])
def test_empty_token_is_the_end(simulation: SimulatedAws, token: str | None) -> None:
    """An empty token means that there is no further page."""
    _add_run(simulation)
    simulation.put(EVERY_RUN)
    _answer_with_token(simulation, token)
    simulation.run()
    assert simulation.history("etl", "jr_1") == ["StopSubmitted", "Stopped"]
    assert len(simulation.aws.requests("GetJobRuns")) == 1


@pytest.mark.parametrize("response", [{}, {"JobRuns": None, "NextToken": "1"}, {"JobRuns": 5}])
def test_page_without_a_list_is_an_error(simulation: SimulatedAws, response: dict[str, Any]) -> None:
    """A response that has no list of runs does not mean that the job has no active run."""
    _add_run(simulation)
    simulation.put(EVERY_RUN)
    simulation.aws.faults.add(lambda _call, _answer: Reply(payload=response), operation="GetJobRuns", times=1)
    simulation.run()
    assert simulation.counts["Retrying"] == 1
    assert simulation.history("etl", "jr_1") == ["StopSubmitted", "Stopped"]


def test_repeated_token_fails_at_once(simulation: SimulatedAws) -> None:
    """A token that occurs twice in a row is an error: each attempt makes two calls, and the last one fails."""
    _add_run(simulation)
    simulation.put(EVERY_RUN)
    _answer_with_token(simulation, "again")
    simulation.run()
    assert len(simulation.aws.requests("GetJobRuns")) == 2 * 8
    assert simulation.counts["Failed"] == 1
    ((body, code, error, _),) = simulation.dead_letters()
    assert (body["JobName"], code) == ("etl", "NoAnswer")
    assert "NextToken" in error


def test_repeated_token_does_not_keep_states_from_being_read(simulation: SimulatedAws) -> None:
    """Two runs of which one is not on the pages are confirmed, although the pages have no end."""
    for run_id in ("jr_1", "jr_2", "jr_3"):
        simulation.aws.glue.add_run("etl", run_id)
    simulation.request_stop("etl", "jr_1", "jr_2", "jr_3")
    _answer_with_token(simulation, "again", runs=[])
    simulation.run()
    assert {run_id: simulation.history("etl", run_id)[-1] for run_id in ("jr_1", "jr_2", "jr_3")} == {
        "jr_1": "Stopped",
        "jr_2": "Stopped",
        "jr_3": "Stopped",
    }


def _add_run(simulation: SimulatedAws) -> None:
    simulation.aws.glue.add_run("etl", "jr_1", started_on=simulation.clock() - DAY)


def _answer_with_token(simulation: SimulatedAws, token: str | None, **changes: Any) -> None:
    """Let each page have the token, and always be the first page."""

    def add_token(call: Call, answer: Answer) -> Reply:
        """Replace the token in the reply."""
        reply = answer(call._replace(parameters={"JobName": call.parameters["JobName"]}))
        runs = changes.get("runs", reply.payload["JobRuns"])
        return Reply(payload={"JobRuns": runs, "NextToken": token})

    simulation.aws.faults.add(add_token, operation="GetJobRuns")
