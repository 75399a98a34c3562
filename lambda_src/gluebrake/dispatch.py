"""Dispatch the results of a stage: send messages, write logs and metrics, publish events and a notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from gluebrake.aws.call_budget import CallBudget
from gluebrake.decisions import notices
from gluebrake.decisions.notice_message import notice_message
from gluebrake.decisions.notices import Section
from gluebrake.decisions.outcome_events import outcome_events
from gluebrake.decisions.routing import outgoing_messages
from gluebrake.metrics import Count
from gluebrake.model import MessageResult, OutgoingMessage, RunResult
from gluebrake.outcomes import NoticeKind
from gluebrake.wiring import Dependencies

if TYPE_CHECKING:
    from gluebrake.sweep_contract import SweepReport


class StageResult(NamedTuple):
    """The results of a stage. `time` is when stops were submitted, or when states were read."""

    time: datetime
    results: Sequence[RunResult] = ()
    message_results: Sequence[MessageResult] = ()
    counts: Mapping[Count, int] = {}
    messages: Sequence[OutgoingMessage] = ()
    """Messages that follow from the stage's work as a whole, not from a single result."""
    report: SweepReport | None = None
    sections: Sequence[Section] = ()
    """The sections of the notice about the stage's work as a whole."""


def dispatch(stage_result: StageResult, dependencies: Dependencies, budget: CallBudget) -> frozenset[str]:
    """Send the messages, write log lines and metrics, and publish the final outcomes.

    Return the ids of the messages that SQS must redeliver, because a message that follows could not be sent.
    """
    time, results, message_results, counts, messages, report, _ = stage_result
    routed = outgoing_messages(
        results, message_results, dependencies.retry_policy, now=time, jitter=dependencies.jitter
    )
    undelivered = dependencies.queues.send([*routed, *messages])
    dependencies.telemetry.record_results(results, message_results, counts, undelivered)
    events = outcome_events(results, message_results, undelivered, dependencies.clock())
    lost = dependencies.event_bus.publish(events, budget.leftover_seconds())
    if report:
        dependencies.telemetry.record_report(report, will_repeat=bool(undelivered))
        lost = Counter(lost) + Counter(dependencies.event_bus.publish_report(report, budget.leftover_seconds()))
    dependencies.telemetry.record_lost_events(lost)
    return undelivered


def notify(
    dispatched: Iterable[tuple[StageResult, frozenset[str]]], dependencies: Dependencies, budget: CallBudget
) -> None:
    """Publish one notice about the invocation. `dispatched` has each stage result and its undelivered messages.

    The notice is the invocation's last call, and its errors do not change any result.
    """
    if not dependencies.notice_topic.arn:
        return
    try:
        lost = _publish_notice(dispatched, dependencies, budget)
    except Exception as error:  # noqa: BLE001 - a lost notice must not change the results of the stage
        lost = type(error).__name__
    dependencies.telemetry.record_lost_notice(lost)


def _publish_notice(
    dispatched: Iterable[tuple[StageResult, frozenset[str]]], dependencies: Dependencies, budget: CallBudget
) -> str:
    sections = _sections([*dispatched], dependencies.notify_on)
    if not sections:
        return ""
    notice = notice_message(sections, dependencies.aws_environment)
    return dependencies.notice_topic.publish(notice, budget.leftover_seconds())


def _sections(
    dispatched: Sequence[tuple[StageResult, frozenset[str]]], kinds: frozenset[NoticeKind]
) -> list[Section]:
    of_outcomes = notices.of_outcomes(
        [result for stage_result, _ in dispatched for result in stage_result.results],
        [result for stage_result, _ in dispatched for result in stage_result.message_results],
        {message_id for _, undelivered in dispatched for message_id in undelivered},
        kinds,
    )
    return [*(section for stage_result, _ in dispatched for section in stage_result.sections), *of_outcomes]
