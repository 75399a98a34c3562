"""The generated tables of the documents, from the tables that the code itself uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from docs.policy_fields import FIELDS
from gluebrake.outcomes import OUTCOMES
from gluebrake_cli import reasons
from gluebrake_cli.reasons import Reason
from infra import costs
from infra.config import Config
from infra.problem_kinds import PROBLEM_KINDS
from infra.runbook import RUNBOOK

_EXACT_TO: Final = 100
"""Quantities from this number are shown as whole numbers."""


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


def _problem_kinds() -> str:
    rows = ([_codes(entry.kinds), f"`{entry.problem}`", entry.meaning, entry.action] for entry in PROBLEM_KINDS)
    return _table(["kind", "counted by", "it means", "do"], rows)


def _idle_bill() -> str:
    return _bills({"quantity": costs.idle_month(costs.DEFAULT_STACK)})


def _requests_bill() -> str:
    config = Config()
    usage = {
        load.name: load.usage(memory_mb=config.memory_mb, calls_at_once=config.calls_at_once)
        for load in costs.LOADS.values()
    }
    return _bills({name: of_load.bill() for name, of_load in usage.items()})


def _bills(bills: Mapping[str, Sequence[costs.Line]]) -> str:
    """Return a table with two columns for each bill: quantities and dollars. The bills have the same lines."""
    header = ["line", "price in USD", *(text for name in bills for text in (name, "USD"))]
    rows = [
        [of_bills[0].name, of_bills[0].price.text, *(text for line in of_bills for text in _amounts(line))]
        for of_bills in zip(*bills.values(), strict=True)
    ]
    sums = [text for lines in bills.values() for text in ("", f"**{costs.total(lines):.2f}**")]
    return _table(header, [*rows, ["**together**", "", *sums]])


def _amounts(line: costs.Line) -> list[str]:
    digits = 0 if line.quantity >= _EXACT_TO or line.quantity == round(line.quantity) else 2
    return [f"{line.quantity:,.{digits}f}", f"{line.usd:.2f}"]


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
    "problem-kinds": _problem_kinds,
    "idle-bill": _idle_bill,
    "requests-bill": _requests_bill,
    "error-codes": _gluebrake_codes,
    "senders": _senders,
    "eventbridge-codes": _eventbridge_codes,
    "policy-fields": _policy_fields,
}
"""The function that returns each table, by the name in its markers."""
