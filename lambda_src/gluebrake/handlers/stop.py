"""The STOP function: stops the runs that stop requests name or select."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from gluebrake import runtime, wiring
from gluebrake.aws.call_budget import CallBudget
from gluebrake.aws.glue import Glue
from gluebrake.contract import StopRequest
from gluebrake.decisions import planning
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import IDS_IN_A_MESSAGE, Backoff, RetryPolicy
from gluebrake.decisions.selection import listed_since, select
from gluebrake.decisions.stop_outcomes import decide_listing, decide_stops
from gluebrake.dispatch import StageResult
from gluebrake.grouping import grouped
from gluebrake.lambda_event import Bookkeeping
from gluebrake.metrics import Count
from gluebrake.model import Message, MessageResult, ParsedRequest
from gluebrake.parsing import dispatcher
from gluebrake.settings import StopSettings, load
from gluebrake.stages import Queue
from gluebrake.telemetry import Telemetry
from gluebrake.wiring import Dependencies


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class StopDependencies(Dependencies):
    """What STOP depends on."""

    glue: Glue
    limits: Limits
    max_attempts: int
    observe: bool = False
    """Whether each request is a dry run, even if it does not set `DryRun`."""


def handler(event: Any, context: Any, dependencies: StopDependencies | None = None) -> dict[str, Any]:
    """Handle messages of the stop queue, or a direct invocation."""
    return runtime.invoke(event, context, dependencies or _dependencies(), parse=dispatcher.parse, work=work)


def work(
    requests: Sequence[tuple[Message, StopRequest]], dependencies: StopDependencies, budget: CallBudget
) -> StageResult:
    """List the runs of selections, plan the calls, stop the runs, and decide the outcome of each run."""
    parsed = [ParsedRequest.of(message, request) for message, request in requests]
    if dependencies.observe:
        parsed = [planning.as_dry_run(request) for request in parsed]
    named, unmatched = resolve(parsed, dependencies, budget)
    plan = planning.plan(named, dependencies.limits)
    message_results = [*unmatched, *plan.message_results]
    budget.reserve_for_dispatch(plan.targets + len(message_results))
    time = dependencies.clock()
    findings = [
        *dependencies.glue.stop(plan.stops, budget),
        *dependencies.glue.dry_run(plan.dry_runs, budget),
    ]
    results = [*plan.results, *decide_stops(findings, dependencies.max_attempts)]
    counts = {Count.RUNS_REQUESTED: plan.requested, Count.DUPLICATE_RUNS: plan.duplicates}
    return StageResult(time, results, message_results, counts)


def resolve(
    requests: Iterable[ParsedRequest], dependencies: StopDependencies, budget: CallBudget
) -> tuple[list[ParsedRequest], list[MessageResult]]:
    """Add to each request the ids of all runs that it means. Return a result for each request without runs."""
    named: list[ParsedRequest] = []
    unresolved: list[ParsedRequest] = []
    results: list[MessageResult] = []
    for parsed in requests:
        if not parsed.needs_listing:
            named.append(parsed)
        elif rejection := dependencies.limits.rejection(parsed.request.job_name):
            outcome, code, why = rejection
            results.append(MessageResult(parsed.message, outcome, why, code, parsed.request))
        else:
            unresolved.append(parsed)
    if not unresolved:
        return named, results
    budget.reserve_for_dispatch(sum(len(parsed.run_ids) for parsed in named) + len(unresolved) + len(results))
    since = {
        job_name: min(filter(None, map(listed_since, of_job)), default=None)
        for job_name, of_job in grouped(unresolved, attrgetter("request.job_name")).items()
    }
    listed = dependencies.glue.list_active(since, budget, dependencies.clock())
    for parsed in unresolved:
        of_job = listed[parsed.request.job_name]
        resolved = select(parsed, of_job)
        if result := decide_listing(resolved, of_job, dependencies.max_attempts):
            results.append(result)
        else:
            named.append(resolved)
    return named, results


def build_dependencies(environ: Mapping[str, str]) -> StopDependencies:
    """Build the function's dependencies from its environment variables."""
    settings = load(StopSettings, environ)
    return StopDependencies(
        aws_environment=replace(
            wiring.aws_environment(settings),
            alarm_namespaces=settings.alarm_namespaces,
            alarm_accounts=settings.alarm_accounts,
        ),
        glue=wiring.glue(settings, protect_tag=settings.protect_tag),
        queues=wiring.queues(
            settings, {Queue.STOP: settings.stop_queue_url, Queue.CONFIRM: settings.confirm_queue_url}
        ),
        event_bus=wiring.event_bus(settings),
        prices=settings.price_per_dpu_hour,
        notice_topic=wiring.notice_topic(settings),
        notify_on=frozenset(settings.notify_on),
        telemetry=Telemetry("stop", observe=settings.observe, detailed=settings.detailed_metrics),
        limits=Limits(settings.jobs, settings.protected_jobs, settings.max_runs_per_request),
        retry_policy=RetryPolicy(
            delays={
                Queue.STOP: Backoff(*settings.retry_seconds, first_attempt=1),
                Queue.CONFIRM: Backoff(*settings.confirm_seconds, first_attempt=0),
            },
            deadline_seconds=settings.confirm_deadline_seconds,
            ids_in_a_message=min(IDS_IN_A_MESSAGE, settings.max_runs_per_request),
        ),
        bookkeeping=Bookkeeping(
            "stop",
            settings.max_attempts,
            frozenset(settings.trusted_sender_ids),
            frozenset(settings.sweep_sender_ids),
        ),
        queue=Queue.STOP,
        max_attempts=settings.max_attempts,
        observe=settings.observe,
    )


@cache
def _dependencies() -> StopDependencies:
    return build_dependencies(os.environ)


if wiring.initialised_by_lambda():
    _dependencies()
