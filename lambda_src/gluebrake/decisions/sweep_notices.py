"""The sections of a notice about a sweep: new findings, and problems."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from operator import attrgetter

from gluebrake.decisions import run_cost
from gluebrake.decisions.notices import MOST_ITEMS, Item, Section, details
from gluebrake.decisions.readable import count, duration
from gluebrake.grouping import grouped
from gluebrake.metrics import Measure
from gluebrake.outcomes import NoticeKind
from gluebrake.policies import Trigger
from gluebrake.sweep_contract import PolicyReport, ReportedRun, SweepReport


def of_report(report: SweepReport, kinds: Collection[NoticeKind]) -> list[Section]:
    """Return a sweep's new findings and problems. The notices of STOP and CONFIRM have the runs to stop."""
    if NoticeKind.POLICIES not in kinds:
        return []
    runs = grouped(report.runs, attrgetter("policy"))
    sections = [_of_policy(policy, runs.get(policy.policy, [])) for policy in report.policies]
    return [*chain.from_iterable(sections), *_incomplete(report)]


def _of_policy(policy: PolicyReport, runs: Sequence[ReportedRun]) -> Iterator[Section]:
    name = policy.policy
    if policy.trigger == Trigger.SIGNAL.value:
        heading = f"A signal for the policy {name}: it matches {count(policy.matched, 'run')}"
        yield Section(f"signal for {name}", f"{heading} and requested {count(policy.stop_requested, 'stop')}")
    if policy.mode == "stop" and policy.over_cap:
        heading = f"The policy {name} matches {policy.stoppable} runs that it may stop, more than its maxRuns"
        yield Section(f"{name} over its cap", f"{heading} of {policy.max_runs}: it stopped none of them")
    matched = [run for run in runs if not run.warning and run.newly_matched]
    if matched and (policy.mode == "report" or policy.over_cap):
        heading = f"The policy {name} newly matches {count(len(matched), 'run')} and stopped none of them"
        yield _listed(f"{len(matched)} over {name}", heading, matched)
    if warned := [run for run in runs if run.warning]:
        heading = f"The policy {name} warns of {count(len(warned), 'run')} near its limit"
        yield _listed(f"{len(warned)} near {name}", heading, warned)


def _listed(brief: str, heading: str, runs: Sequence[ReportedRun]) -> Section:
    return Section(brief, heading, tuple(map(_reported, runs[:MOST_ITEMS])), len(runs))


def _reported(run: ReportedRun) -> Item:
    usual = f", usually {duration(run.usual_minutes * 60)}" if run.usual_minutes is not None else ""
    values = {
        Measure.DPU_HOURS_AT_MOST: run.dpu_hours_at_most,
        Measure.ESTIMATED_COST_USD_AT_MOST: run.estimated_cost_usd_at_most,
    }
    cost = run_cost.in_words(values)
    return Item(
        job_name=run.job_name,
        job_run_id=run.job_run_id,
        what=f"active for {duration(run.minutes * 60)}{usual}" + (f"; {cost} (estimate)" if cost else ""),
        details=details(("state", run.state), ("trigger", run.trigger_name), ("not stopped", run.not_stopped)),
    )


def _incomplete(report: SweepReport) -> Iterator[Section]:
    if not report.complete:
        errors = [Item("", "", "a call failed", details(("error", error))) for error in report.errors]
        not_read = [Item(name, "", "not read whole") for name in report.jobs_not_read]
        items = [*errors, *not_read]
        parts = f"{count(len(not_read), 'job')} not read whole, {count(len(errors), 'error')}"
        heading = f"The sweep is incomplete: {parts}"
        yield Section("sweep incomplete", heading, tuple(items[:MOST_ITEMS]), len(items))
