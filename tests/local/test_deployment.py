"""A cloud assembly is deployed as `cdk deploy` would, and a failure is reported with its reasons."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local.aws import ACCOUNT, REGION
from local.deployment import DeploymentError, deploy
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
