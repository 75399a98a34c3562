"""What these tests share: a Gluebrake whose SQS and Glue are fakes over a socket."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from gluebrake_cli import terminal
from gluebrake_cli.aws import FUNCTIONS, WORK_QUEUES, Clients, Deployment
from tests.support.simulated_aws import World


@pytest.fixture
def world() -> Iterator[World]:
    """Run an AWS with both functions, in time that the test moves."""
    with World() as world:
        yield world


@pytest.fixture
def deployment(world: World) -> Deployment:
    """Return what the command finds by its stack. There is no CloudWatch, no Lambda, no Logs."""
    urls = (world.stop_queue.url, world.confirm_queue.url, world.dead_letter_queue.url)
    outputs = dict(zip(WORK_QUEUES.values(), urls, strict=True)) | {name: name for name in FUNCTIONS.values()}
    return Deployment(Clients(boto3.Session(), **world.aws.client_options), "Gluebrake", outputs)


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a terminal so wide that nothing is wrapped, whatever this one is like."""
    for console in (terminal.out, terminal.stderr):
        monkeypatch.setattr(console, "width", 300)
