"""docs/operations.md against what it tells of: alarms, codes, permissions, costs."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import botocore.exceptions
import botocore.httpsession
import botocore.loaders
import botocore.model
import pytest
from botocore.exceptions import BotoCoreError

from gluebrake.aws import glue
from gluebrake.decisions import routing, stop_outcomes
from gluebrake.outcomes import Outcome
from infra.artifact import GLUE_OPERATIONS
from infra.queries import QUERIES
from infra.runbook import RUNBOOK
from tests.infra.emitted import everything
from tests.infra.template import Template, plain
from tests.support.simulated_aws import Invocation, World

_TEXT: Final = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()

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
_OF_EVENTBRIDGE: Final = {
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
    """Return the cells of the rows of each table whose header begins so."""
    tables = re.findall(rf"^\| {re.escape(header)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", _TEXT, re.MULTILINE)
    assert tables
    return [
        [cell.strip() for cell in row.strip("|").split("|")] for table in tables for row in table.splitlines()
    ]


def _named(cells: Iterable[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def _first(header: str) -> list[str]:
    """Return what the first column of a table names, in its order."""
    return _named(row[0] for row in _rows(header))


def test_every_alarm_has_its_row_and_no_row_is_without_alarm() -> None:
    """The table has the alarms of the runbook, in its order."""
    assert _first("alarm") == list(RUNBOOK)


def test_ages_that_are_told_are_those_of_the_alarms(template: Template) -> None:
    """The two thresholds that follow from the configuration are told for the defaults."""
    alarms = template.resources("AWS::CloudWatch::Alarm").items()
    thresholds = {name: alarm["Properties"]["Threshold"] for name, alarm in alarms}
    for name, looks_at in ((row[0].strip("`"), row[1]) for row in _rows("alarm")):
        (threshold,) = (value for alarm, value in thresholds.items() if name in alarm)
        assert threshold == 1 or looks_at.endswith(f"by default {threshold} s")


def test_every_saved_query_has_its_row() -> None:
    """The table of questions has the saved ones."""
    assert _first("query") == list(QUERIES)


def test_every_code_that_we_can_write_has_its_row() -> None:
    """Our outcomes, Glue's codes, AWS's common ones, botocore's for the network: each once, and no other."""
    rows = _first("`ERROR_CODE`")
    assert [code for code, count in Counter(rows).items() if count > 1] == []
    assert set(rows) == {*_of_outcomes(), *_of_glue(), *_of_the_network(), *_COMMON_ERRORS}


def _of_outcomes() -> set[str]:
    dead = routing.ROUTES[Outcome.FAILED]
    return {outcome.value for outcome, to in routing.ROUTES.items() if to is dead} | {vars(glue)["_NO_ANSWER"]}


def _of_glue() -> set[str]:
    """Return the codes of Glue's model, those that our tables know, and those that were seen of single runs."""
    model = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("glue", "service-2"))
    modelled = {e.name for operation in GLUE_OPERATIONS for e in model.operation_model(operation).error_shapes}
    # The per-run code is in no model: it stands in AWS's own test data.
    return modelled | glue.THROTTLED | stop_outcomes.FINAL_ERRORS | {"JobRunCannotBeStoppedException"}


def _of_the_network() -> set[str]:
    """Return the exceptions that botocore's session raises when a call is not answered."""
    raised = set(re.findall(r"raise (\w+)\(", inspect.getsource(botocore.httpsession.URLLib3Session.send)))
    assert all(issubclass(getattr(botocore.exceptions, name), BotoCoreError) for name in raised)
    return raised


def test_what_a_run_of_everything_dead_letters_has_its_row() -> None:
    """The codes of real dead letters are in the table."""
    codes = {line["error_code"] or line["outcome"] for line in everything().lines if line["level"] == "WARNING"}
    assert codes - {"NoTime"} <= set(_first("`ERROR_CODE`"))


def test_every_code_of_eventbridge_has_its_row() -> None:
    """The codes that AWS documents for a rule's dead letters: each once, and no other."""
    assert Counter(_first("EventBridge's `ERROR_CODE`")) == Counter(_OF_EVENTBRIDGE)


def test_the_outputs_that_are_named_are_there(template: Template) -> None:
    """What the page sends a reader to is an output of the stack."""
    named = set(re.findall(r"`([A-Z][A-Za-z]+(?:Arn|Name|Url))`", _TEXT))
    assert named - {"DeadLetterQueueSourceArn"} == {"DashboardName", "AlarmTopicArn", "ProducerPolicyArn"}
    assert named & set(template.body["Outputs"]) == named - {"DeadLetterQueueSourceArn"}


@pytest.mark.parametrize(("function", "who"), [("Stop", "STOP's role"), ("Confirm", "CONFIRM's role")])
def test_a_role_may_do_what_the_page_says(template: Template, function: str, who: str) -> None:
    """The actions in its row, and in the row of both, are those that the template permits."""
    told = {name for row in _rows("who") if row[0] in {who, "both"} for name in _named([row[1]]) if ":" in name}
    statements = template.only("AWS::IAM::Policy", function)["PolicyDocument"]["Statement"]
    allowed = [statement["Action"] for statement in statements if statement["Effect"] == "Allow"]
    assert told == {
        action for actions in allowed for action in ([actions] if isinstance(actions, str) else actions)
    }


def test_a_producer_may_do_what_the_page_says(template: Template) -> None:
    """The actions in the producers' row are those of the policy."""
    (row,) = (row for row in _rows("who") if "ProducerPolicyArn" in row[0])
    policy = plain(template.only("AWS::IAM::ManagedPolicy"))["PolicyDocument"]["Statement"]
    assert set(_named([row[1]])) == {statement["Action"] for statement in policy}


def _number(cell: str) -> float:
    return float(re.sub(r"[^\d.]", "", cell.split(maxsplit=1)[0]))


def _per_unit(price: str) -> float:
    return _number(price) / (1_000_000 if price.endswith("a million") else 1)


def test_each_cost_is_its_quantity_by_its_price() -> None:
    """The sums in both tables are those of their lines, to the cent."""
    *lines, together = _rows("line")[:8]
    for quantity, usd in ((1, 2), (3, 4)):
        costs = [_number(line[quantity]) * _per_unit(line[5]) for line in lines]
        assert [f"{cost:.2f}" for cost in costs] == [line[usd] for line in lines]
        assert together[usd] == f"**{sum(round(cost, 2) for cost in costs):.2f}**"
    *lines, together = _rows("line")[8:]
    costs = [_number(line[1]) * _per_unit(line[3]) for line in lines]
    assert [f"{cost:.2f}" for cost in costs] == [line[2] for line in lines]
    assert together[2] == f"**{sum(round(cost, 2) for cost in costs):.2f}**"


def _quantity(line: str, column: int = 1) -> float:
    (cell,) = (row[column] for row in _rows("line") if row[0].startswith(line))
    return _number(cell)


def test_what_is_paid_by_the_month_is_counted(template: Template) -> None:
    """Alarms are paid by the metrics that they look at, metrics by their names and dimensions."""
    alarms = [alarm["Properties"] for alarm in template.resources("AWS::CloudWatch::Alarm").values()]
    metrics = [sum("MetricStat" in one for one in alarm.get("Metrics", [])) or 1 for alarm in alarms]
    assert _quantity("CloudWatch: alarms") == sum(metrics)
    assert _quantity("CloudWatch: dashboard") == len(template.resources("AWS::CloudWatch::Dashboard"))
    assert _quantity("CloudWatch: custom metrics") == len(everything().metrics)
    polls = 30 * 24 * 3600 / 20
    assert _quantity("SQS: five long polls") == 5 * polls * len(template.resources("AWS::Lambda::Function"))


_BYTES_OF_LAMBDA: Final = 400
"""START, END and REPORT of an invocation: as the page assumes, since they are not ours."""


def _stopped(size: int) -> list[Invocation]:
    """Stop so many runs in one invocation, 25 of a job, and confirm them in one; return both."""
    with World(batch_size=size) as world:
        for number in range(size):
            job_name, run_id = f"nightly-etl-{number // 25:02}", f"jr_{number:064x}"
            world.aws.glue.add_run(job_name, run_id, WorkerType="G.1X", NumberOfWorkers=10)
            world.ask(job_name, run_id, Reason="over budget", RequestedBy="guardrail/nightly")
        world.run()
        return world.invocations


def _bytes(invocation: Invocation, *, of_metrics: bool) -> int:
    lines = [line for line in invocation.output.split("\n") if ('"_aws"' in line) is of_metrics]
    return sum(len(line.encode()) for line in lines)


@pytest.mark.parametrize(("size", "column"), [(10, 1), (1000, 3)])
def test_quantities_are_those_of_real_invocations(size: int, column: int) -> None:
    """Calls and bytes of a full batch, times the batches in a million requests."""
    stop, confirm = _stopped(size)
    batches, sends = 1_000_000 // size, len(stop.called("SendMessageBatch"))
    # A poll takes ten messages, and so does a deletion; what is sent in one batch is received in one.
    assert _quantity("SQS: receiving", column) == 2 * 1_000_000 / 10 + 3 * sends * batches
    assert _quantity("Lambda: invocations", column) == 2 * batches
    of_lambda = 400
    written = (
        sum(_bytes(one, of_metrics=yes) for one in (stop, confirm) for yes in (True, False)) + 2 * of_lambda
    )
    assert _quantity("CloudWatch: logs", column) == pytest.approx(written * batches / 1e9, abs=0.005)


def test_what_the_page_calls_measured_was_measured() -> None:
    """Its figures are those of lines, metrics and calls of the functions."""
    (stop, confirm), (many, confirmed) = _stopped(10), _stopped(1000)
    line = [_bytes(one, of_metrics=False) // 10 for one in (stop, confirm)]
    blob = [f"{_bytes(one, of_metrics=True):,}" for one in (stop, confirm, many, confirmed)]
    assert _calls(stop, confirm) == [1, 1, 1]
    calls = _calls(many, confirmed)
    told = (
        f"{line[0]} bytes a line at STOP, {line[1]} at CONFIRM; metrics of {blob[0]} and {blob[1]} bytes an"
        f" invocation with 10 runs, of {blob[2]} and {blob[3]} with 1,000; one call, one send and one"
        f" publication for 10 runs; {calls[0]}, {calls[1]} and {calls[2]} for 1,000."
    )
    assert told in " ".join(_TEXT.split())


def _calls(stop: Invocation, confirm: Invocation) -> list[int]:
    return [
        len(stop.called("BatchStopJobRun")),
        len(stop.called("SendMessageBatch")),
        len(confirm.called("PutEvents")),
    ]
