"""Which modules a cold start of the shipped code loads. A new package must be added to the list here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Set as AbstractSet
from typing import Any, Final

import pytest

from gluebrake.settings import environment
from infra import artifact, config
from tests.infra.conftest import POLICIES
from tests.support.builders import SETTINGS

PACKAGES: Final = frozenset(
    {
        "aws_lambda_powertools",
        "botocore",
        "dateutil",
        "gluebrake",
        "jmespath",
        "msgspec",
        "six",
        "typing_extensions",
        "urllib3",
    }
)
"""The packages that ship. A cold start may load these and the standard library."""

SLOW: Final = (
    "asyncio",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.metrics.provider.datadog",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.parser",
    "aws_xray_sdk",
    "botocore.docs.service",
    "concurrent.futures.process",
    "ctypes",
    "html.parser",
    "importlib.metadata",
    "multiprocessing",
    "sqlite3",
    "unittest",
)
"""Modules that take milliseconds to load, that a careless import would load, and that no function needs."""

OF_STAGES: Final = {"sweep": {"_statistics", "fractions", "numbers", "statistics"}}
"""Modules that a stage loads besides: a sweep takes minutes, and needs a median."""

_PROBE: Final = """
import json, sys
sys.path.append(sys.argv[1])
import botocore.config, botocore.session, msgspec
from concurrent.futures import ThreadPoolExecutor
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics
for service in "glue", "sqs":
    config = botocore.config.Config(retries={"mode": "standard"})
    botocore.session.Session().create_client(service, config=config)
Logger(service="probe"), EphemeralMetrics(namespace="Probe", service="probe")
before = set(sys.modules)
__import__(sys.argv[2])
print(json.dumps({"all": sorted(sys.modules), "own": sorted(sys.modules.keys() - before)}))
"""


@pytest.fixture(scope="module", params=["stop", "confirm", "sweep"])
def started(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Import a handler as Lambda does. Return all loaded modules, and those that no package loads."""
    built = artifact.build(config.load({"target": "local", "gluebrake": {"policies": POLICIES}}.get))
    directory = built.sweep if request.param == "sweep" else built.directory
    urls = {f"{name}_queue_url": f"https://{name}" for name in ("stop", "confirm", "dead_letter")}
    values = {**urls, **SETTINGS, "signal_topics": {}}
    account = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "eu-west-1")
    process = subprocess.run(
        [sys.executable, "-ISB", "-c", _PROBE, str(directory), f"gluebrake.handlers.{request.param}"],
        env={"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", **account, **environment(values)},
        capture_output=True,
        text=True,
        check=True,
    )
    return {"stage": request.param, **json.loads(process.stdout)}


def test_a_start_loads_only_listed_packages(started: dict[str, Any]) -> None:
    """A package that another package starts to import is noticed here."""
    packages = {name.partition(".")[0] for name in started["all"]} - sys.stdlib_module_names
    unlisted = {name for name in packages - PACKAGES if not name.startswith("__")}
    assert not unlisted, f"start-up loads packages that PACKAGES does not list: {sorted(unlisted)}"


def test_a_start_loads_no_slow_module(started: dict[str, Any]) -> None:
    """No import, direct or indirect, loads a module that is slow to load."""
    slow = _below(SLOW, started["all"])
    assert not slow, f"start-up loads modules that SLOW lists: {sorted(slow)}"


def test_the_functions_code_loads_only_its_own_modules(started: dict[str, Any]) -> None:
    """Besides what botocore, msgspec and Powertools load anyway, a start loads only modules of `gluebrake`."""
    extra = {name for name in started["own"] if name.partition(".")[0] != "gluebrake"}
    extra -= OF_STAGES.get(started["stage"], set())
    assert started["own"]
    assert not extra, f"gluebrake loads modules at start-up that no package needs: {sorted(extra)}"


def _below(roots: tuple[str, ...], names: list[str]) -> AbstractSet[str]:
    return {name for name in names if name in roots or name.startswith(tuple(f"{root}." for root in roots))}
