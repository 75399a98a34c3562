"""Which outcomes a notice names, and what it says of them and of a sweep."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gluebrake.decisions.notices import MOST_ITEMS, Section, of_outcomes
from gluebrake.decisions.sweep_notices import of_report
from gluebrake.metrics import Measure
from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import OUTCOMES, NoticeKind, Outcome
from gluebrake.policies import DuePolicy, Trigger
from gluebrake.sweep_contract import SweepReport
from gluebrake.sweeping import Sweep
from tests.support.builders import NOON, message, request, result
from tests.support.sweeps import concluded, due, reading, run

pytestmark = pytest.mark.disable_socket

KINDS = frozenset(NoticeKind)
NOTICED = {
    Outcome.STOPPED: NoticeKind.STOPPED,
    Outcome.STOP_TIMED_OUT: NoticeKind.NOT_STOPPED,
    Outcome.UNCONFIRMED: NoticeKind.NOT_STOPPED,
    Outcome.FAILED: NoticeKind.NOT_STOPPED,
    Outcome.NOT_FOUND: NoticeKind.NOT_STOPPED,
    Outcome.NOT_ALLOWED: NoticeKind.NOT_STOPPED,
    Outcome.TOO_MANY_RUNS: NoticeKind.NOT_STOPPED,
}


def _of(
    *results: RunResult | MessageResult, undelivered: str = "", kinds: frozenset[NoticeKind] = KINDS
) -> Any:
    return of_outcomes(
        [item for item in results if isinstance(item, RunResult)],
        [item for item in results if isinstance(item, MessageResult)],
        {undelivered},
        kinds,
    )


class TestOutcomes:
    """The outcomes of stop requests."""

    @pytest.mark.parametrize("outcome", Outcome)
    def test_table_says_which_outcomes_are_noticed(self, outcome: Outcome) -> None:
        """What was stopped and what could not be stopped are noticed, and nothing else."""
        assert OUTCOMES[outcome].notice == NOTICED.get(outcome)
        of_message = MessageResult(message(), outcome, "why", request=request())
        for noticed in (result(outcome), of_message):
            assert bool(_of(noticed)) is (outcome in NOTICED)

    @pytest.mark.parametrize("outcome", NOTICED)
    def test_dry_run_gives_no_notice(self, outcome: Outcome) -> None:
        """A dry run neither stops a run nor fails to."""
        of_message = MessageResult(message(), outcome, "why", request=request(dry_run=True))
        assert _of(result(outcome, dry_run=True), of_message) == []

    def test_message_that_cannot_be_read_gives_no_notice(self) -> None:
        """Otherwise a notice on a queue of the stack could lead to another."""
        assert _of(MessageResult(message("{"), Outcome.NOT_ALLOWED, "why")) == []

    def test_message_that_sqs_redelivers_gives_no_notice_yet(self) -> None:
        """Its outcome is decided again at the next delivery."""
        of_message = MessageResult(message(), Outcome.TOO_MANY_RUNS, "why", request=request())
        assert _of(result(Outcome.STOPPED, message_ids=("m-1",)), of_message, undelivered="m-1") == []
        assert _of(result(Outcome.STOPPED, message_ids=("m-1", "m-2")), undelivered="m-1")

    def test_kinds_that_are_not_configured_are_left_out(self) -> None:
        """Each kind of outcome is a section of its own."""
        results = (result(Outcome.FAILED), result(Outcome.STOPPED), result(Outcome.STOPPED))
        assert [section.heading for section in _of(*results)] == ["Stopped: 2", "Could not be stopped: 1"]
        (section,) = _of(*results, kinds=frozenset({NoticeKind.NOT_STOPPED}))
        assert section.brief == "1 not stopped"

    def test_first_runs_are_named_and_all_are_counted(self) -> None:
        """A section has no more items than a notice names."""
        (section,) = _of(*(result(Outcome.STOPPED, run_id=f"jr_{n}") for n in range(1000)))
        assert (len(section.items), section.total) == (MOST_ITEMS, 1000)
        assert section.brief == "1000 stopped"

    def test_item_says_who_why_and_how_much(self) -> None:
        """A claim of the request is labelled as one. Dollars are labelled as an estimate."""
        measures = {
            Measure.TIME_TO_STOP: 42.0,
            Measure.DPU_HOURS_CONSUMED: 3.2,
            Measure.ESTIMATED_COST_USD: 1.408,
            Measure.FURTHER_COST_USD_AT_MOST: 12.5,
        }
        stopped = replace(result(Outcome.STOPPED, sender="AROASTOP:sweep", via="schedule"), measures=measures)
        ((item,),) = (section.items for section in _of(stopped))
        assert (item.job_name, item.job_run_id) == ("etl", "jr_1")
        assert item.what == (
            "stopped after 42 s; 3.2 DPU-hours, about $1.41 (estimate);"
            " until its Timeout it could have cost at most $12.50 more (estimate)"
        )
        assert item.details == (
            ("why", "over budget"),
            ("requested by, by its own words", "guardrail/nightly"),
            ("sender", "AROASTOP:sweep"),
            ("through", "schedule"),
        )

    def test_failure_has_its_meaning_and_its_error(self) -> None:
        """Without an error text its code is shown, and what is unknown is left out."""
        failed = replace(result(Outcome.FAILED, sender="", reason=None, requested_by=None), code="AccessDenied")
        ((item,),) = (section.items for section in _of(replace(failed, target=replace(failed.target, via=""))))
        assert item.what == f"Failed: {OUTCOMES[Outcome.FAILED].meaning}"
        assert item.details[0] == ("error", "AccessDenied")

    def test_stopped_run_without_measures(self) -> None:
        """What Glue does not report is left out."""
        ((item,),) = (section.items for section in _of(result(Outcome.STOPPED)))
        assert item.what == "stopped"


def _report(*policies: DuePolicy, complete: bool = True) -> SweepReport:
    """Report a sweep of a job with runs of 61, 90 and 55 minutes."""
    job = reading(*(run(f"jr_{minutes}", minutes=minutes) for minutes in (61, 90, 55)))
    errors = () if complete else ("ListJobs: throttled",)
    swept = Sweep(concluded(policies, job), () if complete else ("etl",), errors)
    return swept.report(NOON)


def _sections(*policies: DuePolicy, complete: bool = True) -> list[Section]:
    return of_report(_report(*policies, complete=complete), KINDS)


class TestSweeps:
    """What a sweep found."""

    def test_run_is_named_once_when_it_crosses_the_limit(self) -> None:
        """With a rate, only the runs that crossed the limit since the sweep before are new."""
        (section,) = _sections(due(max_minutes=60, mode="report", schedule="rate(15 minutes)"))
        assert section.heading == "The policy runaway newly matches 1 run and stopped none of them"
        assert [item.job_run_id for item in section.items] == ["jr_61"]
        assert section.brief == "1 over runaway"

    @pytest.mark.parametrize("schedule", [None, "cron(0 20 * * ? *)"])
    def test_without_a_rate_all_matches_are_named(self, schedule: str | None) -> None:
        """A policy with a cron expression sweeps rarely."""
        (section,) = _sections(due(max_minutes=60, mode="report", schedule=schedule))
        assert [item.job_run_id for item in section.items] == ["jr_61", "jr_90"]

    def test_item_says_how_long_and_how_much(self) -> None:
        """The cost of an active run is an upper bound."""
        (section,) = _sections(due(max_minutes=60, mode="report", schedule="rate(15 minutes)"))
        assert section.items[0].what == "active for 1 h 1 min; at most 10 DPU-hours and about $4.47 (estimate)"

    def test_runs_that_a_sweep_asked_to_stop_are_not_named(self) -> None:
        """CONFIRM notices what became of them."""
        assert _sections(due(max_minutes=60, mode="stop")) == []

    def test_warning_is_named(self) -> None:
        """A warning is new by its nature."""
        policy = due(max_minutes=60, mode="stop", warn_at_percent=90, schedule="rate(15 minutes)")
        (section,) = _sections(policy)
        assert section.heading == "The policy runaway warns of 1 run near its limit"
        assert [item.job_run_id for item in section.items] == ["jr_55"]

    def test_policy_over_its_cap_says_that_it_stopped_nothing(self) -> None:
        """The runs are named as well."""
        over_cap, matched = _sections(due(max_minutes=60, mode="stop", max_runs=1))
        assert over_cap.heading == (
            "The policy runaway matches 2 runs that it may stop, more than its maxRuns of 1:"
            " it stopped none of them"
        )
        assert matched.total == 2

    @pytest.mark.parametrize("mode", ["report", "stop"])
    def test_each_signal_is_noticed(self, mode: str) -> None:
        """A signal is rare, and its effect is expected."""
        stops = 2 if mode == "stop" else 0
        sections = _sections(replace(due(max_minutes=60, mode=mode), trigger=Trigger.SIGNAL))
        assert sections[0].heading == (
            f"A signal for the policy runaway: it matches 2 runs and requested {stops} stops"
        )

    def test_incomplete_sweep_names_errors_and_jobs(self) -> None:
        """What was not read may run away."""
        (section,) = _sections(due(max_minutes=600), complete=False)
        assert section.heading == "The sweep is incomplete: 1 job not read whole, 1 error"
        assert [item.job_name for item in section.items] == ["", "etl"]

    def test_nothing_new_is_no_notice(self) -> None:
        """A sweep that finds nothing says nothing."""
        assert _sections(due(max_minutes=600)) == []

    def test_policies_that_are_not_configured_are_left_out(self) -> None:
        """The kind `policies` stands for all of it."""
        kinds = KINDS - {NoticeKind.POLICIES}
        assert of_report(_report(due(max_minutes=60, mode="report"), complete=False), kinds) == []
