"""The commands and the configuration of docs/fleet.md can be used as they are."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from docs.generate import DOCS
from gluebrake.environments import decode_file
from infra import deploy
from infra.environments import load_stacks
from infra.names import CENTRAL_BUS
from tests.docs.document import Document

PAGE: Final = Document(DOCS / "fleet.md")
ROOT: Final = DOCS.parent


def _configuration() -> bytes:
    (text,) = (block.text for block in PAGE.blocks if block.kind == "json")
    return text.encode()


def _commands(program: str) -> Iterator[list[str]]:
    """Yield the arguments of each command of the page that begins with a program."""
    for block in PAGE.blocks:
        for line in block.text.splitlines() if block.kind == "sh" else ():
            words = shlex.split(line)
            while words and "=" in words[0]:
                words = words[1:]
            if words[: len(program.split())] == program.split():
                yield words


def test_configuration_has_four_environments() -> None:
    """The command and the deployment read the same environments."""
    context = json.loads(_configuration())["context"]
    stacks = load_stacks(context.get)
    assert [stack.environment for stack in stacks] == [*decode_file(_configuration()).values()]
    assert {(stack.environment.account, stack.environment.region) for stack in stacks if stack.environment} == {
        (account, region)
        for account in ("111111111111", "222222222222")
        for region in ("eu-west-1", "us-east-1")
    }
    assert [stack.id for stack in stacks if stack.config.observe] == ["Gluebrake-dev-us"]


def test_configuration_names_the_bus_of_the_central_stack() -> None:
    """Its ARN is known before it is deployed."""
    context = json.loads(_configuration())["context"]
    buses = {stack.config.central_bus_arn for stack in load_stacks(context.get)}
    assert buses == {f"arn:aws:events:eu-west-1:333333333333:event-bus/{CENTRAL_BUS}"}


def test_each_place_is_bootstrapped() -> None:
    """The commands name the environments of the configuration, and the centre."""
    places = {
        (f"aws://{environment.account}/{environment.region}", name)
        for name, environment in decode_file(_configuration()).items()
    }
    bootstrapped = {
        (words[-3], words[-1]) for words in _commands(".venv/bin/python -m infra.cdk_cli bootstrap")
    }
    assert bootstrapped == places | {("aws://333333333333/eu-west-1", "central")}


@pytest.mark.parametrize(
    "arguments", [pytest.param(words[1:], id=" ".join(words)) for words in _commands("make")]
)
def test_make_passes_its_variables_on(arguments: list[str], tmp_path: Path) -> None:
    """Every `make` command of the page becomes a command that the deployment or the synthesis understands."""
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--assume-old=.venv/ready", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    words = shlex.split(done.stdout.strip().splitlines()[-1])
    if words[:3] == [".venv/bin/python", "-m", "infra.deploy"]:
        options = deploy.parse([*words[3:], "-o", str(tmp_path)])
        assert options.environments or "organization=o-abcde12345" in options.context
    else:
        assert words == [".venv/bin/python", "app.py", "-c", "environment="]


def test_variables_of_a_build_server_select_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the command line of `make` names environments."""
    monkeypatch.setenv("ENVIRONMENT", "prod")
    command: list[Any] = ["make", "--no-print-directory", "--dry-run", "--assume-old=.venv/ready", "deploy"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--environment" not in done.stdout
