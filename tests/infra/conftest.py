"""Fixtures that synthesise templates in this process, with a stub in place of the functions' code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.artifact import Artifact
from infra.synthesis import plain_context, synthesise
from tests.infra.template import Template

Synthesise = Callable[..., Template]


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Return a function that synthesises a template for configuration keys that override cdk.json's."""
    stub = tmp_path_factory.mktemp("stub")
    (stub / "stub.py").touch()

    def synthesised(*, warning: str = "", **config: Any) -> Template:
        directory: Path = tmp_path_factory.mktemp("cdk.out")
        context = plain_context([])
        # The default runtime is this Python. The recorded templates are the same for every Python.
        context["gluebrake"] |= {"python": "3.13", **config}
        synthesise(context=context, outdir=str(directory), build=lambda _: Artifact(stub, warning))
        return Template(directory)

    return synthesised


@pytest.fixture(scope="session")
def template(synthesised: Synthesise) -> Template:
    """Return the template of the configuration in cdk.json."""
    return synthesised()
