"""docs/operations.md names exactly the stack's alarms, queries and permissions, and its examples are right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from infra.config import Config, load
from infra.queries import QUERIES
from infra.runbook import RUNBOOK
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.template import Template, plain

_DOCS: Final = Path(__file__).parents[2] / "docs"
_TEXT: Final = (_DOCS / "operations.md").read_text()


def _rows(header: str) -> list[list[str]]:
    """Return the rows of all tables whose header starts with a cell, as lists of cells."""
    tables = re.findall(rf"^\| {re.escape(header)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", _TEXT, re.MULTILINE)
    assert tables
    return [
        [cell.strip() for cell in row.strip("|").split("|")] for table in tables for row in table.splitlines()
    ]


def _quoted(cells: Iterable[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def _first_column(header: str) -> list[str]:
    """Return the names that a table's first column quotes, in order."""
    return _quoted(row[0] for row in _rows(header))


def test_every_alarm_has_one_row() -> None:
    """The table has the runbook's alarms, in order."""
    assert _first_column("alarm") == list(RUNBOOK)


def test_described_thresholds_are_those_of_the_alarms(synthesised: Synthesise) -> None:
    """For the two thresholds that the configuration determines, the runbook has the default."""
    template = synthesised(canary="rate(1 day)", policies=POLICIES)
    alarms = template.resources("AWS::CloudWatch::Alarm").items()
    thresholds = {name: alarm["Properties"]["Threshold"] for name, alarm in alarms}
    for name, entry in RUNBOOK.items():
        (threshold,) = (value for alarm, value in thresholds.items() if name in alarm)
        assert threshold == 1 or entry.watches.endswith(f"by default {threshold} s")


def test_documented_retention_of_dead_letters_is_that_of_the_queues(template: Template) -> None:
    """If SQS moves a message, the time that it was in its work queue counts."""
    queues = template.resources("AWS::SQS::Queue").values()
    longest, *work = (queue["Properties"]["MessageRetentionPeriod"] // (24 * 3600) for queue in queues)
    for text in (RUNBOOK["DeadLettersWait"].meaning, " ".join(_TEXT.split())):
        assert f"SQS deletes a dead letter {longest} days after it was sent." in text
        assert f"{longest - max(work)} to {longest} days are left" in text


def test_every_saved_query_is_named() -> None:
    """The page lists the saved queries, in order."""
    (item,) = re.findall(r"^- \*\*Saved queries\*\*(.+?)^$", _TEXT, re.DOTALL | re.MULTILINE)
    assert _quoted([item]) == ["Gluebrake", *QUERIES]


def test_named_outputs_exist(synthesised: Synthesise) -> None:
    """Every output that the page names is an output of the stack."""
    template = synthesised(dashboard=True)
    named = set(re.findall(r"`([A-Z][A-Za-z]+(?:Arn|Name|Url))`", _TEXT))
    assert named == {"DashboardName", "AlarmTopicArn", "NoticeTopicArn", "ProducerPolicyArn", "CanaryJobName"}
    assert named <= set(template.body["Outputs"])


@pytest.mark.parametrize(
    ("role", "who"),
    [
        ("StopRole", "STOP's role"),
        ("ConfirmRole", "CONFIRM's role"),
        ("SweepRole", "SWEEP's role, with `policies`"),
    ],
)
def test_a_role_has_the_documented_permissions(synthesised: Synthesise, role: str, who: str) -> None:
    """The actions in the role's row, and in the row of each role, are those that the template allows."""
    rows = [row for row in _rows("who") if row[0] in {who, "each of these roles"}]
    documented = {name for row in rows for name in _quoted([row[1]]) if ":" in name}
    tracing = synthesised(policies=POLICIES, tracing=True)
    statements = tracing.only("AWS::IAM::Policy", role)["PolicyDocument"]["Statement"]
    allowed = [statement["Action"] for statement in statements if statement["Effect"] == "Allow"]
    assert documented == {
        action for actions in allowed for action in ([actions] if isinstance(actions, str) else actions)
    }


@pytest.mark.parametrize(
    ("role", "who"),
    [
        ("CanaryRole", "the canary's role"),
        ("CanarySchedulerRole", "the scheduler's role, with `canary`"),
        ("SweepTriggersRole", "the schedules' role, with `policies`"),
    ],
)
def test_a_role_of_another_service_has_the_documented_permissions(
    synthesised: Synthesise, role: str, who: str
) -> None:
    """The actions in the role's row are those that the template allows."""
    (documented,) = (row[1] for row in _rows("who") if row[0] == who)
    template = synthesised(canary="rate(1 day)", policies=POLICIES)
    policy = template.only("AWS::IAM::Policy", role)["PolicyDocument"]
    actions = [statement["Action"] for statement in policy["Statement"]]
    allowed = {a for entry in actions for a in ([entry] if isinstance(entry, str) else entry)}
    assert {name for name in _quoted([documented]) if ":" in name} == allowed


def test_documented_costs_of_the_canary_are_those_of_its_job(template: Template) -> None:
    """Each of a month's daily runs is billed for a minute, because it is stopped within a minute."""
    minute = template.only("AWS::Glue::Job")["MaxCapacity"] * 0.44 / 60
    text = " ".join(_TEXT.split())
    assert f"A daily canary costs {30 * minute:.2f} USD a month in Glue, and 0.10 USD for the alarm." in text


def test_the_documented_configuration_of_the_canary_is_valid() -> None:
    """The example under the heading is a configuration that switches the canary on."""
    assert load({"gluebrake": _example("The canary")}.get).canary_hours == 24


def test_the_documented_configuration_of_observe_is_valid() -> None:
    """The example under the heading is a configuration of a stack that stops nothing."""
    assert load({"gluebrake": _example("The first week: observe")}.get).observe


def test_the_documented_delays_until_confirmation_are_those_of_the_template(template: Template) -> None:
    """The page has the first delay, and the batch and the window of CONFIRM."""
    mapping = template.only("AWS::Lambda::EventSourceMapping", "Confirm")
    size, window = mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]
    text = " ".join(_TEXT.split())
    assert f"by default {Config().confirm_seconds[0]} seconds after the stop." in text
    assert f"up to {size:,} messages that arrive within {window} seconds" in text


def _example(heading: str) -> Any:
    (example,) = re.findall(rf"^##+ {heading}\n.*?^```json\n(.+?)^```$", _TEXT, re.DOTALL | re.MULTILINE)
    return json.loads(example)


def test_a_producer_has_the_documented_permissions(template: Template) -> None:
    """The actions in the producers' row are those of the policy."""
    (row,) = (row for row in _rows("who") if "ProducerPolicyArn" in row[0])
    policy = plain(template.only("AWS::IAM::ManagedPolicy"))["PolicyDocument"]["Statement"]
    assert set(_quoted([row[1]])) == {statement["Action"] for statement in policy}
