"""Synthesise with `python app.py` and with the CDK command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import cdk_cli, synthesis
from infra.artifact import ArtifactError
from infra.node import NODE, NPX, set_node
from tests.infra.conftest import Synthesise

_ROOT = Path(__file__).parents[2]


def test_arguments_override_the_context_of_cdk_json() -> None:
    """`-c key=value` has the meaning that it has for the CDK command line. The value may contain `=`."""
    context = synthesis.plain_context(["-c", "target=local", "--context", "config=a=b.json"])
    assert context == {**synthesis.plain_context([]), "target": "local", "config": "a=b.json"}
    assert "gluebrake" in context


def test_wrong_configuration_is_reported_without_a_traceback(tmp_path: Path) -> None:
    """The error names the argument, the value and what is allowed. The exit status is 1."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CDK_")}
    completed = subprocess.run(
        [sys.executable, "app.py", "-c", "target=mars"],
        cwd=_ROOT,
        env={**environ, "CDK_OUTDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 1
    assert completed.stderr.splitlines() == [
        "The configuration cannot be used:",
        '-c target: "mars" should be "aws" or "local"',
    ]


def test_failed_build_is_reported_with_its_output(tmp_path: Path) -> None:
    """The error has the output of the tool that failed."""

    def fail(_: object) -> None:
        raise ArtifactError("uv pip install failed:\nno such package")

    with pytest.raises(ArtifactError, match="no such package"):
        synthesis.synthesise(context={}, outdir=str(tmp_path), build=fail)  # type: ignore[arg-type]


def test_warning_of_the_artifact_is_in_the_assembly(synthesised: Synthesise) -> None:
    """The CDK command line prints it at synthesis and at deployment."""
    metadata = synthesised(warning="slow start").directory / "Gluebrake.metadata.json"
    assert "slow start" in metadata.read_text()


def test_cdk_runs_on_the_node_from_pypi() -> None:
    """Npx from the wheel starts the pinned version of the CDK, so that no Node.js need be installed."""
    assert cdk_cli.command(["deploy", "-c", "a=b"])[:2] == [str(NODE), str(NPX)]
    assert cdk_cli.command(["deploy", "-c", "a=b"])[2:] == ["--yes", cdk_cli.CDK, "deploy", "-c", "a=b"]
    assert NODE.exists()
    assert NPX.exists()


def test_cdk_finds_this_python_first() -> None:
    """`python` is this interpreter and `node` is the one from PyPI. All other variables are unchanged."""
    environ = cdk_cli.environment({"PATH": "/usr/bin", "AWS_ENDPOINT_URL": "http://localhost"})
    expected = os.pathsep.join([str(Path(sys.executable).parent), str(NODE.parent), "/usr/bin"])
    assert environ == {"PATH": expected, "AWS_ENDPOINT_URL": "http://localhost"}


def test_jsii_node_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSII_NODE from the environment has priority over the Node.js from PyPI."""
    monkeypatch.setenv("JSII_NODE", "/opt/node")
    set_node()
    assert os.environ["JSII_NODE"] == "/opt/node"
