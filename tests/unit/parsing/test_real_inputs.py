"""Events and notifications in the form in which AWS sends them stop the right runs, or say why they do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from gluebrake import lambda_event
from gluebrake.model import AwsEnvironment, Message, ParsedRequest
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher
from tests.support.builders import bookkeeping, message, parse_requests

pytestmark = pytest.mark.disable_socket

FOLDER: Final = Path(__file__).parents[2] / "support" / "real_inputs"
SENT_AT: Final = datetime(2026, 11, 24, 11, 50, tzinfo=UTC)
DEFAULT: Final = AwsEnvironment("123456789012", "us-east-1")
OWN_NAMESPACE: Final = AwsEnvironment("123456789012", "us-east-1", alarm_namespaces=("GlueBasicMetrics",))
MONITORED: Final = AwsEnvironment("123456789012", "us-east-1", alarm_accounts=("222222222222",))
RUN: Final = "jr_0d1f3c0e5c2c4f0b8a7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b"


class Stop(NamedTuple):
    """A request to stop runs: the named ones, or those that started before a time."""

    job_name: str
    run_ids: tuple[str, ...] = ()
    started_before: str = ""


class Why(NamedTuple):
    """An outcome without a stop, and a part of its reason."""

    outcome: Outcome
    text: str


EXPECTED: Final[dict[tuple[str, AwsEnvironment], Stop | Why]] = {
    ("contributor-event", DEFAULT): Stop("nightly-etl", (RUN,)),
    ("alarm-with-contributors-event", DEFAULT): Why(Outcome.IGNORED, "has an event of its own"),
    ("muted-alarm-event", DEFAULT): Why(
        Outcome.IGNORED,
        "the alarm is muted by arn:aws:cloudwatch:us-east-1:123456789012:alarm-mute-rule:backfill-night"
        " until 2026-11-24T12:00:00.000+0000",
    ),
    ("sum-over-runs-event", DEFAULT): Stop("nightly-etl", started_before="2026-11-24T02:00:40+00:00"),
    ("custom-namespace-notification", DEFAULT): Why(
        Outcome.INVALID_REQUEST,
        "the metric 'RunDurationSeconds' is in namespace 'GlueBasicMetrics'; allowed: Glue;"
        " add the namespace to alarmNamespaces",
    ),
    ("custom-namespace-notification", OWN_NAMESPACE): Stop("nightly-etl", (RUN,)),
    ("run-status-event", DEFAULT): Stop("spaced out job", (RUN,)),
    ("detail-alone", DEFAULT): Why(
        Outcome.INVALID_REQUEST, "send the whole event, from a rule without InputPath"
    ),
    ("anomaly-detection-sns-record", DEFAULT): Stop(
        "nightly-etl", started_before="2026-11-24T11:25:13.236000+00:00"
    ),
    ("monitoring-account-notification", DEFAULT): Why(
        Outcome.INVALID_REQUEST,
        "the alarm: is of account 222222222222 and watches account 123456789012;"
        " only alarms of 123456789012 are obeyed; add its account to alarmAccounts",
    ),
    ("monitoring-account-notification", MONITORED): Stop(
        "nightly-etl", started_before="2026-11-24T11:25:13.236000+00:00"
    ),
    ("foreign-metric-notification", DEFAULT): Why(
        Outcome.INVALID_REQUEST, "the metric 'Stopped' in namespace Glue is not one of Glue's own"
    ),
    ("triggered-rule-notification", DEFAULT): Why(
        Outcome.INVALID_REQUEST, "watches no metric with the dimension JobName, so it names no job"
    ),
}


def _messages(name: str) -> Iterator[Message]:
    """Yield the messages of an input: of its SNS records, or one that an SQS queue delivers."""
    text = (FOLDER / f"{name}.json").read_text()
    if "Records" not in json.loads(text):
        yield message(text, sent_at=SENT_AT)
        return
    event = lambda_event.parse(json.loads(text), request_id="r", now=SENT_AT, bookkeeping=bookkeeping())
    yield from event.messages


def _outcome(name: str, aws_environment: AwsEnvironment) -> Stop | Why:
    requests, results = parse_requests(_messages(name), dispatcher.parse, aws_environment)
    if results:
        return Why(results[0].outcome, results[0].why)
    (parsed,) = requests
    return _stop(parsed)


def _stop(parsed: ParsedRequest) -> Stop:
    request = parsed.request
    before = request.select.started_before if request.select else None
    return Stop(request.job_name, parsed.run_ids, before.isoformat() if before else "")


@pytest.mark.parametrize(("name", "aws_environment"), EXPECTED)
def test_input_has_the_right_outcome(name: str, aws_environment: AwsEnvironment) -> None:
    """Each input stops the runs that it is about, or the reason is true and says what to do."""
    expected, outcome = EXPECTED[name, aws_environment], _outcome(name, aws_environment)
    if isinstance(expected, Why):
        assert isinstance(outcome, Why)
        assert outcome.outcome is expected.outcome
        assert expected.text in outcome.text
    else:
        assert outcome == expected


def test_each_input_is_in_the_table() -> None:
    """No file is without an expected outcome."""
    assert {file.stem for file in FOLDER.iterdir()} == {name for name, _ in EXPECTED}
