"""The generated tables of the documents, from the tables that the code itself uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from docs.policy_fields import FIELDS
from gluebrake.outcomes import OUTCOMES
from gluebrake_cli import reasons
from gluebrake_cli.reasons import Reason
from infra.runbook import RUNBOOK


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first, *rest = (f"| {' | '.join(row)} |" for row in (header, *rows))
    return "\n".join([first, f"|{'---|' * len(header)}", *rest])


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


def _outcomes() -> str:
    rows = (
        [f"`{outcome}`", ", ".join(facts.stages).upper(), facts.meaning, facts.route.value]
        for outcome, facts in OUTCOMES.items()
    )
    return _table(["outcome", "stage", "meaning", "goes to"], rows)


def _alarms() -> str:
    rows = ([f"`{name}`", entry.watches, entry.meaning, entry.action] for name, entry in RUNBOOK.items())
    return _table(["alarm", "watches", "it means", "do"], rows)


def _reason_rows(rows: Iterable[Reason]) -> Iterator[list[str]]:
    for reason in rows:
        yield [_codes(reason.codes) or "any other", reason.meaning, reason.fix or "nothing", reason.then]


def _gluebrake_codes() -> str:
    rows = _reason_rows([*reasons.GLUEBRAKE, reasons.OTHER])
    return _table(["`ERROR_CODE`", "it means", "fix", "then"], rows)


def _senders() -> str:
    rows = (
        [sender.name, sender.recognised_by, *row]
        for sender in reasons.SENDERS
        for row in _reason_rows([sender.reason])
    )
    header = ["written by", "recognised by", "reason in `gluebrake`", "it means", "fix", "then"]
    return _table(header, rows)


def _eventbridge_codes() -> str:
    rows = _reason_rows(reasons.EVENTBRIDGE)
    return _table(["EventBridge's `ERROR_CODE`", "it means", "fix", "then"], rows)


def _policy_fields() -> str:
    return _table(["field", "meaning"], ([_codes(field.names), field.meaning] for field in FIELDS))


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "outcomes": _outcomes,
    "alarms": _alarms,
    "error-codes": _gluebrake_codes,
    "senders": _senders,
    "eventbridge-codes": _eventbridge_codes,
    "policy-fields": _policy_fields,
}
"""The function that returns each table, by the name in its markers."""
