"""Decide which outcomes are published as events, and the content of each event."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from gluebrake.contract import StopOutcome
from gluebrake.metrics import Measure
from gluebrake.model import MessageResult, RunResult

# PutEvents accepts 256 kB a call. Ten events with the longest texts fit, even at six bytes of JSON a character.
_LONGEST_TEXT: Final = 1024


def outcome_events(
    results: Iterable[RunResult],
    message_results: Iterable[MessageResult],
    undelivered: frozenset[str],
    now: datetime,
) -> list[StopOutcome]:
    """Return the final outcomes of readable requests, without results that SQS will redeliver.

    SQS redelivers a target's result only if it redelivers all messages of the target. An unreadable message
    leads to no event. So an outcome event that reaches a queue of the stack cannot cause another event.
    """
    return [
        *(
            _of_run(result, now)
            for result in results
            if result.outcome.is_final and not undelivered.issuperset(result.target.message_ids)
        ),
        *(
            event
            for result in message_results
            if result.outcome.is_final
            and result.message.message_id not in undelivered
            and (event := _of_request(result, now))
        ),
    ]


def _of_run(result: RunResult, now: datetime) -> StopOutcome:
    target, measured = result.target, result.measures.get
    return StopOutcome(
        job_name=target.run.job_name,
        job_run_id=target.run.run_id,
        outcome=result.outcome,
        state=result.state,
        error_code=result.code,
        error_message=_shortened(result.error),
        dry_run=target.request.dry_run,
        reason=target.request.reason or "",
        requested_by=target.request.requested_by or "",
        sender=_shortened(target.sender),
        via=target.via,
        attempt=target.attempt,
        submitted_at=target.submitted_at,
        settled_at=now,
        time_to_stop_seconds=measured(Measure.TIME_TO_STOP),
        dpus_released=measured(Measure.DPUS_RELEASED),
        dpu_hours_consumed=measured(Measure.DPU_HOURS_CONSUMED),
        estimated_cost_usd=measured(Measure.ESTIMATED_COST_USD),
        further_cost_usd_at_most=measured(Measure.FURTHER_COST_USD_AT_MOST),
        dpu_hours_at_most=measured(Measure.DPU_HOURS_AT_MOST),
        estimated_cost_usd_at_most=measured(Measure.ESTIMATED_COST_USD_AT_MOST),
    )


def _of_request(result: MessageResult, now: datetime) -> StopOutcome | None:
    request = result.request
    if not request:
        return None
    return StopOutcome(
        job_name=request.job_name,
        outcome=result.outcome,
        error_code=result.code,
        error_message=_shortened(result.why),
        dry_run=request.dry_run,
        reason=request.reason or "",
        requested_by=request.requested_by or "",
        sender=_shortened(result.message.sender),
        via=result.message.via,
        attempt=result.message.attempt,
        settled_at=now,
    )


def _shortened(text: str) -> str:
    return text[:_LONGEST_TEXT]
