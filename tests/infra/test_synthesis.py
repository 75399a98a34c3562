"""The ways to synthesise: plain, and by the CDK's command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import cdk_cli, synthesis
from infra.artifact import ArtifactError
from infra.node import NODE, NPX, use_own_node
from tests.infra.conftest import Synthesise

_ROOT = Path(__file__).parents[2]


def test_arguments_are_laid_over_the_context_of_cdk_json() -> None:
    """`-c key=value` means what it means to the CDK's command line, `=` in the value included."""
    context = synthesis.plain_context(["-c", "target=local", "--context", "config=a=b.json"])
    assert context == {**synthesis.plain_context([]), "target": "local", "config": "a=b.json"}
    assert "gluebrake" in context


def test_a_bad_configuration_is_a_sentence_and_not_a_traceback(tmp_path: Path) -> None:
    """Whoever mistyped an argument reads what is wrong with it, and the exit status tells a script."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CDK_")}
    done = subprocess.run(
        [sys.executable, "app.py", "-c", "target=mars"],
        cwd=_ROOT,
        env={**environ, "CDK_OUTDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "The configuration cannot be used:",
        '-c target: "mars" should be "aws" or "local"',
    ]


def test_a_failed_build_is_told_as_it_is(tmp_path: Path) -> None:
    """What the tool behind the build said reaches whoever synthesises."""

    def fail(_: object) -> None:
        raise ArtifactError("uv pip install failed:\nno such package")

    with pytest.raises(ArtifactError, match="no such package"):
        synthesis.synthesise(context={}, outdir=str(tmp_path), build=fail)  # type: ignore[arg-type]


def test_missing_bytecode_is_a_warning_on_the_stack(synthesised: Synthesise) -> None:
    """The CDK's command line shows what a slower start costs, at synthesis and at deployment."""
    metadata = synthesised(warning="slow start").directory / "Gluebrake.metadata.json"
    assert "slow start" in metadata.read_text()


def test_the_command_line_runs_on_the_node_from_pypi() -> None:
    """The CDK's pinned version runs by npm's own script, so that no Node need be installed."""
    assert cdk_cli.command(["deploy", "-c", "a=b"])[:2] == [str(NODE), str(NPX)]
    assert cdk_cli.command(["deploy", "-c", "a=b"])[2:] == ["--yes", cdk_cli.CDK, "deploy", "-c", "a=b"]
    assert NODE.exists()
    assert NPX.exists()


def test_the_command_line_finds_our_python_first() -> None:
    """`python app.py` is this interpreter, `node` is PyPI's, and all else of the environment stays."""
    environ = cdk_cli.environment({"PATH": "/usr/bin", "AWS_ENDPOINT_URL": "http://localhost"})
    expected = os.pathsep.join([str(Path(sys.executable).parent), str(NODE.parent), "/usr/bin"])
    assert environ == {"PATH": expected, "AWS_ENDPOINT_URL": "http://localhost"}


def test_a_chosen_node_stays_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSII_NODE in the environment wins over PyPI's Node."""
    monkeypatch.setenv("JSII_NODE", "/opt/node")
    use_own_node()
    assert os.environ["JSII_NODE"] == "/opt/node"
