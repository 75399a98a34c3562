"""`gluebrake status` shows what can be read, and ends with 1 if anything is wrong."""

from __future__ import annotations

from gluebrake_cli.stack import Deployment
from tests.cli.command_line import run, run_json


def test_status_shows_what_can_be_read(deployment: Deployment, dead_letters: dict[str, str]) -> None:
    """Where SQS alone answers, its queues are shown, and why the rest is unknown."""
    shown = run_json(deployment, "status", code=1)
    assert [queue["messages"] for queue in shown["queues"]] == [0, 0, len(dead_letters)]
    assert set(shown["unknown"]) == {"age of the oldest message", "alarms", "mappings", "config", "outcomes"}
    assert "3 dead letters: requests that could not be carried out" in shown["wrong"]
    text = run(deployment, "status", code=1).stdout
    assert text.startswith("Gluebrake in eu-west-1 (account 123456789012): 6 problems\n")
    assert "! alarms: " in text
