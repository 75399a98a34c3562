"""Deploy Gluebrake into the emulator: synthesise in a separate process, then deploy like `cdk deploy`."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra import assemblies
from local.aws import ACCOUNT, REGION, Aws
from local.emulator import Emulator

BOOTSTRAP_VERSION: Final = "/cdk-bootstrap/hnb659fds/version"
DEPLOY_SECONDS: Final = 120.0
NO_TEMPLATE_RULES: Final = {"CDK_VALIDATION": "false"}
"""Turns off the CDK's own template rules, which take most of a synthesis. cdk-nag still runs.

These rules check every template for AWS. A template for the emulator is not checked by them.
https://github.com/aws/aws-cdk/pull/38379
"""


class DeploymentError(RuntimeError):
    """The app could not be synthesised or its stack could not be created. The text has the reason."""


@dataclass(frozen=True, slots=True)
class Synthesis:
    """A synthesis that is running in another process, or a kept cloud assembly."""

    assembly: Future[Path]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to wait for, as with a kept cloud assembly."""
        return self.assembly.done()

    def wait(self) -> Path:
        """Return the directory of the cloud assembly. If app.py failed, raise DeploymentError."""
        return self.assembly.result()


def synthesise(emulator: Emulator, config: Path | None = None) -> Synthesis:
    """Start to synthesise the app for this machine, unless it is kept. A config file overrides the defaults."""
    key = f"local {config.read_text() if config else ''}"
    context = [
        "-c",
        "target=local",
        "-c",
        "environment=",
        *(["-c", f"config={config.resolve()}"] if config else []),
    ]

    def write(directory: Path) -> None:
        with tempfile.TemporaryFile() as output:
            variables = {**NO_TEMPLATE_RULES, "CDK_OUTDIR": str(directory.resolve())}
            process = emulator.start([sys.executable, "app.py", *context], output, **variables)
            if process.wait():
                output.seek(0)
                raise DeploymentError(f"app.py could not be synthesised:\n{output.read().decode()}")

    thread = ThreadPoolExecutor(max_workers=1)
    assembly = thread.submit(assemblies.kept, key, write, at=assemblies.inputs())
    thread.shutdown(wait=False)
    return Synthesis(assembly)


def deploy(aws: Aws, assembly: Path) -> dict[str, str]:
    """Upload the assets of each stack, create it, and return the outputs."""
    aws.ssm.put_parameter(Name=BOOTSTRAP_VERSION, Value="30", Type="String", Overwrite=True)
    outputs: dict[str, str] = {}
    for manifest in sorted(assembly.glob("*.assets.json")):
        assets = json.loads(manifest.read_text())["files"].values()
        urls = {asset["source"]["path"]: _upload(aws, asset, assembly) for asset in assets}
        stack_name = manifest.name.removesuffix(".assets.json")
        # The template is passed by URL, as by `cdk deploy`, because TemplateBody is limited to 51,200 bytes.
        aws.cloudformation.create_stack(
            StackName=stack_name,
            TemplateURL=urls[f"{stack_name}.template.json"],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        outputs |= _wait_until_created(aws, stack_name)
    return outputs


def log_group(aws: Aws, function_name: str) -> str:
    """Return the name of the log group that a function writes to."""
    configuration = aws.lambda_.get_function_configuration(FunctionName=function_name)
    return configuration["LoggingConfig"]["LogGroup"]


def _upload(aws: Aws, asset: Mapping[str, Any], assembly: Path) -> str:
    """Upload an asset to each of its destinations, and return the URL of the last one."""
    path = assembly / asset["source"]["path"]
    body = _zipped(path) if asset["source"]["packaging"] == "zip" else path.read_bytes()
    url = ""
    for destination in asset["destinations"].values():
        bucket, key = _resolved(destination["bucketName"]), _resolved(destination["objectKey"])
        aws.put_object(bucket, key, body)
        url = f"{aws.endpoint}/{bucket}/{key}"
    return url


def _resolved(text: str) -> str:
    for name, value in {"AccountId": ACCOUNT, "Region": REGION, "Partition": "aws"}.items():
        text = text.replace(f"${{AWS::{name}}}", value)
    return text


def _zipped(directory: Path) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for path in sorted(directory.rglob("*")):
            archive.write(path, path.relative_to(directory))
    return body.getvalue()


def _wait_until_created(aws: Aws, stack_name: str) -> dict[str, str]:
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        stack = aws.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        if stack["StackStatus"] != "CREATE_IN_PROGRESS":
            break
        time.sleep(0.05)
    raise DeploymentError(f"stack {stack_name} was not created:\n{_reasons(aws, stack_name)}")


def _reasons(aws: Aws, stack_name: str) -> str:
    events = aws.cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
    return "\n".join(
        f"  {event['LogicalResourceId']} {event['ResourceStatus']}: {event['ResourceStatusReason']}"
        for event in reversed(events)
        if event.get("ResourceStatusReason")
    )
