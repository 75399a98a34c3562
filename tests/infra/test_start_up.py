"""What a cold start loads, from the functions' code as it ships: a new module is let in by name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Set as AbstractSet
from typing import Any, Final

import pytest

from gluebrake.settings import environment
from infra import artifact, config
from tests.support.builders import SETTINGS

PACKAGES: Final = frozenset(
    {
        "aws_lambda_powertools",
        "boto3",
        "botocore",
        "dateutil",
        "gluebrake",
        "jmespath",
        "msgspec",
        "s3transfer",
        "six",
        "typing_extensions",
        "urllib3",
    }
)
"""All that ships, and so all that a start may load beside the standard library."""

HEAVY: Final = (
    "asyncio",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.metrics.provider.datadog",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.parser",
    "aws_xray_sdk",
    "boto3.dynamodb.conditions",
    "concurrent.futures.process",
    "ctypes",
    "sqlite3",
    "unittest",
)
"""What costs milliseconds, would be easily drawn in, and is of no use to us."""

_PROBE: Final = """
import json, sys
sys.path.append(sys.argv[1])
import boto3, botocore.config, msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics
for service in "glue", "sqs":
    boto3.client(service, config=botocore.config.Config(retries={"mode": "standard"}))
Logger(service="probe"), EphemeralMetrics(namespace="Probe", service="probe")
before = set(sys.modules)
__import__(sys.argv[2])
print(json.dumps({"all": sorted(sys.modules), "ours": sorted(sys.modules.keys() - before)}))
"""


@pytest.fixture(scope="module", params=["gluebrake.handlers.stop", "gluebrake.handlers.confirm"])
def started(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Start a function as Lambda does; return which modules that loads, and which of them no package loads."""
    directory = artifact.build(config.load({"target": "local"}.get)).directory
    urls = {f"{name}_queue_url": f"https://{name}" for name in ("stop", "confirm", "dead_letter")}
    account = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "eu-west-1")
    done = subprocess.run(
        [sys.executable, "-ISB", "-c", _PROBE, str(directory), request.param],
        env={"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", **account, **environment({**urls, **SETTINGS})},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_a_start_loads_only_packages_that_are_known(started: dict[str, Any]) -> None:
    """A package that one of ours begins to draw in is noticed, and let in only by adding it to the list."""
    packages = {name.partition(".")[0] for name in started["all"]} - sys.stdlib_module_names
    new = {name for name in packages - PACKAGES if not name.startswith("__")}
    assert not new, f"start-up loads packages that PACKAGES does not list: {sorted(new)}"


def test_a_start_loads_nothing_heavy(started: dict[str, Any]) -> None:
    """What would cost each start milliseconds stays out, whoever imports it."""
    heavy = _below(HEAVY, started["all"])
    assert not heavy, f"start-up loads what HEAVY forbids: {sorted(heavy)}"


def test_our_own_code_loads_nothing_beside_itself(started: dict[str, Any]) -> None:
    """Beyond what boto3, msgspec and Powertools load anyway, a start loads our own modules and no others."""
    others = {name for name in started["ours"] if name.partition(".")[0] != "gluebrake"}
    assert started["ours"]
    assert not others, f"our code loads at start-up what no package needs: {sorted(others)}"


def _below(roots: tuple[str, ...], names: list[str]) -> AbstractSet[str]:
    return {name for name in names if name in roots or name.startswith(tuple(f"{root}." for root in roots))}
