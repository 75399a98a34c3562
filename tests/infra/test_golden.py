"""Logical ids are a promise: a changed one replaces a queue with its messages, or a role that is trusted."""

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
def test_logical_ids_are_kept(synthesised: Synthesise, recorded: str, config: dict[str, Any]) -> None:
    """Each resource and output of version 0.1 is still there, under the same id and of the same type."""
    body = synthesised(**config).body
    before = golden("logical-ids.json")[recorded]
    assert {name: r["Type"] for name, r in body["Resources"].items()} | before["Resources"] == {
        name: r["Type"] for name, r in body["Resources"].items()
    }
    assert set(before["Outputs"]) <= set(body["Outputs"])
