"""Two accounts and two Regions with a stack in each environment, around a simulated SQS and Glue for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

import boto3
import pytest
from botocore.exceptions import ProfileNotFound
from typer.testing import CliRunner, Result

from gluebrake.stages import Queue
from gluebrake_cli import stack
from gluebrake_cli.app import app
from gluebrake_cli.stack import FUNCTIONS, QUEUES, Deployment
from tests.cli.hooked_calls import Http
from tests.support.simulated_aws import SimulatedAws

PROD: Final = "111111111111"
DEV: Final = "222222222222"
PLACES: Final[Mapping[str, tuple[str, str]]] = {
    "prod-eu": (PROD, "eu-west-1"),
    "prod-us": (PROD, "us-east-1"),
    "dev": (DEV, "eu-west-1"),
}
"""The account and the Region of each environment."""

CONFIG: Final = {
    "environments": {name: {"account": account, "region": region} for name, (account, region) in PLACES.items()}
}


@dataclass
class Place:
    """An environment's account and Region with its stack. A test changes it before it runs the command."""

    name: str
    account: str
    region: str
    simulation: SimulatedAws
    connect: Callable[[Deployment], Deployment] = lambda deployment: deployment
    """Adds more of AWS to the deployment, for example logs."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Further outputs of the stack."""
    calls: list[str] = field(default_factory=list)
    """The operations of STS and CloudFormation that were called."""

    def identity(self, account: str) -> dict[str, Any]:
        """Answer GetCallerIdentity for credentials of an account."""
        self.calls.append("GetCallerIdentity")
        return {"Account": account, "Arn": f"arn:aws:sts::{account}:assumed-role/ops/alice", "UserId": "x"}

    def stacks(self) -> dict[str, Any]:
        """Answer DescribeStacks."""
        self.calls.append("DescribeStacks")
        queues = {
            Queue.STOP: self.simulation.stop_queue,
            Queue.CONFIRM: self.simulation.confirm_queue,
            Queue.DEAD_LETTER: self.simulation.dead_letter_queue,
        }
        outputs = {
            **{QUEUES[name]: queue.url for name, queue in queues.items()},
            **{FUNCTIONS[name]: FUNCTIONS[name] for name in ("stop", "confirm")},
            **self.outputs,
        }
        stack_id = f"arn:aws:cloudformation:{self.region}:{self.account}:stack/Gluebrake/5f2d9a31"
        listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        return {"Stacks": [{"StackId": stack_id, "StackName": "Gluebrake", "Outputs": listed}]}

    def start(self, job_name: str, run_id: str, *, hours: float, **details: Any) -> None:
        """Start a run of a job that long ago. `details` are of the run, and the tags are of the job."""
        glue, tags = self.simulation.aws.glue, details.pop("tags", None)
        if job_name not in glue.list_jobs({})["JobNames"]:
            glue.add_job(job_name, tags=tags)
        glue.add_run(job_name, run_id, started_on=datetime.now(UTC) - timedelta(hours=hours), **details)

    @property
    def stop_requests(self) -> list[dict[str, Any]]:
        """The messages in the stop queue."""
        return [json.loads(message.body) for message in self.simulation.stop_queue]

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of the environment was read or changed."""
        return "DescribeStacks" not in self.calls and not self.simulation.aws.calls


@dataclass
class FleetAws:
    """The environments by their names, and the account of each profile. They exist in the context."""

    session: boto3.Session
    places: dict[str, Place] = field(default_factory=dict)
    profiles: dict[str | None, str] = field(
        default_factory=lambda: {name: account for name, (account, _) in PLACES.items()}
    )
    connected: list[tuple[str | None, str | None]] = field(default_factory=list)
    """The profile and the Region of each session."""

    def __post_init__(self) -> None:
        self._exits = ExitStack()
        # boto3 creates the clients of one session in one thread at a time.
        self._lock = Lock()

    def __enter__(self) -> Self:
        for name, (account, region) in PLACES.items():
            simulation = self._exits.enter_context(SimulatedAws())
            self.places[name] = Place(name, account, region, simulation)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.__exit__(kind, error, trace)

    def __getitem__(self, name: str) -> Place:
        """Return the place of an environment."""
        return self.places[name]

    def patch(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Let the command open its sessions here, in a folder that has the configuration."""
        monkeypatch.setattr(stack, "open_session", self._open)
        monkeypatch.chdir(folder)
        (folder / "cdk.json").write_text(json.dumps({"app": "x", "context": {"gluebrake": CONFIG}}))
        for name in ("GLUEBRAKE_ENVIRONMENT", "GLUEBRAKE_CONFIG", "GLUEBRAKE_STACK"):
            monkeypatch.delenv(name, raising=False)

    def connect(self, **options: Any) -> Deployment:
        """Find a stack as the command does."""
        deployment = stack.connect(**options)
        environment = deployment.aws_environment
        return self._place(environment.account, environment.region).connect(deployment)

    def _place(self, account: str, region: str) -> Place:
        return next(
            place for place in self.places.values() if (place.account, place.region) == (account, region)
        )

    def _open(self, *, profile: str | None, region: str | None) -> _Session:
        self.connected.append((profile, region))
        if profile not in self.profiles:
            raise ProfileNotFound(profile=str(profile))
        account = self.profiles[profile]
        places = [each for each in self.places.values() if each.region == region]
        # Without the check of the account, the stack of the Region would be found with any credentials.
        place = next((each for each in places if each.account == account), places[0])
        return _Session(self.session, place, account, self._lock)


@dataclass
class _Session:
    """A session whose clients call the fakes of a place."""

    session: boto3.Session
    place: Place
    account: str
    lock: Lock

    @property
    def region_name(self) -> str:
        return self.place.region

    def client(self, service: Any, **_options: Any) -> Any:
        with self.lock:
            client: Any = self.session.client(service, **self.place.simulation.aws.client_options)
        for operation, answer in {
            "GetCallerIdentity": lambda: self.place.identity(self.account),
            "DescribeStacks": self.place.stacks,
        }.items():
            client.meta.events.register(f"before-call.*.{operation}", _hook(answer))
        return client


def _hook(answer: Callable[[], dict[str, Any]]) -> Callable[..., tuple[Http, dict[str, Any]]]:
    return lambda **_: (Http(), answer())


def invoke(fleet: FleetAws, *arguments: str, answer: str = "") -> Result:
    """Run a command and return its result, whatever its exit code. `answer` is typed at its question."""
    return CliRunner().invoke(app, arguments, input=answer, obj=fleet.connect)


def run(fleet: FleetAws, *arguments: str, answer: str = "", code: int = 0) -> Result:
    """Run a command that must end with an exit code."""
    result = invoke(fleet, *arguments, answer=answer)
    assert result.exit_code == code, result.output
    return result


def run_json(fleet: FleetAws, *arguments: str, code: int = 0) -> Any:
    """Run a command with `--json` and return the decoded output."""
    return json.loads(run(fleet, *arguments, "--json", code=code).stdout)
