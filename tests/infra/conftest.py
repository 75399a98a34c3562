"""Fixtures that synthesise templates in this process, with a stub in place of the functions' code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from infra import assemblies
from infra.artifact import Artifact
from infra.context import plain_context
from infra.synthesis import synthesise
from tests.infra.template import Template

Synthesise = Callable[..., Template]

ROLE: Final = "arn:aws:iam::123456789012:role/ops/FinOps"
POLICIES: Final[list[dict[str, Any]]] = [
    {
        "name": "runaway",
        "jobs": ["*"],
        "maxMinutes": 720,
        "schedule": "rate(1 hour)",
        "mode": "stop",
        "maxRuns": 10,
        "reason": "ran longer than 12 hours",
    },
    {
        "name": "expensive",
        "jobs": ["*"],
        "maxDpuHours": 200,
        "schedule": "rate(1 hour)",
        "maxRuns": 5,
        "reason": "may have used 200 DPU-hours",
    },
    {
        "name": "dev-night",
        "jobs": ["*"],
        "tags": {"env": "dev"},
        "schedule": "cron(0/30 20-23 ? * * *)",
        "timeZone": "Europe/Berlin",
        "mode": "stop",
        "maxRuns": 50,
        "reason": "dev jobs are off at night",
    },
    {
        "name": "dev-budget",
        "jobs": ["dev-*"],
        "onSignal": ["budgets", "costalerts", ROLE],
        "mode": "stop",
        "maxRuns": 100,
        "reason": "the dev budget alert rang",
    },
    {"name": "bell", "jobs": ["adhoc-*"], "onSignal": ["budgets"], "maxRuns": 100, "reason": "a signal rang"},
]
"""Policies with every kind of trigger. Two have the same schedule."""


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Return a function that synthesises a template for configuration keys that override cdk.json's.

    A template is kept for the other processes and for the next run of the tests.
    """
    stub = tmp_path_factory.mktemp("stub")
    (stub / "stub.py").touch()
    # The code in this process is that of now, even if a file changes later.
    inputs = assemblies.inputs()

    def synthesised(*, warning: str = "", **config: Any) -> Template:
        context = plain_context([])
        # The default runtime is this Python. The recorded templates are the same for every Python.
        context["gluebrake"] |= {"python": "3.13", **config}

        def write(directory: Path) -> None:
            synthesise(context=context, outdir=str(directory), build=lambda _: Artifact(stub, warning, stub))

        key = f"stub {warning} {json.dumps(context)} {Path(__file__).read_text()}"
        return Template(assemblies.kept(key, write, at=inputs))

    return synthesised


@pytest.fixture(scope="session")
def sweeping(synthesised: Synthesise) -> Template:
    """Return the template of a configuration with guardrail policies."""
    return synthesised(policies=POLICIES)


@pytest.fixture(scope="session")
def template(synthesised: Synthesise) -> Template:
    """Return the template of the configuration in cdk.json."""
    return synthesised()
