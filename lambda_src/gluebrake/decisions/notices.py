"""The sections of a notice about the outcomes of an invocation. `sweep_notices` has those about a sweep."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from gluebrake.contract import StopRequest
from gluebrake.decisions import run_cost
from gluebrake.decisions.readable import dollars, duration
from gluebrake.grouping import grouped
from gluebrake.metrics import Measure
from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import OUTCOMES, NoticeKind, Outcome


class Item(Struct, frozen=True):
    """A run, or a request without a run. Only `what` and the labels in `details` are trusted text."""

    job_name: str
    job_run_id: str
    what: str
    details: tuple[tuple[str, str], ...] = ()


class Section(Struct, frozen=True):
    """The first items of `total` with the same heading. `brief` is for the notice's subject."""

    brief: str
    heading: str
    items: tuple[Item, ...] = ()
    total: int = 0


MOST_ITEMS: Final = 20
"""The most runs that a notice names. Further runs are only counted."""

_BRIEF: Final = {NoticeKind.STOPPED: "stopped", NoticeKind.NOT_STOPPED: "not stopped"}
_HEADINGS: Final = {NoticeKind.STOPPED: "Stopped", NoticeKind.NOT_STOPPED: "Could not be stopped"}


def of_outcomes(
    results: Iterable[RunResult],
    message_results: Iterable[MessageResult],
    undelivered: Collection[str],
    kinds: Collection[NoticeKind],
) -> list[Section]:
    """Return a section for each kind of outcome, without dry runs and without results that SQS will redeliver.

    SQS redelivers a target's result only if it redelivers all messages of the target.
    """
    redelivered = frozenset(undelivered)
    noticed: list[RunResult | MessageResult] = [
        result
        for result in results
        if not result.target.dry_run and not redelivered.issuperset(result.target.message_ids)
    ]
    noticed += [
        result
        for result in message_results
        if result.request and not result.request.dry_run and result.message.message_id not in redelivered
    ]
    by_kind = grouped(noticed, lambda result: OUTCOMES[result.outcome].notice)
    return [_section(kind, by_kind[kind]) for kind in _HEADINGS if kind in kinds and kind in by_kind]


def _section(kind: NoticeKind, results: Sequence[RunResult | MessageResult]) -> Section:
    total = len(results)
    items = tuple(map(_item, results[:MOST_ITEMS]))
    return Section(f"{total} {_BRIEF[kind]}", f"{_HEADINGS[kind]}: {total}", items, total)


def _item(result: RunResult | MessageResult) -> Item:
    return _of_run(result) if isinstance(result, RunResult) else _of_request(result)


def _of_run(result: RunResult) -> Item:
    target = result.target
    return Item(
        job_name=target.run.job_name,
        job_run_id=target.run.run_id,
        what="; ".join(_sentences(result)),
        details=details(
            ("error", result.error or result.code if result.outcome.is_failure else ""),
            *_origin(target.request, target.sender, target.via),
        ),
    )


def _sentences(result: RunResult) -> Iterator[str]:
    """Yield the outcome of the run, and its cost."""
    measures = result.measures
    took = measures.get(Measure.TIME_TO_STOP)
    if result.outcome is Outcome.STOPPED:
        yield f"stopped after {duration(took)}" if took is not None else "stopped"
    else:
        yield f"{result.outcome}: {OUTCOMES[result.outcome].meaning}"
    if cost := run_cost.in_words(measures):
        yield f"{cost} (estimate)"
    if (further := measures.get(Measure.FURTHER_COST_USD_AT_MOST)) is not None:
        yield f"until its Timeout it could have cost at most {dollars(further)} more (estimate)"


def _of_request(result: MessageResult) -> Item:
    return Item(
        job_name=result.request.job_name if result.request else "",
        job_run_id="",
        what=f"{result.outcome}: {OUTCOMES[result.outcome].meaning}",
        details=details(
            ("error", result.why or result.code),
            *_origin(result.request, result.message.sender, result.message.via),
        ),
    )


def _origin(request: StopRequest | None, sender: str, via: str) -> tuple[tuple[str, str], ...]:
    """Return why and by whom a stop was requested. The label says which text is only a claim of the request."""
    return (
        ("why", (request and request.reason) or ""),
        ("requested by, by its own words", (request and request.requested_by) or ""),
        ("sender", sender),
        ("through", via),
    )


def details(*labelled: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the labelled texts that are not empty."""
    return tuple((label, text) for label, text in labelled if text)
