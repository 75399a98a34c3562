"""Logical ids do not change: a new one replaces a queue with its messages, or a trusted role."""

from typing import Any

import pytest

from tests.golden import golden
from tests.infra.conftest import Synthesise

_EVERY_OPTION = {
    "stopOnRunStatus": ["*"],
    "stopOnAlarms": ["glue-"],
    "alarmEmail": "a@b.cd",
    "protectedJobs": ["p-*"],
}


@pytest.mark.parametrize(("recorded", "config"), [("default", {}), ("every option", _EVERY_OPTION)])
def test_logical_ids_do_not_change(synthesised: Synthesise, recorded: str, config: dict[str, Any]) -> None:
    """Each resource of version 0.1 still has its logical id and type, and each output its name."""
    body = synthesised(**config).body
    before = golden("logical-ids.json")[recorded]
    assert {name: r["Type"] for name, r in body["Resources"].items()} | before["Resources"] == {
        name: r["Type"] for name, r in body["Resources"].items()
    }
    assert set(before["Outputs"]) <= set(body["Outputs"])
