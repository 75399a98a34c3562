"""Synthesise with `python app.py` and with the CDK command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from infra import context, synthesis
from infra.artifact import Artifact, ArtifactError
from infra.config import Config, ConfigError
from infra.names import STACK, configuration_file
from infra.node import set_node
from tests.infra.conftest import Synthesise
from tests.infra.template import Template, plain

_ROOT = Path(__file__).parents[2]


def test_arguments_override_the_context_of_cdk_json() -> None:
    """`-c key=value` has the meaning that it has for the CDK command line. The value may contain `=`."""
    values = context.plain_context(["-c", "target=local", "--context", "config=a=b.json"])
    assert values == {**context.plain_context([]), "target": "local", "config": "a=b.json"}
    assert "gluebrake" in values


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


def test_assembly_has_the_effective_configuration(template: Template) -> None:
    """`make deploy` shows every key with its value, also the defaults."""
    values = json.loads((template.directory / configuration_file(STACK)).read_text())
    assert msgspec.convert(values, Config) == Config(python="3.13")
    assert values.keys() == {field.encode_name for field in msgspec.structs.fields(Config)}


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("confg", "did you mean config?"),
        ("Target", "did you mean target?"),
        ("batchSize", "write batchSize into a JSON file, and give -c config=FILE"),
        ("foo", "the keys are config, environment, gluebrake, organization, target"),
        ("@aws-cdk/core:bootstrapQualifer", "did you mean @aws-cdk/core:bootstrapQualifier?"),
        ("@aws-cdk/core:permissionBoundary", "did you mean @aws-cdk/core:permissionsBoundary?"),
    ],
)
def test_unknown_context_key_is_rejected(key: str, advice: str) -> None:
    """A misspelt key would be ignored, and the defaults deployed."""
    with pytest.raises(ConfigError) as raised:
        context.check_context({"gluebrake": {}, key: "value"})
    assert str(raised.value).splitlines()[1:] == [f"context key {key}: unknown; {advice}"]


def test_keys_of_the_cdk_are_accepted(template: Template) -> None:
    """Every feature flag, and what the CDK command line adds to the context: settings and lookups."""
    manifest = json.loads((template.directory / "manifest.json").read_text())
    flags = manifest["artifacts"]["aws-cdk-lib/feature-flag-report"]["properties"]["flags"]
    assert len(flags) > 50
    added = ["aws:cdk:bundling-stacks", "cdk:skip", "availability-zones:account=1:region=eu-west-1"]
    context.check_context(dict.fromkeys([*flags, *added, "gluebrake", "config", "target"], True))


def test_permissions_boundary_as_a_text_is_rejected() -> None:
    """The CDK ignores it, so that roles without the boundary would be deployed."""
    with pytest.raises(ConfigError, match=r"permissionsBoundary: write .* into the context of cdk.json"):
        context.check_context({"@aws-cdk/core:permissionsBoundary": '{"name": "boundary"}'})


def test_qualifier_and_permissions_boundary_are_in_the_template(tmp_path: Path) -> None:
    """The two settings of the CDK that docs/operations.md names have their effect."""
    (stub := tmp_path / "stub").mkdir()
    (stub / "stub.py").touch()
    settings = {
        "@aws-cdk/core:bootstrapQualifier": "acme",
        "@aws-cdk/core:permissionsBoundary": {"name": "boundary"},
    }
    synthesis.synthesise(
        context={**context.plain_context([]), **settings},
        outdir=str(tmp_path / "cdk.out"),
        build=lambda _: Artifact(stub),
    )
    template = Template(tmp_path / "cdk.out")
    roles = [role["Properties"] for role in template.resources("AWS::IAM::Role").values()]
    assert {plain(role["PermissionsBoundary"]) for role in roles} == {
        "arn:aws:iam::123456789012:policy/boundary"
    }
    assert "/cdk-bootstrap/acme/version" in (template.directory / "manifest.json").read_text()
    assert "hnb659fds" not in (template.directory / "manifest.json").read_text()


def test_context_of_other_files_counts_as_for_the_cdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~/.cdk.json` is the least specific file. A malformed one is named."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".cdk.json"
    file.write_text('{"context": {"gluebrake": 1, "target": "mars"}}')
    assert context.full_context([])["target"] == "mars"
    assert context.full_context(["-c", "target=local"])["target"] == "local"
    assert context.full_context([])["gluebrake"] == context.plain_context([])["gluebrake"]
    file.write_text("{")
    with pytest.raises(ConfigError, match=f"{file}: cannot be read"):
        context.full_context([])


def test_jsii_node_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSII_NODE from the environment has priority over the Node.js from PyPI."""
    monkeypatch.setenv("JSII_NODE", "/opt/node")
    set_node()
    assert os.environ["JSII_NODE"] == "/opt/node"
