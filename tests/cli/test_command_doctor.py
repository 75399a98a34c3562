"""`gluebrake doctor` prints a line for each check, and the command that fixes what is wrong."""

from __future__ import annotations

from dataclasses import replace

import gluebrake
from gluebrake_cli.checks import CHECKS
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
    assert counts == f"not checked: {len(CHECKS) - 1}, right: 1"


def test_a_problem_has_its_command(deployment: Deployment) -> None:
    """The command is on a line of its own, and exit code 1 means that something is wrong."""
    lines = run(_with_version(deployment, "0.1.0"), "doctor", code=1).stdout.splitlines()
    version = f"the stack's version is 0.1.0, and this command's is {gluebrake.__version__}"
    position = lines.index(f"wrong        version: {version}")
    assert lines[position + 1] == f"    AWS_REGION={REGION} AWS_PROFILE=prod make deploy"


def test_json_has_the_documented_members(deployment: Deployment) -> None:
    """Scripts depend on these names."""
    shown = run_json(_with_version(deployment, "0.1.0"), "doctor", code=1)
    assert list(shown) == ["account", "region", "stack", "checks", "wrong"]
    *_, version = shown["checks"]
    (problem,) = version["problems"]
    assert (version["name"], version["state"], version["text"]) == ("version", "wrong", "")
    assert problem["fix"] == f"AWS_REGION={REGION} AWS_PROFILE=prod make deploy"
    assert shown["wrong"] == [f"version: {problem['text']}"]
    assert shown["checks"][0]["state"] == "not checked"
    assert shown["checks"][0]["text"]
