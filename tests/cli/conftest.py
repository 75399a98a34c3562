"""Fixtures: a deployment whose SQS and Glue are fakes over a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from gluebrake.stages import Queue
from gluebrake_cli import output
from gluebrake_cli.clients import Clients
from gluebrake_cli.stack import FUNCTIONS, QUEUES, Deployment
from tests.cli.command_line import STACK_ID, put_dead_letter
from tests.cli.fleet_aws import FleetAws
from tests.cli.stubbed import Stubbed
from tests.support.simulated_aws import SimulatedAws


@pytest.fixture
def simulation() -> Iterator[SimulatedAws]:
    """Run a simulated AWS with both functions; the test moves its clock."""
    with SimulatedAws() as simulation:
        yield simulation


@pytest.fixture(scope="session")
def boto3_session() -> boto3.Session:
    """Return one session for all tests: each new session reads the large models of the services again."""
    return boto3.Session()


@pytest.fixture
def fleet(boto3_session: boto3.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FleetAws]:
    """Run two accounts and two Regions with three environments, which ./cdk.json describes."""
    with FleetAws(boto3_session) as fleet:
        fleet.patch(monkeypatch, tmp_path)
        yield fleet


@pytest.fixture
def deployment(simulation: SimulatedAws, boto3_session: boto3.Session) -> Deployment:
    """Return the deployment that the command would find. It has no CloudWatch, Lambda and Logs."""
    outputs = {
        QUEUES[Queue.STOP]: simulation.stop_queue.url,
        QUEUES[Queue.CONFIRM]: simulation.confirm_queue.url,
        QUEUES[Queue.DEAD_LETTER]: simulation.dead_letter_queue.url,
        **{FUNCTIONS[name]: FUNCTIONS[name] for name in ("stop", "confirm")},
    }
    return Deployment(Clients(boto3_session, **simulation.aws.client_options), STACK_ID, outputs)


@pytest.fixture
def dead_letters(simulation: SimulatedAws) -> dict[str, str]:
    """Put three dead letters of two reasons in the queue. Return their message ids by run."""
    return {
        "jr_a": put_dead_letter(simulation, "jr_a", "StopTimedOut"),
        "jr_b": put_dead_letter(simulation, "jr_b", "NotAllowed"),
        "jr_c": put_dead_letter(simulation, "jr_c", "NotAllowed", "other"),
    }


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the terminal so wide that nothing is wrapped."""
    for console in (output.stdout, output.stderr):
        monkeypatch.setattr(console, "width", 300)


@pytest.fixture
def stubbed() -> Iterator[Stubbed]:
    """Prepare clients, and check at the end that every prepared call was made."""
    stubbed = Stubbed()
    yield stubbed
    stubbed.check()
