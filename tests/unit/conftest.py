"""Fixtures of the tests that run a function on the fake AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from gluebrake.handlers import stop
from gluebrake.handlers.stop import StopDependencies
from gluebrake.settings import environment
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import FakeAws

Metrics = dict[str, list[float]]

VALUES: Final[dict[str, Any]] = {
    **SETTINGS,
    "jobs": ["etl*"],
    "protected_jobs": ["etl-prod"],
    "max_runs_per_request": 100,
    "calls_at_once": 4,
    "max_attempts": 6,
    "alarm_namespaces": ["Own/Jobs"],
    "alarm_accounts": ["210987654321"],
}


@pytest.fixture
def environ(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set the environment of a function that is deployed to the fake. Return its settings' variables."""
    queues = {f"{name}_queue_url": aws.sqs.add_queue(name).url for name in ("stop", "confirm", "dead_letter")}
    variables = environment({**VALUES, **queues})
    for_clients = {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
    }
    for name, value in {**for_clients, **variables}.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def dependencies(environ: dict[str, str], new_loggers: None) -> StopDependencies:  # noqa: ARG001 - they are set up before
    """Build STOP's dependencies, with clients of the fake."""
    return stop.build_dependencies(environ)


@pytest.fixture
def metrics(capsys: pytest.CaptureFixture[str]) -> Callable[[], Metrics]:
    """Return a function that reads the metrics that an invocation has written."""

    def read() -> Metrics:
        blobs = [json.loads(line) for line in capsys.readouterr().out.split("\n") if '"_aws"' in line]
        return {name: values for blob in blobs for name, values in blob.items() if isinstance(values, list)}

    return read
