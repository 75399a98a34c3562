"""The SWEEP function: applies guardrail policies to the jobs of its account. It cannot stop a run itself."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gluebrake import policies, runtime, wiring
from gluebrake.aws.call_budget import CallBudget
from gluebrake.aws.job_reader import JobReader, Pace
from gluebrake.decisions.due_policies import due_policies
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import IDS_IN_A_MESSAGE, RetryPolicy
from gluebrake.decisions.sweep_conclusion import stop_messages
from gluebrake.decisions.sweep_notices import of_report
from gluebrake.dispatch import StageResult
from gluebrake.lambda_event import Bookkeeping
from gluebrake.metrics import Count
from gluebrake.model import Message
from gluebrake.parsing import sweep_request
from gluebrake.policies import POLICIES_FILE, DueRequest, Policy
from gluebrake.settings import SweepSettings, load
from gluebrake.stages import Queue
from gluebrake.sweeping import Sweep, sweep
from gluebrake.telemetry import Telemetry
from gluebrake.wiring import Dependencies

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

_PACKAGE: Final = Path(__file__).parents[2]

# The seconds that are left of the function's time after the last job is read, and after the last tag is read.
_SECONDS_TO_CONCLUDE: Final = 120.0
_SECONDS_TO_REQUEST: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SweepDependencies(Dependencies):
    """What SWEEP depends on. `signals` has the policy of each signal topic, by the topic's ARN."""

    policies: tuple[Policy, ...]
    signals: Mapping[str, str]
    limits: Limits
    make_reader: Callable[[CallBudget], JobReader]
    ids_in_a_message: int
    shuffle: Callable[[list[str]], None] = random.shuffle


def handler(event: Any, context: Any, dependencies: SweepDependencies | None = None) -> dict[str, Any]:
    """Handle messages of the sweep queue."""
    dependencies = dependencies or _dependencies()
    parse = partial(sweep_request.parse, signals=dependencies.signals)
    return runtime.invoke(event, context, dependencies, parse=parse, work=work)


def work(
    requests: Sequence[tuple[Message, DueRequest]], dependencies: SweepDependencies, budget: CallBudget
) -> StageResult:
    """Sweep once for all requests. Report what the due policies match, and request the stops."""
    now = dependencies.clock()
    due, results = due_policies(requests, dependencies.policies, now)
    if not due:
        return StageResult(now, message_results=results)
    swept = sweep(
        due,
        dependencies.make_reader(budget),
        limits=dependencies.limits,
        ids_in_a_request=dependencies.ids_in_a_message,
        prices=dependencies.prices,
        shuffle=dependencies.shuffle,
    )
    message_ids = frozenset(result.message.message_id for result in results)
    budget.reserve_for_dispatch(len(swept.conclusion.requests) + len(results))
    report = swept.report(dependencies.clock())
    return StageResult(
        now,
        message_results=results,
        counts=_counts(swept),
        messages=stop_messages(swept.conclusion, message_ids),
        report=report,
        sections=of_report(report, dependencies.notify_on),
    )


def _counts(swept: Sweep) -> dict[Count, int]:
    reports = swept.conclusion.reports
    return {
        Count.SWEEPS_COMPLETED: 1,
        Count.SWEEP_INCOMPLETE: int(not swept.is_complete),
        Count.POLICY_OVER_CAP: sum(report.over_cap and report.mode == "stop" for report in reports),
        Count.RUNS_MATCHED: sum(report.matched for report in reports),
        Count.STOPS_REQUESTED: sum(report.stop_requested for report in reports),
    }


def build_dependencies(environ: Mapping[str, str]) -> SweepDependencies:
    """Build the function's dependencies from its environment variables and the policies in its package."""
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, LAMBDA_TASK_ROOT.
    package = Path(environ.get("LAMBDA_TASK_ROOT", _PACKAGE))
    settings = load(SweepSettings, environ)
    return SweepDependencies(
        aws_environment=wiring.aws_environment(settings),
        queues=wiring.queues(settings, {Queue.STOP: settings.stop_queue_url}),
        event_bus=wiring.event_bus(settings),
        prices=settings.price_per_dpu_hour,
        notice_topic=wiring.notice_topic(settings),
        notify_on=frozenset(settings.notify_on),
        telemetry=Telemetry("sweep", detailed=settings.detailed_metrics),
        retry_policy=RetryPolicy(delays={}, deadline_seconds=0),
        bookkeeping=Bookkeeping("sweep", 1, frozenset(settings.trusted_sender_ids)),
        queue=Queue.SWEEP,
        policies=policies.decode((package / POLICIES_FILE).read_bytes()),
        signals=settings.signal_topics,
        limits=Limits(settings.jobs, settings.protected_jobs, settings.max_runs_per_request),
        make_reader=partial(_reader, settings, wiring.glue_client(settings)),
        ids_in_a_message=min(IDS_IN_A_MESSAGE, settings.max_runs_per_request),
    )


def _reader(settings: SweepSettings, client: GlueClient, budget: CallBudget) -> JobReader:
    """Return the reader for one sweep. The invocation counts its calls."""
    return JobReader(
        client,
        job_arn_prefix=settings.job_arn_prefix,
        protect_tag=settings.protect_tag,
        pace=Pace(lambda: budget.seconds_left() - _SECONDS_TO_CONCLUDE),
        closing_pace=Pace(lambda: budget.seconds_left() - _SECONDS_TO_REQUEST),
        calls=budget.calls,
    )


@cache
def _dependencies() -> SweepDependencies:
    return build_dependencies(os.environ)


if wiring.initialised_by_lambda():
    _dependencies()
