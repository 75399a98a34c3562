"""Finding a job's active runs, and what becomes of a request for which none was found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import boto3
import pytest

from gluebrake.aws.glue import CallBudget, Glue
from gluebrake.contract import Selection, StopRequest
from gluebrake.decisions.stop_outcomes import decide_listing
from gluebrake.model import TERMINAL_STATES, ActiveRuns, ParsedRequest, RunFacts
from gluebrake.outcomes import Outcome
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import EmptyBody, Fault, Latency, LostAnswer, Refused, Throttle
from tests.unit.parsing.events import SENT_AT, message

PAGES: Final = "GetJobRuns"
LATELY: Final = timedelta(minutes=5)
DENIED: Final = Refused("AccessDeniedException", "You are not allowed")


def _adapter(aws: FakeAws, calls_at_once: int = 8) -> Glue:
    return Glue(boto3.client("glue", **aws.client_options), calls_at_once, "protect", "arn:aws:glue:::job/")


def _search(aws: FakeAws, budget: CallBudget | None = None) -> ActiveRuns:
    return _adapter(aws).find({"etl"}, budget or _pace(), SENT_AT)["etl"]


def _pace(seconds: float = 30) -> CallBudget:
    return CallBudget(lambda: seconds)


def _spent() -> CallBudget:
    budget = _pace(0.5)
    budget.calls["batch_stop_job_run"] += 1
    return budget


def _add(aws: FakeAws, count: int, age: timedelta = LATELY, state: str = "RUNNING", **details: Any) -> None:
    start = len(list(aws.glue))
    for number in range(start, start + count):
        aws.glue.add_run("etl", f"jr_{number}", started_on=SENT_AT - age, state=state, **details)


def _ids(search: ActiveRuns) -> list[str]:
    return sorted(run.run_id for run in search.runs)


class TestSearching:
    """GetJobRuns, page by page."""

    def test_active_runs_are_found(self, aws: FakeAws) -> None:
        """WAITING runs are active, and so are those in a state that nobody knows; what is over is not."""
        for state in ("RUNNING", "STARTING", "WAITING", "PAUSED", "STOPPING", *TERMINAL_STATES):
            aws.glue.add_run("etl", state, started_on=SENT_AT, state=state, stopping_seconds=None)
        search = _search(aws)
        assert search.complete
        assert _ids(search) == ["PAUSED", "RUNNING", "STARTING", "WAITING"]
        assert {run.started_on for run in search.runs} == {SENT_AT}
        assert aws.requests(PAGES) == [{"JobName": "etl", "MaxResults": 200}]

    def test_job_that_never_ran_has_no_runs(self, aws: FakeAws) -> None:
        """A job without runs is searched to its end."""
        aws.glue.add_job("etl")
        assert _search(aws) == ActiveRuns("etl", complete=True)

    def test_search_goes_on_to_the_last_page(self, aws: FakeAws) -> None:
        """All active runs are found, however many pages they fill."""
        _add(aws, 450)
        budget = _pace()
        search = _search(aws, budget)
        assert len(_ids(search)) == len({*_ids(search)}) == 450
        assert search.complete
        assert budget.calls == {"get_job_runs": 3}

    def test_page_that_reaches_back_more_than_eight_days_is_the_last(self, aws: FakeAws) -> None:
        """No run lasts that long, so nothing after such a page can be active."""
        _add(aws, 199)
        _add(aws, 202, timedelta(days=8, seconds=1), state="SUCCEEDED")
        search = _search(aws)
        assert search.complete
        assert len(search.runs) == 199
        assert len(aws.requests(PAGES)) == 1

    def test_page_of_eight_days_is_not_the_last(self, aws: FakeAws) -> None:
        """A page that ends just within eight days is followed by the next one."""
        _add(aws, 200, timedelta(days=8), state="SUCCEEDED")
        _add(aws, 1, timedelta(days=8, seconds=1), state="STARTING")
        assert _ids(_search(aws)) == ["jr_200"]
        assert len(aws.requests(PAGES)) == 2

    def test_page_without_starts_is_not_the_last(self, aws: FakeAws) -> None:
        """Runs of which Glue does not say when they started end no search."""
        _add(aws, 200, StartedOn=None)
        _add(aws, 1, timedelta(days=2))
        search = _search(aws)
        assert len(search.runs) == 201
        assert sum(run.started_on is None for run in search.runs) == 200

    def test_empty_page_is_the_last(self, aws: FakeAws) -> None:
        """A page with a token and no runs does not lead round and round."""

        def empty(_call: Call, _answer: Answer) -> Reply:
            return Reply(payload={"JobRuns": [], "NextToken": "again"})

        aws.faults.add(empty)
        assert _search(aws) == ActiveRuns("etl", complete=True)
        assert len(aws.requests(PAGES)) == 1

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
    def test_search_that_fails_half_way_finds_nothing(
        self, aws: FakeAws, fault: Fault, code: str, page: int
    ) -> None:
        """Part of the runs is no answer: the search has the error, whichever page it befell."""
        _add(aws, 500)
        aws.faults.add(fault, when=lambda _: len(aws.calls) == page)
        search = _search(aws)
        assert (search.job_name, search.complete, search.runs, search.code) == ("etl", False, (), code)
        assert search.error not in {"", "None", None}
        assert len(aws.calls) == page

    def test_unknown_job_is_told(self, aws: FakeAws) -> None:
        """A job that Glue does not know is an error of that search, and not a job without runs."""
        search = _search(aws)
        assert (search.complete, search.code, search.error) == (False, "EntityNotFoundException", "No job etl")

    def test_each_job_has_its_own_search(self, aws: FakeAws) -> None:
        """One job's error is nobody else's."""
        _add(aws, 2)
        aws.glue.add_job("idle")
        searches = _adapter(aws).find(["etl", "idle", "gone"], _pace(), SENT_AT)
        assert {name: (one.complete, len(one.runs)) for name, one in searches.items()} == {
            "etl": (True, 2),
            "idle": (True, 0),
            "gone": (False, 0),
        }
        assert len(aws.calls) == 3

    def test_nothing_to_find_is_no_call(self, aws: FakeAws) -> None:
        """Without selections Glue is not asked."""
        assert _adapter(aws).find([], _pace(), SENT_AT) == {}
        assert not aws.calls

    def test_search_without_time_is_not_started(self, aws: FakeAws) -> None:
        """When no more call may start, the search has no error: it was put off."""
        _add(aws, 1)
        assert _search(aws, _spent()) == ActiveRuns("etl")
        assert not aws.calls

    def test_search_that_runs_out_of_time_between_pages_is_an_error(self, aws: FakeAws) -> None:
        """A search that may not ask for its next page found nothing, and used up an attempt."""
        _add(aws, 201)
        budget = CallBudget(lambda: 30 if not budget.calls else 0.5)
        search = _search(aws, budget)
        assert (search.complete, search.runs, search.code) == (False, (), "NoAnswer")
        assert search.error == "there was no time to read all of the job's runs"
        assert len(aws.calls) == 1

    def test_answer_that_does_not_come_in_time_is_an_error(self, aws: FakeAws) -> None:
        """A search under way at the deadline is tried again; one that waited for its turn is put off."""
        for name in ("etl", "report"):
            aws.glue.add_job(name)
        aws.faults.add(Latency(0.6))
        searches = _adapter(aws, calls_at_once=1).find(["etl", "report"], _pace(0.2), SENT_AT)
        late = "no answer came before the function's deadline"
        assert searches["etl"] == ActiveRuns("etl", code="NoAnswer", error=late)
        assert searches["report"] == ActiveRuns("report")


_BOUNDED: Final = (Outcome.RETRYING, Outcome.RETRYING, Outcome.FAILED)
SETTLED: Final[dict[str, tuple[ActiveRuns, tuple[Outcome, ...]]]] = {
    "no run": (ActiveRuns("etl", complete=True), (Outcome.NO_ACTIVE_RUNS,) * 3),
    "no run that is meant": (
        ActiveRuns("etl", complete=True, runs=(RunFacts("jr_1", "RUNNING"),)),
        (Outcome.NO_ACTIVE_RUNS,) * 3,
    ),
    "not searched": (ActiveRuns("etl"), (Outcome.DEFERRED,) * 3),
    "unknown job": (
        ActiveRuns("etl", code="EntityNotFoundException", error="no job"),
        (Outcome.RETRYING, Outcome.NOT_FOUND, Outcome.NOT_FOUND),
    ),
    **{
        code: (ActiveRuns("etl", code=code, error="it failed"), (Outcome.FAILED,) * 3)
        for code in ("AccessDeniedException", "AccessDenied", "InvalidInputException", "ValidationException")
    },
    **{
        code: (ActiveRuns("etl", code=code, error="it failed"), _BOUNDED)
        for code in ("ThrottlingException", "NoAnswer", "InternalServiceException", "ACodeOfALaterGlue")
    },
}


class TestSettling:
    """What becomes of the request for which a search found no run."""

    @pytest.mark.parametrize(("search", "outcomes"), SETTLED.values(), ids=SETTLED.keys())
    def test_outcome_is_decided_by_a_table(self, search: ActiveRuns, outcomes: tuple[Outcome, ...]) -> None:
        """What the search says decides, at the first attempt, the second and the last."""
        request = StopRequest(job_name="etl", select=Selection(started_before=SENT_AT))
        for attempt, outcome in zip((0, 1, 7), outcomes, strict=True):
            one = ParsedRequest(message("{}", attempt=attempt), request)
            settled = decide_listing(one, search, 8)
            assert settled is not None
            assert (settled.outcome, settled.code) == (outcome, search.code)
            assert (settled.message, settled.request) == (one.message, request)
            assert settled.why

    @pytest.mark.parametrize(
        ("search", "why"),
        [
            (ActiveRuns("etl", complete=True), "no active run is meant"),
            (ActiveRuns("etl"), "there was no time to search"),
            (ActiveRuns("etl", code="Throttling"), "Throttling"),
            (ActiveRuns("etl", code="Throttling", error="Rate exceeded"), "Rate exceeded"),
        ],
    )
    def test_reason_is_the_best_that_is_known(self, search: ActiveRuns, why: str) -> None:
        """Glue's own words count before its code, and that before ours."""
        settled = decide_listing(
            ParsedRequest(message("{}"), StopRequest(job_name="etl", select=Selection())), search, 8
        )
        assert settled is not None
        assert settled.why == why

    def test_unknown_job_is_not_found_at_once_when_there_is_one_attempt(self) -> None:
        """Without another attempt the first answer counts."""
        one = ParsedRequest(message("{}"), StopRequest(job_name="etl", select=Selection()))
        settled = decide_listing(one, ActiveRuns("etl", code="EntityNotFoundException"), 1)
        assert settled is not None
        assert settled.outcome is Outcome.NOT_FOUND

    def test_request_whose_runs_were_found_is_not_settled(self) -> None:
        """What was found is still to be stopped."""
        one = ParsedRequest(message("{}"), StopRequest(job_name="etl", select=Selection()), ("jr_1",))
        assert decide_listing(one, ActiveRuns("etl", complete=True), 8) is None
