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
    "dashboard": True,
}


# `RunsNotStopped` and `Malfunctions` count what these alarms counted. Nothing refers to an alarm.
_FORMER_ALARMS = {
    "ObservabilityRunsFailedA9A35206",
    "ObservabilityStopTimedOutBCA356A0",
    "ObservabilityUnexpectedErrorsD96736B2",
    "ObservabilityOutcomeEventsLost4AB925A8",
}
# Without `stopOnAlarms` no alarm may invoke STOP, so the permission is gone. The dashboard is a choice. Nothing
# refers to either, and they hold no messages.
REMOVED = {
    "default": {"StopFunctionAlarms44766EAC", "ObservabilityDashboard9A1D08B3"} | _FORMER_ALARMS,
    "every option": _FORMER_ALARMS,
}


@pytest.mark.parametrize(("recorded", "config"), [("default", {}), ("every option", _EVERY_OPTION)])
def test_logical_ids_do_not_change(synthesised: Synthesise, recorded: str, config: dict[str, Any]) -> None:
    """Each resource of version 0.1 that still exists has its logical id and type.

    Outputs keep their names. Only the dashboard's output is gone with the dashboard.
    """
    body = synthesised(**config).body
    before = golden("logical-ids.json")[recorded]
    after = {name: resource["Type"] for name, resource in body["Resources"].items()}
    assert before["Resources"].items() - after.items() == {
        (name, before["Resources"][name]) for name in REMOVED[recorded]
    }
    assert set(before["Outputs"]) - set(body["Outputs"]) == ({"DashboardName"} if not config else set())
