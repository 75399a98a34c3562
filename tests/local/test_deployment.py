"""A cloud assembly is deployed as `cdk deploy` would, and a failure is reported with its reasons."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest

from infra import assemblies
from local.aws import ACCOUNT, REGION
from local.deployment import DeploymentError, deploy, synthesise
from local.emulator import Emulator

BUCKET = f"assets-{ACCOUNT}-{REGION}"


def _assembly(directory: Path, name: str, resources: dict[str, Any]) -> Path:
    """Write an assembly of one stack, with a template, a file asset and a directory asset."""
    template = {"Resources": resources, "Outputs": {"Name": {"Value": {"Ref": "Queue"}}}}
    (directory / f"{name}.template.json").write_text(json.dumps(template))
    (directory / "file.json").write_text("{}")
    (directory / "directory" / "deep").mkdir(parents=True)
    (directory / "directory" / "deep" / "app.py").write_text("pass\n")
    paths = {f"{name}.template.json": "file", "file.json": "file", "directory": "zip"}
    files = {
        path: {
            "source": {"path": path, "packaging": kind},
            "destinations": {
                "destination": {"bucketName": "assets-${AWS::AccountId}-${AWS::Region}", "objectKey": path}
            },
        }
        for path, kind in paths.items()
    }
    (directory / f"{name}.assets.json").write_text(json.dumps({"files": files}))
    return directory


def _object(emulator: Emulator, key: str) -> bytes:
    return emulator.aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def test_stack_is_created_with_its_assets(emulator: Emulator, tmp_path: Path) -> None:
    """Files are uploaded unchanged, directories as zip files, and the stack's outputs are returned."""
    assembly = _assembly(tmp_path, "good", {"Queue": {"Type": "AWS::SQS::Queue"}})
    outputs = deploy(emulator.aws, assembly)
    assert outputs["Name"].startswith(f"{emulator.aws.endpoint}/{ACCOUNT}/good-Queue")
    assert _object(emulator, "file.json") == b"{}"
    with zipfile.ZipFile(io.BytesIO(_object(emulator, "directory"))) as archive:
        assert archive.read("deep/app.py") == b"pass\n"


def test_failed_stack_is_reported_with_its_reasons(emulator: Emulator, tmp_path: Path) -> None:
    """If a resource cannot be created, the error names the resource and the reason."""
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 99_999}}
    assembly = _assembly(tmp_path, "bad", {"Queue": queue})
    with pytest.raises(DeploymentError, match=r"Queue CREATE_FAILED: .+"):
        deploy(emulator.aws, assembly)


class App:
    """Starts, in place of app.py, a process that writes a file or fails."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.commands: list[list[str]] = []

    def start(self, command: list[str], output: IO[bytes], **env: str) -> subprocess.Popen[bytes]:
        """Start the process."""
        self.commands.append(command)
        return subprocess.Popen([sys.executable, "-c", self.script], env=env, stdout=output, stderr=output)


WRITES = "import os, pathlib; (pathlib.Path(os.environ['CDK_OUTDIR']) / 'written').touch()"


@pytest.fixture
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep assemblies in a directory of the test."""
    monkeypatch.setattr(assemblies, "inputs", lambda: "inputs")
    monkeypatch.setattr(assemblies, "kept", partial(assemblies.kept, parent=tmp_path / "assemblies"))


@pytest.mark.usefixtures("_own_directory")
def test_a_configuration_is_synthesised_once(tmp_path: Path) -> None:
    """A second deployment of a configuration uses the kept assembly, whatever the file's name is."""
    app: Any = App(WRITES)
    first, same, other = (tmp_path / f"{name}.json" for name in ("first", "same", "other"))
    for file, text in ((first, "{}"), (same, "{}"), (other, '{"jobs": ["etl"]}')):
        file.write_text(text)
    written = [synthesise(app, file).wait() for file in (first, same, other)]
    assert (written[0], len(app.commands)) == (written[1], 2)
    assert [(directory / "written").exists() for directory in written] == [True] * 3


@pytest.mark.usefixtures("_own_directory")
def test_environments_are_not_deployed_to_the_emulator() -> None:
    """The app gets an empty selection: the emulator has one account, and a stack of the common part."""
    app: Any = App(WRITES)
    synthesise(app).wait()
    assert app.commands[0][2:] == ["-c", "target=local", "-c", "environment="]


@pytest.mark.usefixtures("_own_directory")
def test_a_failed_synthesis_is_not_kept() -> None:
    """The error has the app's output. The next deployment starts the app again."""
    failing: Any = App("import sys; sys.exit('no such key')")
    with pytest.raises(DeploymentError, match="no such key"):
        synthesise(failing).wait()
    repaired: Any = App(WRITES)
    assert (synthesise(repaired).wait() / "written").exists()
