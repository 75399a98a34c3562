"""`make deploy ENVIRONMENT=…` on the emulator: two accounts and two Regions, of which one place is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from local import jobs
from local.aws import HOST, Aws, Credentials
from local.emulator import ROOT, Emulator, inherited_environment, running
from tests.support.bootstrap import bootstrap
from tests.support.eventually import eventually

PROD: Final = "111111111111"
DEV: Final = "222222222222"
PLACES: Final = {
    "prod-eu": (PROD, "eu-west-1"),
    # Broken on purpose: the bootstrap's bucket is missing.
    "dev-us": (DEV, "us-west-2"),
    "prod-us": (PROD, "us-west-2"),
    "dev-eu": (DEV, "eu-west-1"),
}
"""The environments, in the order of the configuration."""

BROKEN: Final = "dev-us"
JOB: Final = "nightly-etl"


@dataclass(frozen=True)
class Fleet:
    """An emulator with two accounts and two Regions, and the variables that name the file of profiles."""

    places: Mapping[str, Aws]
    environ: Mapping[str, str]
    directory: Path

    def deploy(self, *names: str) -> subprocess.CompletedProcess[str]:
        """Deploy environments, as `make deploy` does."""
        options = ["-c", "target=local", "-c", f"config={self.directory / 'config.json'}"]
        options += ["-o", str(self.directory / "cdk.out"), "--require-approval", "never"]
        return subprocess.run(
            [sys.executable, "-m", "infra.deploy", *options, *(f"--environment={name}" for name in names)],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def stacks(self) -> dict[str, list[str]]:
        """Return the names of the complete stacks in each environment that has any."""
        described = {name: aws.cloudformation.describe_stacks()["Stacks"] for name, aws in self.places.items()}
        return {
            name: [stack["StackName"] for stack in stacks if stack["StackStatus"].endswith("_COMPLETE")]
            for name, stacks in described.items()
            if stacks
        }

    def outputs(self, name: str) -> dict[str, str]:
        """Return the outputs of an environment's stack."""
        (stack,) = self.places[name].cloudformation.describe_stacks(StackName="Gluebrake")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Bootstrap each place, and write a profile for each environment."""
    directory = tmp_path_factory.mktemp("fleet")
    places = {name: {"account": account, "region": region} for name, (account, region) in PLACES.items()}
    config = {"environments": {**places, "prod-eu": {**places["prod-eu"], "jobs": [JOB]}}}
    (directory / "config.json").write_text(json.dumps(config | {"confirmSeconds": [1, 1]}))
    with running(GLUEBRAKE_LOCAL_WINDOW_SECONDS="1") as emulator:
        clients = {
            name: emulator.aws.with_credentials(Credentials(account), region)
            for name, (account, region) in PLACES.items()
        }
        for name, aws in clients.items():
            bootstrap(aws, *PLACES[name], bucket=name != BROKEN)
        yield Fleet(clients, _environ(emulator, directory), directory)


def _environ(emulator: Emulator, directory: Path) -> dict[str, str]:
    profiles = "".join(
        f"[{name}]\naws_access_key_id = {account}\naws_secret_access_key = test\n"
        for name, (account, _) in PLACES.items()
    )
    (directory / "credentials").write_text(profiles)
    return {
        **{name: value for name, value in inherited_environment().items() if not name.startswith("CDK_")},
        "AWS_CONFIG_FILE": str(directory / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": emulator.aws.endpoint,
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / "credentials"),
        "CDK_VALIDATION": "false",
        "NO_PROXY": f"{os.environ.get('NO_PROXY', '')},{HOST}".lstrip(","),
    }


def _result(process: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines after `Result:`, which end the output."""
    lines = process.stdout.splitlines()
    assert "Result:" in lines, process.stdout + process.stderr
    return lines[lines.index("Result:") + 1 :]


@pytest.fixture(scope="module")
def first(fleet: Fleet) -> subprocess.CompletedProcess[str]:
    """Deploy a single environment."""
    return fleet.deploy("prod-eu")


def test_one_environment(fleet: Fleet, first: subprocess.CompletedProcess[str]) -> None:
    """Only its account and Region get the stack, which has the same name everywhere."""
    assert _result(first) == ["  prod-eu: deployed"]
    assert first.returncode == 0
    assert fleet.stacks() == {"prod-eu": ["Gluebrake"]}


@pytest.fixture(scope="module")
def everything(fleet: Fleet, first: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Deploy all environments, after the first one was deployed."""
    assert first.returncode == 0
    return fleet.deploy("all")


def test_all_environments(fleet: Fleet, everything: subprocess.CompletedProcess[str]) -> None:
    """The broken one fails and does not stop the rest. The result has each, and the exit code is 1."""
    assert _result(everything) == [
        "  prod-eu: deployed",
        "  dev-us: failed: the CDK ended with exit code 1",
        "  prod-us: deployed",
        "  dev-eu: deployed",
    ]
    assert everything.returncode == 1
    assert fleet.stacks() == {name: ["Gluebrake"] for name in PLACES if name != BROKEN}


@pytest.mark.usefixtures("everything")
def test_each_environment_has_its_own_configuration(fleet: Fleet) -> None:
    """What differs is in the function's environment. The rest is common, such as the code."""
    functions: dict[str, Any] = {
        name: fleet.places[name].lambda_.get_function_configuration(
            FunctionName=fleet.outputs(name)["StopFunctionName"]
        )
        for name in ("prod-eu", "dev-eu")
    }
    variables = {name: function["Environment"]["Variables"] for name, function in functions.items()}
    assert json.loads(variables["prod-eu"]["GLUEBRAKE_JOBS"])[0] == JOB
    assert variables["dev-eu"]["GLUEBRAKE_JOBS"] == '["*"]'
    assert variables["dev-eu"]["GLUEBRAKE_JOB_ARN_PREFIX"] == f"arn:aws:glue:eu-west-1:{DEV}:job/"
    assert len({function["CodeSha256"] for function in functions.values()}) == 1


@pytest.mark.usefixtures("everything")
def test_a_stop_request_stops_runs_of_its_own_environment_only(fleet: Fleet) -> None:
    """The jobs have the same name everywhere, and a request names no account."""
    names = ("prod-eu", "dev-eu", "prod-us")
    for name in names:
        jobs.create(fleet.places[name], [JOB], bucket=f"scripts-{name}")
    runs = {name: jobs.start(fleet.places[name], JOB, 1)[0] for name in names}

    def state(name: str) -> str:
        return fleet.places[name].glue.get_job_run(JobName=JOB, RunId=runs[name])["JobRun"]["JobRunState"]

    body = json.dumps({"JobName": JOB, "Select": {}})
    fleet.places["dev-eu"].sqs.send_message(QueueUrl=fleet.outputs("dev-eu")["StopQueueUrl"], MessageBody=body)
    eventually(lambda: state("dev-eu") == "STOPPED")
    assert (state("prod-eu"), state("prod-us")) == ("RUNNING", "RUNNING")
