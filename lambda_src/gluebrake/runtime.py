"""Run one Lambda invocation: isolate poison pills, run the stage, answer SQS or the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

from gluebrake import lambda_event
from gluebrake.aws.call_budget import CallBudget
from gluebrake.decisions.invoke_response import invoke_response
from gluebrake.decisions.run_cost import with_cost
from gluebrake.dispatch import StageResult, dispatch, notify
from gluebrake.lambda_event import LambdaEvent
from gluebrake.metrics import Count
from gluebrake.model import Message
from gluebrake.parsing.context import Parser, R
from gluebrake.parsing.messages import parse_messages
from gluebrake.wiring import Dependencies

POISON_PILL_RECEIVE_COUNT: Final = 3
"""A message that was received this many times may be a poison pill, which crashes the function."""

D = TypeVar("D", bound=Dependencies)
Work = Callable[[Sequence[tuple[Message, R]], D, CallBudget], StageResult]
"""The work of a stage on requests, each paired with its message."""


class _Processed(NamedTuple):
    """The result of a group of messages. SQS redelivers the messages in `undelivered`."""

    stage_result: StageResult
    undelivered: frozenset[str]


class DispatchError(RuntimeError):
    """A result of a direct invocation could not be sent, so the caller must invoke the function again."""


def invoke(event: Any, context: Any, dependencies: D, *, parse: Parser[R], work: Work[R, D]) -> dict[str, Any]:
    """Run one invocation.

    Return `batchItemFailures` for an SQS event, or BatchStopJobRun's response for a direct invocation.
    """
    dependencies.telemetry.start_invocation(context)
    budget = CallBudget(lambda: context.get_remaining_time_in_millis() / 1000)
    parsed_event = lambda_event.parse(
        event,
        request_id=context.aws_request_id,
        now=dependencies.clock(),
        bookkeeping=dependencies.bookkeeping,
    )
    processed: list[_Processed] = []
    for group, more in isolate_poison_pills(parsed_event.messages, budget):
        processed.append(_run_isolated(group, dependencies, budget, parse, work))
        # With the call budget exhausted, no further message can start a call, so none can crash the function.
        if more and not budget.close_when_late():
            _delete_completed(group, processed[-1].undelivered, dependencies)
    notify(processed, dependencies, budget)
    dependencies.telemetry.flush(_call_counts(budget))
    return _response(parsed_event, processed)


def _response(event: LambdaEvent, processed: Sequence[_Processed]) -> dict[str, Any]:
    # SQS may deliver a message twice in one event, so the ids are made unique.
    undelivered = sorted({message_id for group in processed for message_id in group.undelivered})
    if event.from_queue:
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in undelivered]}
    if undelivered:
        raise DispatchError("not every result of this request could be sent; invoke the function again")
    return invoke_response(
        [result for group in processed for result in group.stage_result.results],
        [result for group in processed for result in group.stage_result.message_results],
    )


def isolate_poison_pills(
    messages: Sequence[Message], budget: CallBudget
) -> Iterator[tuple[list[Message], bool]]:
    """Yield the messages to process together, then each poison pill candidate alone, and whether more follow.

    The order of the candidates is reversed at every other delivery, so that each harmless candidate is at some
    time processed before the poison pill. With the call budget exhausted, no message can crash the function, so
    the remaining candidates are one group.
    """
    trusted = [m for m in messages if m.receive_count < POISON_PILL_RECEIVE_COUNT]
    candidates = [m for m in messages if m.receive_count >= POISON_PILL_RECEIVE_COUNT]
    deliveries = max((m.receive_count for m in candidates), default=0)
    candidates.sort(key=attrgetter("message_id"), reverse=deliveries % 2 == 1)
    if trusted:
        yield trusted, bool(candidates)
    while candidates:
        group = candidates if budget.is_exhausted() else candidates[:1]
        candidates = candidates[len(group) :]
        yield group, bool(candidates)


def _delete_completed(
    messages: Iterable[Message], undelivered: AbstractSet[str], dependencies: Dependencies
) -> None:
    """Delete messages before a poison pill candidate runs. A crash would lose the answer that deletes them."""
    completed = [m.receipt_handle for m in messages if m.message_id not in undelivered and m.receipt_handle]
    dependencies.queues.delete(dependencies.queue, completed)


def _run_isolated(
    messages: Sequence[Message], dependencies: D, budget: CallBudget, parse: Parser[R], work: Work[R, D]
) -> _Processed:
    """Run the stage on the messages. After an exception, SQS redelivers these messages and no others."""
    try:
        return _run(messages, dependencies, budget, parse, work)
    except Exception as error:  # noqa: BLE001 - no exception may cause the redelivery of other messages
        dependencies.telemetry.record_exception(error)
        undelivered = frozenset(message.message_id for message in messages)
        return _Processed(StageResult(dependencies.clock()), undelivered)


def _run(
    messages: Sequence[Message], dependencies: D, budget: CallBudget, parse: Parser[R], work: Work[R, D]
) -> _Processed:
    requests, unusable = parse_messages(messages, parse, dependencies.aws_environment)
    budget.unusable_messages = len(unusable)
    stage_result = work(requests, dependencies, budget)
    stage_result = stage_result._replace(
        results=[with_cost(result, dependencies.prices, stage_result.time) for result in stage_result.results],
        message_results=[*unusable, *stage_result.message_results],
    )
    return _Processed(stage_result, dispatch(stage_result, dependencies, budget))


def _call_counts(budget: CallBudget) -> dict[Count, int]:
    reads = budget.calls["get_job_runs"] + budget.calls["get_job_run"]
    return {Count.STOP_CALLS: budget.calls["batch_stop_job_run"], Count.STATE_READS: reads}
