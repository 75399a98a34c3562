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


# Without `stopOnAlarms` no alarm may invoke STOP, so the permission is gone. Nothing refers to it, and it holds
# no messages.
_REMOVED = {"default": {"StopFunctionAlarms44766EAC"}, "every option": set[str]()}


@pytest.mark.parametrize(("recorded", "config"), [("default", {}), ("every option", _EVERY_OPTION)])
def test_logical_ids_do_not_change(synthesised: Synthesise, recorded: str, config: dict[str, Any]) -> None:
    """Each resource of version 0.1 that still exists has its logical id and type. Outputs keep their names."""
    body = synthesised(**config).body
    before = golden("logical-ids.json")[recorded]
    after = {name: resource["Type"] for name, resource in body["Resources"].items()}
    assert before["Resources"].items() - after.items() == {
        (name, before["Resources"][name]) for name in _REMOVED[recorded]
    }
    assert set(before["Outputs"]) <= set(body["Outputs"])
