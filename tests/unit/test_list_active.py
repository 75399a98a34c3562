"""Tests of listing a job's active runs, and of the result of a selection that matches none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import boto3
import pytest

from gluebrake.aws import glue_responses
from gluebrake.aws.call_budget import CallBudget
from gluebrake.aws.glue import Glue
from gluebrake.contract import Selection, StopRequest
from gluebrake.decisions.stop_outcomes import decide_listing
from gluebrake.model import TERMINAL_STATES, ActiveRuns, MessageResult, ParsedRequest, RunFacts
from gluebrake.outcomes import Outcome
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import EmptyBody, Fault, Latency, LostAnswer, Refused, Throttle
from tests.unit.parsing.events import SENT_AT, message

PAGES: Final = "GetJobRuns"
RECENTLY: Final = timedelta(minutes=5)
DENIED: Final = Refused("AccessDeniedException", "You are not allowed")


def _glue(aws: FakeAws, calls_at_once: int = 8) -> Glue:
    return Glue(boto3.client("glue", **aws.client_options), calls_at_once, "protect", "arn:aws:glue:::job/")


def _list(aws: FakeAws, budget: CallBudget | None = None) -> ActiveRuns:
    return _glue(aws).list_active({"etl": None}, budget or _budget(), SENT_AT)["etl"]


def _budget(seconds: float = 30) -> CallBudget:
    return CallBudget(lambda: seconds)


def _exhausted() -> CallBudget:
    budget = _budget(0.5)
    budget.calls["batch_stop_job_run"] += 1
    return budget


def _add(aws: FakeAws, count: int, age: timedelta = RECENTLY, state: str = "RUNNING", **details: Any) -> None:
    start = len(list(aws.glue))
    for number in range(start, start + count):
        aws.glue.add_run("etl", f"jr_{number}", started_on=SENT_AT - age, state=state, **details)


def _ids(active: ActiveRuns) -> list[str]:
    return sorted(run.run_id for run in active.runs)


class TestListing:
    """`list_active` reads the pages of GetJobRuns."""

    def test_runs_that_are_not_over_are_listed(self, aws: FakeAws) -> None:
        """A run that is stopping is listed, and is not active. A run in an unknown state is active."""
        for state in ("RUNNING", "STARTING", "WAITING", "PAUSED", "STOPPING", *TERMINAL_STATES):
            aws.glue.add_run("etl", state, started_on=SENT_AT, state=state, stopping_seconds=None)
        active = _list(aws)
        assert active.complete
        assert _ids(active) == ["PAUSED", "RUNNING", "STARTING", "STOPPING", "WAITING"]
        assert [run.run_id for run in active.runs if not run.is_active] == ["STOPPING"]
        assert {run.started_on for run in active.runs} == {SENT_AT}
        assert aws.requests(PAGES) == [{"JobName": "etl", "MaxResults": 200}]

    def test_listed_run_has_its_arguments_and_its_previous_run(self, aws: FakeAws) -> None:
        """A selection by arguments, and a request for attempts, read them in the list."""
        _add(aws, 1, Arguments={"--day": "1"}, PreviousRunId="jr_0")
        (run,) = _list(aws).runs
        assert (run.arguments, run.previous_run_id) == ({"--day": "1"}, "jr_0")

    @pytest.mark.parametrize("value", [None, 5, [], "", "two\nlines", {"--day": 1, "--none": None}])
    def test_unusable_arguments_and_previous_run_are_none(self, value: Any) -> None:
        """A run remains usable if Glue gives it arguments or a previous run of another type."""
        run = glue_responses.run_facts(
            {"Id": "jr_1", "JobRunState": "RUNNING", "Arguments": value, "PreviousRunId": value}
        )
        assert run is not None
        assert run.previous_run_id == ""
        assert run.arguments == (value if isinstance(value, dict) else {})

    def test_job_that_never_ran_has_no_runs(self, aws: FakeAws) -> None:
        """The listing of a job without runs is complete."""
        aws.glue.add_job("etl")
        assert _list(aws) == ActiveRuns("etl", complete=True)

    def test_listing_reads_all_pages(self, aws: FakeAws) -> None:
        """All active runs are listed, however many pages they fill."""
        _add(aws, 450)
        budget = _budget()
        active = _list(aws, budget)
        assert len(_ids(active)) == len({*_ids(active)}) == 450
        assert active.complete
        assert budget.calls == {"get_job_runs": 3}

    def test_page_that_reaches_back_more_than_15_days_is_the_last(self, aws: FakeAws) -> None:
        """No run lasts that long, so no run on a later page can be active."""
        _add(aws, 199)
        _add(aws, 202, timedelta(days=15, seconds=1), state="SUCCEEDED")
        active = _list(aws)
        assert active.complete
        assert len(active.runs) == 199
        assert len(aws.requests(PAGES)) == 1

    def test_page_of_15_days_is_not_the_last(self, aws: FakeAws) -> None:
        """After a page whose oldest run is exactly 15 days old the next page is read."""
        _add(aws, 200, timedelta(days=15), state="SUCCEEDED")
        _add(aws, 1, timedelta(days=15, seconds=1), state="STARTING")
        assert _ids(_list(aws)) == ["jr_200"]
        assert len(aws.requests(PAGES)) == 2

    def test_page_without_start_times_is_not_the_last(self, aws: FakeAws) -> None:
        """Runs without StartedOn do not end the listing."""
        _add(aws, 200, StartedOn=None)
        _add(aws, 1, timedelta(days=2))
        active = _list(aws)
        assert len(active.runs) == 201
        assert sum(run.started_on is None for run in active.runs) == 200

    def test_repeated_token_is_an_error(self, aws: FakeAws) -> None:
        """Pages that always have the same token do not lead to an endless loop."""

        def empty(_call: Call, _answer: Answer) -> Reply:
            return Reply(payload={"JobRuns": [], "NextToken": "again"})

        aws.faults.add(empty)
        active = _list(aws)
        assert (active.complete, active.runs, active.code) == (False, (), "NoAnswer")
        assert len(aws.requests(PAGES)) == 2

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (Throttle(), "ThrottlingException"),
            (DENIED, "AccessDeniedException"),
            (Refused("InternalServiceException", "Oh", status=500), "InternalServiceException"),
            (LostAnswer(), "ConnectionClosedError"),
            (EmptyBody(), "NoAnswer"),
        ],
    )
    @pytest.mark.parametrize("page", [1, 2, 3])
    def test_failed_listing_has_no_runs(self, aws: FakeAws, fault: Fault, code: str, page: int) -> None:
        """A part of the runs is not a listing: it has the error of the failed page, whichever page that is."""
        _add(aws, 500)
        aws.faults.add(fault, when=lambda _: len(aws.calls) == page)
        active = _list(aws)
        assert (active.job_name, active.complete, active.runs, active.code) == ("etl", False, (), code)
        assert active.error not in {"", "None", None}
        assert len(aws.calls) == page

    def test_unknown_job_is_an_error(self, aws: FakeAws) -> None:
        """The listing of an unknown job has an error, and is not that of a job without runs."""
        active = _list(aws)
        assert (active.complete, active.code, active.error) == (False, "EntityNotFoundException", "No job etl")

    def test_each_job_has_its_own_list(self, aws: FakeAws) -> None:
        """The error of a job does not affect other jobs."""
        _add(aws, 2)
        aws.glue.add_job("idle")
        listings = _glue(aws).list_active(dict.fromkeys(["etl", "idle", "gone"]), _budget(), SENT_AT)
        assert {name: (active.complete, len(active.runs)) for name, active in listings.items()} == {
            "etl": (True, 2),
            "idle": (True, 0),
            "gone": (False, 0),
        }
        assert len(aws.calls) == 3

    def test_no_job_is_no_call(self, aws: FakeAws) -> None:
        """Without selections there is no call to Glue."""
        assert _glue(aws).list_active({}, _budget(), SENT_AT) == {}
        assert not aws.calls

    def test_listing_with_an_exhausted_budget_does_not_start(self, aws: FakeAws) -> None:
        """If no call may start, the listing has no error, so that the request is deferred."""
        _add(aws, 1)
        assert _list(aws, _exhausted()) == ActiveRuns("etl")
        assert not aws.calls

    def test_listing_without_time_for_its_next_page_is_an_error(self, aws: FakeAws) -> None:
        """A listing that may not read its next page has no runs and an error, so that an attempt is used."""
        _add(aws, 201)
        budget = CallBudget(lambda: 30 if not budget.calls else 0.5)
        active = _list(aws, budget)
        assert (active.complete, active.runs, active.code) == (False, (), "NoAnswer")
        assert active.error == "there was no time to read all of the job's runs"
        assert len(aws.calls) == 1

    def test_page_that_cannot_be_read_is_an_error(self, aws: FakeAws) -> None:
        """An exception of botocore or of this code fails the listing of its job only."""
        _add(aws, 1)
        aws.glue.add_run("other", "jr_9", started_on=SENT_AT - RECENTLY)

        def answer(call: Call, answer: Answer) -> Reply:
            is_other = call.parameters["JobName"] == "other"
            return answer(call) if is_other else Reply(payload={"JobRuns": [{"StartedOn": "soon"}]})

        aws.faults.add(answer, operation=PAGES)
        listed = _glue(aws).list_active({"etl": None, "other": None}, _budget(), SENT_AT)
        assert (listed["etl"].code, listed["etl"].runs) == ("NoAnswer", ())
        assert _ids(listed["other"]) == ["jr_9"]

    def test_late_answer_is_an_error(self, aws: FakeAws) -> None:
        """A listing that is running at the deadline is retried. One that has not started is deferred."""
        for name in ("etl", "report"):
            aws.glue.add_job(name)
        aws.faults.add(Latency(0.6))
        listings = _glue(aws, calls_at_once=1).list_active(
            dict.fromkeys(["etl", "report"]), _budget(0.2), SENT_AT
        )
        late = "no answer arrived before the function's deadline"
        assert listings["etl"] == ActiveRuns("etl", code="NoAnswer", error=late)
        assert listings["report"] == ActiveRuns("report")


_RETRIED: Final = (Outcome.RETRYING, Outcome.RETRYING, Outcome.FAILED)
OUTCOMES: Final[dict[str, tuple[ActiveRuns, tuple[Outcome, ...]]]] = {
    "no run": (ActiveRuns("etl", complete=True), (Outcome.NO_ACTIVE_RUNS,) * 3),
    "no matching run": (
        ActiveRuns("etl", complete=True, runs=(RunFacts("jr_1", "RUNNING"),)),
        (Outcome.NO_ACTIVE_RUNS,) * 3,
    ),
    "not listed": (ActiveRuns("etl"), (Outcome.DEFERRED,) * 3),
    "unknown job": (
        ActiveRuns("etl", code="EntityNotFoundException", error="no job"),
        (Outcome.RETRYING, Outcome.NOT_FOUND, Outcome.NOT_FOUND),
    ),
    **{
        code: (ActiveRuns("etl", code=code, error="it failed"), (Outcome.FAILED,) * 3)
        for code in ("AccessDeniedException", "AccessDenied", "InvalidInputException", "ValidationException")
    },
    **{
        code: (ActiveRuns("etl", code=code, error="it failed"), _RETRIED)
        for code in ("ThrottlingException", "NoAnswer", "InternalServiceException", "ACodeOfALaterGlue")
    },
}


class TestDecision:
    """The result of a selection that matches no run."""

    @pytest.mark.parametrize(("active", "outcomes"), OUTCOMES.values(), ids=OUTCOMES.keys())
    def test_listing_decides_the_outcome(self, active: ActiveRuns, outcomes: tuple[Outcome, ...]) -> None:
        """The listing decides, at the first attempt, the second and the last."""
        request = StopRequest(job_name="etl", select=Selection(started_before=SENT_AT))
        for attempt, outcome in zip((0, 1, 7), outcomes, strict=True):
            parsed = ParsedRequest(message("{}", attempt=attempt), request)
            result = decide_listing(parsed, active, 8)
            assert result is not None
            assert (result.outcome, result.code) == (outcome, active.code)
            assert (result.message, result.request) == (parsed.message, request)
            assert result.why

    @pytest.mark.parametrize(
        ("active", "why"),
        [
            (ActiveRuns("etl", complete=True), "the selection matches no active run"),
            (ActiveRuns("etl"), "there was no time to list the job's runs"),
            (ActiveRuns("etl", code="Throttling"), "Throttling"),
            (ActiveRuns("etl", code="Throttling", error="Rate exceeded"), "Rate exceeded"),
        ],
    )
    def test_reason_is_the_most_specific(self, active: ActiveRuns, why: str) -> None:
        """The reason is Glue's message, else its code, else a sentence of Gluebrake."""
        parsed = ParsedRequest(message("{}"), StopRequest(job_name="etl", select=Selection()))
        result = decide_listing(parsed, active, 8)
        assert result is not None
        assert result.why == why

    def test_unknown_job_is_not_found_at_once_with_one_attempt(self) -> None:
        """Without a second attempt the first listing decides."""
        parsed = ParsedRequest(message("{}"), StopRequest(job_name="etl", select=Selection()))
        result = decide_listing(parsed, ActiveRuns("etl", code="EntityNotFoundException"), 1)
        assert result is not None
        assert result.outcome is Outcome.NOT_FOUND

    @pytest.mark.parametrize("run_ids", [(), ("jr_1",)])
    def test_pattern_that_glue_does_not_know_is_not_found_at_once(self, run_ids: tuple[str, ...]) -> None:
        """A JobName with an asterisk has no second attempt, and the reason says what a request names."""
        request = StopRequest(job_name="etl-*", select=Selection())
        active = ActiveRuns("etl-*", code="EntityNotFoundException", error="no job")
        result = decide_listing(ParsedRequest(message("{}"), request, run_ids), active, 8)
        assert result is not None
        assert (result.outcome, result.code) == (Outcome.NOT_FOUND, "EntityNotFoundException")
        assert result.why == "JobName: names one job and takes no pattern; send a stop request for each job"

    @pytest.mark.parametrize("active", [ActiveRuns("etl-*"), ActiveRuns("etl-*", code="ThrottlingException")])
    def test_pattern_is_retried_while_glue_does_not_answer(self, active: ActiveRuns) -> None:
        """Only Glue knows whether there is a job of that name."""
        request = StopRequest(job_name="etl-*", select=Selection())
        result = decide_listing(ParsedRequest(message("{}"), request), active, 8)
        assert result is not None
        assert result.outcome in {Outcome.DEFERRED, Outcome.RETRYING}
        assert "pattern" not in result.why

    def test_named_runs_wait_for_the_list_of_their_attempts(self) -> None:
        """A request whose attempts could not be listed has a result as a whole, although it names runs."""
        request = StopRequest("etl", ("jr_1",), include_attempts=True, attempts_started_before=SENT_AT)
        parsed = ParsedRequest(message("{}"), request, ("jr_1",))
        result = decide_listing(parsed, ActiveRuns("etl", code="ThrottlingException"), 8)
        assert result == MessageResult(
            parsed.message, Outcome.RETRYING, "ThrottlingException", "ThrottlingException", request
        )
        assert decide_listing(parsed, ActiveRuns("etl", complete=True), 8) is None

    def test_request_with_matching_runs_has_no_result_yet(self) -> None:
        """The matching runs are not stopped yet."""
        parsed = ParsedRequest(message("{}"), StopRequest(job_name="etl", select=Selection()), ("jr_1",))
        assert decide_listing(parsed, ActiveRuns("etl", complete=True), 8) is None
