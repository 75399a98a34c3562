"""`gluebrake doctor` prints a line for each check, and the command that fixes what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

import gluebrake
from gluebrake_cli.checks import CHECKS
from gluebrake_cli.facts import DeploymentFacts
from gluebrake_cli.health import MappingState
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, run, run_json
from tests.support.fakes.aws_server import REGION


def _with_version(deployment: Deployment, version: str) -> Deployment:
    return replace(deployment, outputs={**deployment.outputs, "Version": version}, profile="prod")


def test_each_check_has_a_line(deployment: Deployment) -> None:
    """Here only the version can be read. What cannot be read is not called right, and is not wrong either."""
    first, *lines, counts = run(_with_version(deployment, gluebrake.__version__), "doctor").stdout.splitlines()
    assert first == f"Gluebrake {PLACE}"
    assert [line[13:].partition(":")[0] for line in lines] == [check.name for check in CHECKS]
    assert [line for line in lines if not line.startswith("not checked  ")] == [
        "right        version: the stack and this command have the same"
    ]
    assert counts == f"{len(CHECKS)} checks: {len(CHECKS) - 1} not checked, 1 right"


def test_a_problem_has_its_command(deployment: Deployment) -> None:
    """The command is on a line of its own, and exit code 1 means that something is wrong."""
    lines = run(_with_version(deployment, "0.1.0"), "doctor", code=1).stdout.splitlines()
    version = f"the stack's version is 0.1.0, and this command's is {gluebrake.__version__}"
    position = lines.index(f"wrong        version: {version}")
    assert (
        lines[position + 1]
        == f"    with your configuration: AWS_REGION={REGION} AWS_PROFILE=prod make deploy CDK_OPTIONS=..."
    )


def test_checks_are_counted_and_their_problems_too(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screen has a line for each problem, and the last line counts the checks that found them."""
    mappings = [MappingState("stop", "Disabled", "1"), MappingState("confirm", "Disabled", "2")]
    monkeypatch.setattr(DeploymentFacts, "mappings", lambda _: mappings)
    *lines, counts = run(_with_version(deployment, gluebrake.__version__), "doctor", code=1).stdout.splitlines()
    assert len([line for line in lines if line.startswith("wrong ")]) == 2
    assert counts == f"{len(CHECKS)} checks: 1 wrong (2 problems), {len(CHECKS) - 2} not checked, 1 right"


def test_json_has_the_documented_members(deployment: Deployment) -> None:
    """Scripts depend on these names."""
    shown = run_json(_with_version(deployment, "0.1.0"), "doctor", code=1)
    assert list(shown) == ["account", "region", "stack", "checks", "wrong"]
    *_, version = shown["checks"]
    (problem,) = version["problems"]
    assert (version["name"], version["state"], version["text"]) == ("version", "wrong", "")
    assert problem["fix"] == f"AWS_REGION={REGION} AWS_PROFILE=prod make deploy CDK_OPTIONS=..."
    assert shown["wrong"] == [f"version: {problem['text']}"]
    assert shown["checks"][0]["state"] == "not checked"
    assert shown["checks"][0]["text"]
