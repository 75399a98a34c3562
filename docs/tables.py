"""The generated tables of the documents, from the tables that the code itself uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from docs.config_keys import KEYS
from docs.policy_fields import FIELDS
from gluebrake.metrics import Count
from gluebrake.outcomes import OUTCOMES, Outcome
from gluebrake.problems import KINDS
from gluebrake_cli import reasons
from infra import costs
from infra.config import Config
from infra.problem_kinds import WITHOUT_DEAD_LETTERS
from infra.runbook import RUNBOOK, RunbookEntry


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first, *rest = (f"| {' | '.join(row)} |" for row in (header, *rows))
    return "\n".join([first, f"|{'---|' * len(header)}", *rest])


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


def _outcomes() -> str:
    rows = (
        [f"`{outcome}`", ", ".join(facts.stages).upper(), facts.meaning, facts.route.partition(":")[0]]
        for outcome, facts in OUTCOMES.items()
    )
    return _table(["outcome", "stage", "meaning", "goes to"], rows)


def _alarms() -> str:
    rows = ([f"`{name}`", entry.meaning, _action(name, entry)] for name, entry in RUNBOOK.items())
    return _table(["alarm", "it means", "do"], rows)


def _action(name: str, entry: RunbookEntry) -> str:
    # The page links where the alarm's description names the page.
    return "see [the kinds](#the-kinds-of-problems)" if name in KINDS else entry.action


def _problem_kinds() -> str:
    rows = ([f"`{kind}`", f"`{problem}`", _remedy(kind)] for problem, kinds in KINDS.items() for kind in kinds)
    return _table(["kind", "counted by", "do"], rows)


def _remedy(kind: Outcome | Count) -> str:
    return WITHOUT_DEAD_LETTERS.get(kind) or reasons.explanation(kind).remedy


def _costs() -> str:
    """Return what each service bills, in USD: a column for each bill of the cost model."""
    config = Config()
    usage = {"memory_mb": config.memory_mb, "calls_at_once": config.calls_at_once}
    bills = {
        "idle month": costs.idle_month(costs.DEFAULT_STACK),
        **{load.name: load.usage(**usage).bill() for load in costs.LOADS.values()},
        "policies, month": costs.policies_month(config.memory_mb),
    }
    services = dict.fromkeys(line.service for bill in bills.values() for line in bill)
    rows = [[service, *(_usd(bill, service) for bill in bills.values())] for service in services]
    totals = [f"**{costs.total(bill):.2f}**" for bill in bills.values()]
    return _table(["USD", *bills], [*rows, ["**together**", *totals]])


def _usd(bill: Iterable[costs.Line], service: str) -> str:
    lines = [line for line in bill if line.service == service]
    return f"{costs.total(lines):.2f}" if lines else ""


def _config_keys() -> str:
    rows = ([_codes(key.names), key.shown_default, key.meaning] for key in KEYS)
    return _table(["key", "default", "meaning"], rows)


def _policy_fields() -> str:
    return _table(["field", "meaning"], ([_codes(field.names), field.meaning] for field in FIELDS))


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "outcomes": _outcomes,
    "alarms": _alarms,
    "problem-kinds": _problem_kinds,
    "costs": _costs,
    "config-keys": _config_keys,
    "policy-fields": _policy_fields,
}
"""The function that returns each table, by the name in its markers."""
