"""Send what the results of a stage lead to: messages, log lines, metrics, outcome events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from gluebrake.aws.call_budget import CallBudget
from gluebrake.decisions.outcome_events import outcome_events
from gluebrake.decisions.routing import outgoing_messages
from gluebrake.metrics import Count
from gluebrake.model import MessageResult, OutgoingMessage, RunResult
from gluebrake.wiring import Dependencies

if TYPE_CHECKING:
    from gluebrake.sweep_contract import SweepReport


class StageResult(NamedTuple):
    """What became of the requests of a stage; `time` is when runs were submitted, or their states read."""

    time: datetime
    results: Sequence[RunResult] = ()
    message_results: Sequence[MessageResult] = ()
    counts: Mapping[Count, int] = {}
    messages: Sequence[OutgoingMessage] = ()
    """Messages that follow from the stage's work as a whole, not from a single result."""
    report: SweepReport | None = None


def dispatch(stage_result: StageResult, dependencies: Dependencies, budget: CallBudget) -> frozenset[str]:
    """Send the messages, write log lines and metrics, and publish the final outcomes.

    Return the ids of the messages that SQS has to redeliver, since what they led to could not be sent.
    """
    time, results, message_results, counts, messages, report = stage_result
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
