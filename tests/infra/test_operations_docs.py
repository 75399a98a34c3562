"""docs/operations.md names exactly the stack's alarms, error codes, permissions and costs."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import botocore.exceptions
import botocore.httpsession
import botocore.loaders
import botocore.model
import pytest
from botocore.exceptions import BotoCoreError
from msgspec.structs import replace

from gluebrake import error_codes
from gluebrake.outcomes import Outcome
from gluebrake.prices import Prices
from gluebrake.stages import operations
from infra import canary_job
from infra.config import Config, load
from infra.queries import QUERIES
from infra.runbook import RUNBOOK
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.emitted import simulate_all_outcomes
from tests.infra.template import Template, plain

_DOCS: Final = Path(__file__).parents[2] / "docs"
_TEXT: Final = (_DOCS / "operations.md").read_text()

# https://docs.aws.amazon.com/glue/latest/webapi/CommonErrors.html
_COMMON_ERRORS: Final = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalFailure",
    "MalformedHttpRequestException",
    "NotAuthorized",
    "OptInRequired",
    "RequestAbortedException",
    "RequestEntityTooLargeException",
    "RequestExpired",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
}
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
_EVENTBRIDGE_CODES: Final = {
    "CONNECTION_FAILURE",
    "CROSS_ACCOUNT_INGESTION_FAILED",
    "CROSS_REGION_INGESTION_FAILED",
    "ERROR_FROM_TARGET",
    "EVENTS_IN_BATCH_REQUEST_REJECTED",
    "FAILED_TO_ASSUME_ROLE",
    "INTERNAL_ERROR",
    "INVALID_JSON",
    "INVALID_PARAMETER",
    "NO_PERMISSIONS",
    "NO_RESOURCE",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_LIMIT_EXCEEDED",
    "RESOURCE_MODIFICATION_COLLISION",
    "SDK_CLIENT_ERROR",
    "THIRD_ACCOUNT_HOP_DETECTED",
    "THIRD_REGION_HOP_DETECTED",
    "THROTTLING",
    "TIMEOUT",
    "TRANSIENT_ASSUME_ROLE",
    "UNKNOWN",
}


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


def test_documented_thresholds_are_those_of_the_alarms(synthesised: Synthesise) -> None:
    """For the two thresholds that the configuration determines, the page has the default."""
    template = synthesised(canary="rate(1 day)", policies=POLICIES)
    alarms = template.resources("AWS::CloudWatch::Alarm").items()
    thresholds = {name: alarm["Properties"]["Threshold"] for name, alarm in alarms}
    for name, metric in ((row[0].strip("`"), row[1]) for row in _rows("alarm")):
        (threshold,) = (value for alarm, value in thresholds.items() if name in alarm)
        assert threshold == 1 or metric.endswith(f"by default {threshold} s")


def test_documented_retention_of_dead_letters_is_that_of_the_queues(template: Template) -> None:
    """If SQS moves a message, the time that it was in its work queue counts."""
    queues = template.resources("AWS::SQS::Queue").values()
    longest, *work = (queue["Properties"]["MessageRetentionPeriod"] // (24 * 3600) for queue in queues)
    for text in (RUNBOOK["DeadLettersWait"].meaning, " ".join(_TEXT.split())):
        assert f"SQS deletes a dead letter {longest} days after it was sent." in text
        assert f"{longest - max(work)} to {longest} days are left" in text


def test_every_saved_query_has_one_row() -> None:
    """The table has the saved queries, in order."""
    assert _first_column("query") == list(QUERIES)


def test_every_error_code_of_gluebrake_has_one_row() -> None:
    """The table has the outcomes, Glue's codes, AWS's common codes and botocore's network errors, each once."""
    rows = _first_column("`ERROR_CODE`")
    assert [code for code, count in Counter(rows).items() if count > 1] == []
    assert set(rows) == {*_outcome_codes(), *_glue_codes(), *_network_errors(), *_COMMON_ERRORS}


def _outcome_codes() -> set[str]:
    return {outcome.value for outcome in Outcome if outcome.is_failure} | {error_codes.NO_ANSWER}


def _glue_codes() -> set[str]:
    """Return the codes of Glue's model, of Gluebrake's table, and the code that Glue gives for single runs."""
    model = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("glue", "service-2"))
    modelled = {
        e.name for operation in operations()["glue"] for e in model.operation_model(operation).error_shapes
    }
    # No model has the code for single runs. It is in the test data of AWS.
    return modelled | error_codes.THROTTLED | error_codes.FINAL | {"JobRunCannotBeStoppedException"}


def _network_errors() -> set[str]:
    """Return the exceptions that botocore raises when a call has no response."""
    raised = set(re.findall(r"raise (\w+)\(", inspect.getsource(botocore.httpsession.URLLib3Session.send)))
    assert all(issubclass(getattr(botocore.exceptions, name), BotoCoreError) for name in raised)
    return raised


def test_every_code_of_the_simulation_has_a_row() -> None:
    """The codes of simulated dead letters are in the table."""
    warnings = [line for line in simulate_all_outcomes().lines if line["level"] == "WARNING"]
    codes = {line["error_code"] or line["outcome"] for line in warnings}
    assert codes - {"NoTime"} <= set(_first_column("`ERROR_CODE`"))


def test_every_eventbridge_code_has_one_row() -> None:
    """The table has the codes that AWS documents for a rule's dead letters, each once."""
    assert Counter(_first_column("EventBridge's `ERROR_CODE`")) == Counter(_EVENTBRIDGE_CODES)


def test_named_outputs_exist(synthesised: Synthesise) -> None:
    """Every output that the page names is an output of the stack."""
    template = synthesised(dashboard=True)
    named = set(re.findall(r"`([A-Z][A-Za-z]+(?:Arn|Name|Url))`", _TEXT))
    assert named - {"DeadLetterQueueSourceArn"} == {
        "DashboardName",
        "AlarmTopicArn",
        "NoticeTopicArn",
        "ProducerPolicyArn",
        "CanaryJobName",
    }
    assert named & set(template.body["Outputs"]) == named - {"DeadLetterQueueSourceArn"}


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
    """A minute, a run that nothing stops, and a month of daily runs that are stopped within a minute."""
    minute = template.only("AWS::Glue::Job")["MaxCapacity"] * 0.44 / 60
    text = " ".join(_TEXT.split())
    assert f"a minute costs {minute:.5f} USD, and a run that is not stopped costs" in text
    assert f"costs {minute * canary_job.WAIT_SECONDS / 60:.4f} USD." in text
    assert f"A daily canary costs {30 * minute:.2f} USD a month in Glue, and 0.10 USD for the alarm." in text


def test_the_documented_configuration_of_the_canary_is_valid() -> None:
    """The example under the heading is a configuration that switches the canary on."""
    assert load({"gluebrake": _example("The canary")}.get).canary_hours == 24


def test_the_documented_configuration_of_observe_is_valid() -> None:
    """The example under the heading is a configuration of a stack that stops nothing."""
    assert load({"gluebrake": _example("The first week: observe")}.get).observe


def test_the_documented_prices_are_the_defaults() -> None:
    """The example under the heading adds a price for the workers that have none by default."""
    prices = load({"gluebrake": _example("Prices")}.get).price_per_dpu_hour
    assert replace(prices, memory_optimized=None) == Prices()
    assert prices.memory_optimized


def test_the_documented_delays_until_confirmation_are_those_of_the_template(template: Template) -> None:
    """The page has the first delay, and the batch and the window of CONFIRM."""
    mapping = template.only("AWS::Lambda::EventSourceMapping", "Confirm")
    size, window = mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]
    text = " ".join(_TEXT.split())
    assert f"by default {Config().confirm_seconds[0]} seconds after the stop." in text
    assert f"up to {size:,} messages that arrive within {window} seconds" in text
    assert f"adds up to {window} seconds to the time until `Stopped`" in text


def _example(heading: str) -> Any:
    (example,) = re.findall(rf"^##+ {heading}\n.*?^```json\n(.+?)^```$", _TEXT, re.DOTALL | re.MULTILINE)
    return json.loads(example)


def test_a_producer_has_the_documented_permissions(template: Template) -> None:
    """The actions in the producers' row are those of the policy."""
    (row,) = (row for row in _rows("who") if "ProducerPolicyArn" in row[0])
    policy = plain(template.only("AWS::IAM::ManagedPolicy"))["PolicyDocument"]["Statement"]
    assert set(_quoted([row[1]])) == {statement["Action"] for statement in policy}
