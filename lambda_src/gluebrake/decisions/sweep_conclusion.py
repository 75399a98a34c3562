"""Conclude a sweep after every job is judged: apply types, tags and caps, make reports and stop requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from operator import attrgetter, itemgetter
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gluebrake.contract import VIA, StopRequest
from gluebrake.decisions import run_cost
from gluebrake.decisions.policies import Candidate, Judgement, Left, NotMatched, NotStopped, age_at_due
from gluebrake.grouping import chunked, grouped
from gluebrake.model import JobDefinition, OutgoingMessage, RunFacts
from gluebrake.policies import DuePolicy
from gluebrake.prices import Prices
from gluebrake.stages import Queue
from gluebrake.sweep_contract import PolicyReport, ReportedRun

_AUTO_SCALING: Final = "--enable-auto-scaling"


class PolicyRequest(Struct, frozen=True):
    """A stop request of a policy. `via` has the trigger, the policy's name and hash, and the due time."""

    request: StopRequest
    via: str


class Conclusion(Struct, frozen=True):
    """The result of a sweep: reports of the policies, reported runs, unmatched runs, and stop requests."""

    reports: tuple[PolicyReport, ...]
    runs: tuple[ReportedRun, ...]
    left: tuple[Left, ...]
    requests: tuple[PolicyRequest, ...]


def conclude(  # noqa: PLR0913 - the last two are passed by name
    policies: Sequence[DuePolicy],
    judgements: Sequence[Judgement],
    definitions: Mapping[str, JobDefinition],
    is_protected: Mapping[str, bool],
    *,
    ids_in_a_request: int,
    prices: Prices,
) -> Conclusion:
    """Apply the jobs' types and tags, then the caps. Request the stops of policies in `stop` mode.

    A job that is missing in `definitions` has an unknown type. A job that is missing in `is_protected` is not
    stopped. Only the first policy that stops a run requests its stop.
    """
    candidates = [candidate for judgement in judgements for candidate in judgement.candidates]
    typed = [(candidate, _wrong_type(candidate, definitions)) for candidate in candidates]
    left = [
        *(left for judgement in judgements for left in judgement.left),
        *(
            Left(c.due.policy.name, c.job_name, c.run, NotMatched.WITHIN_LIMIT if c.is_warning else reason)
            for c, reason in typed
            if reason
        ),
    ]
    by_policy = grouped(
        (_reported(c, definitions[c.job_name], is_protected, prices) for c, reason in typed if not reason),
        attrgetter("policy"),
    )
    left_by_policy = grouped(left, attrgetter("policy"))
    considered = grouped(((name, judged) for judged in judgements for name in judged.policies), itemgetter(0))
    reports: list[PolicyReport] = []
    runs: list[ReportedRun] = []
    requested: set[tuple[str, str]] = set()
    for due in policies:
        name = due.policy.name
        found = _with_requests(due, by_policy.get(name, []), requested)
        requested |= {(run.job_name, run.job_run_id) for run in found if run.stop_requested}
        runs += found
        judged = [judgement for _, judgement in considered.get(name, ())]
        reports.append(_report(due, found, judged, left_by_policy.get(name, ())))
    requests = _requests(policies, runs, ids_in_a_request)
    return Conclusion(tuple(reports), tuple(runs), tuple(left), tuple(requests))


def stop_messages(conclusion: Conclusion, message_ids: frozenset[str]) -> list[OutgoingMessage]:
    """Return the messages that request the stops. `message_ids` has the ids of the sweep's source messages."""
    return [
        OutgoingMessage(
            queue=Queue.STOP,
            body=msgspec.json.encode(policy_request.request).decode(),
            message_ids=message_ids,
            attributes={VIA: policy_request.via},
        )
        for policy_request in conclusion.requests
    ]


def _wrong_type(candidate: Candidate, definitions: Mapping[str, JobDefinition]) -> NotMatched | None:
    definition = definitions.get(candidate.job_name, JobDefinition())
    if not definition.type:
        return NotMatched.UNKNOWN_TYPE
    return None if definition.type in candidate.due.policy.types else NotMatched.OTHER_TYPE


def _reported(
    candidate: Candidate, definition: JobDefinition, is_protected: Mapping[str, bool], prices: Prices
) -> ReportedRun:
    run = candidate.run
    hours = run_cost.dpu_hours_at_most(run, candidate.due.due)
    return ReportedRun(
        policy=candidate.due.policy.name,
        job_name=candidate.job_name,
        job_run_id=run.run_id,
        state=run.state,
        started_on=run.started_on or candidate.due.due,
        minutes=age_at_due(candidate.due, run) / timedelta(minutes=1),
        usual_minutes=None if candidate.usual_seconds is None else candidate.usual_seconds / 60,
        dpu_hours_at_most=hours,
        estimated_cost_usd_at_most=run_cost.cost(hours, run_cost.price(run, prices)),
        trigger_name=run.trigger_name,
        warning=candidate.is_warning,
        newly_matched=candidate.is_new,
        not_stopped=_not_stopped(candidate, definition, is_protected) or "",
    )


def _not_stopped(
    candidate: Candidate, definition: JobDefinition, is_protected: Mapping[str, bool]
) -> NotStopped | None:
    if candidate.job_name not in is_protected:
        return NotStopped.TAGS_UNKNOWN
    if is_protected[candidate.job_name]:
        return NotStopped.PROTECTED
    if candidate.due.policy.max_dpu_hours is not None and _has_auto_scaling(candidate.run, definition):
        return NotStopped.AUTO_SCALING
    return None


def _has_auto_scaling(run: RunFacts, definition: JobDefinition) -> bool:
    # The job's NonOverridableArguments override the run's arguments, which override the job's defaults:
    # https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
    arguments = {**definition.arguments, **run.arguments, **definition.fixed_arguments}
    return str(arguments.get(_AUTO_SCALING, "false")).lower() != "false"


def _with_requests(
    due: DuePolicy, runs: Sequence[ReportedRun], requested: set[tuple[str, str]]
) -> list[ReportedRun]:
    """Mark the runs whose stop is requested. If the policy only reports or exceeds its cap, mark none."""
    policy = due.policy
    if policy.mode != "stop" or sum(run.is_stoppable for run in runs) > policy.max_runs:
        return [*runs]
    return [
        replace(run, stop_requested=run.is_stoppable and (run.job_name, run.job_run_id) not in requested)
        for run in runs
    ]


def _report(
    due: DuePolicy, runs: Sequence[ReportedRun], considered: Sequence[Judgement], left: Iterable[Left]
) -> PolicyReport:
    policy, stoppable = due.policy, sum(run.is_stoppable for run in runs)
    return PolicyReport(
        policy=policy.name,
        hash=policy.hash,
        mode=policy.mode,
        trigger=due.trigger.value,
        due=due.due,
        jobs=len(considered),
        jobs_not_read=sum(not judgement.complete for judgement in considered),
        matched=sum(not run.warning for run in runs),
        warned=sum(run.warning for run in runs),
        stoppable=stoppable,
        max_runs=policy.max_runs,
        over_cap=stoppable > policy.max_runs,
        stop_requested=sum(run.stop_requested for run in runs),
        not_matched=dict(Counter(str(run.reason) for run in left)),
    )


def _requests(
    policies: Iterable[DuePolicy], runs: Iterable[ReportedRun], ids_in_a_request: int
) -> Iterator[PolicyRequest]:
    """Yield stop requests that name the runs, for each policy and job."""
    due = {due.policy.name: due for due in policies}
    to_stop = grouped((run for run in runs if run.stop_requested), attrgetter("policy", "job_name"))
    for (policy, job_name), of_job in to_stop.items():
        for chunk in chunked(of_job, ids_in_a_request):
            request = StopRequest(
                job_name=job_name,
                job_run_ids=tuple(run.job_run_id for run in chunk),
                reason=due[policy].policy.reason,
                requested_by=f"policy/{policy}",
            )
            yield PolicyRequest(request, _via(due[policy]))


def _via(due: DuePolicy) -> str:
    return f"{due.trigger} of policy {due.policy.name} {due.policy.hash}, due {due.due.isoformat()}"
