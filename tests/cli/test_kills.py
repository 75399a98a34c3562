"""A redrive that is killed in the middle loses no dead letter and stops no run twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gluebrake_cli.lease import Lease
from gluebrake_cli.removal import redrive
from gluebrake_cli.stack import Deployment
from tests.support.fakes.aws_server import REGION
from tests.support.fakes.exchange import Answer, Call, Ending, Reply
from tests.support.simulated_aws import SimulatedAws

ROOT: Final = Path(__file__).parents[2]
DEAD_LETTERS: Final = 25


def _start(simulation: SimulatedAws, deployment: Deployment) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.cli.command_process",
        json.dumps(dict(deployment.outputs)),
        "redrive",
    ]
    aws = {
        "AWS_ENDPOINT_URL": simulation.aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "NO_PROXY": "127.0.0.1",
    }
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'lambda_src'}", **aws}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stderr=subprocess.PIPE)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("operation", ["SendMessageBatch", "DeleteMessageBatch"])
def test_a_killed_redrive_can_be_repeated(
    simulation: SimulatedAws, deployment: Deployment, operation: str, *, after: bool
) -> None:
    """Killed at its second batch and repeated, it stops every run, and leaves no dead letter."""
    for number in range(DEAD_LETTERS):
        simulation.aws.glue.add_run("etl", f"jr_{number}")
        simulation.dead_letter_queue.put(json.dumps({"JobName": "etl", "JobRunIds": [f"jr_{number}"]}))
    other = simulation.aws.glue.add_run("etl", "jr_other")
    process = _start(simulation, deployment)

    def kill(call: Call, answer: Answer) -> Reply:
        if len(simulation.aws.requests(operation)) != 2:
            return answer(call)
        reply = answer(call) if after else Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY)
        process.kill()
        return reply

    simulation.aws.faults.add(kill, operation=operation)
    with process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert 0 < len(simulation.dead_letter_queue) < DEAD_LETTERS
    assert {
        run
        for message in (*simulation.dead_letter_queue, *simulation.stop_queue)
        for run in _runs(message.body)
    } == {f"jr_{number}" for number in range(DEAD_LETTERS)}

    simulation.aws.faults.clear()
    simulation.clock.advance(60)
    with Lease(deployment.dead_letter_queue, deployment.aws_environment) as lease:
        for _ in redrive(lease, lease.read().dead_letters, stop_queue=deployment.stop_queue):
            pass
    simulation.run()
    assert {run.state for run in simulation.aws.glue if run is not other} == {"STOPPED"}
    assert other.state == "RUNNING"
    assert len(simulation.dead_letter_queue) == 0
    assert sum(outcome == "Stopped" for *_, outcome in simulation.outcomes) == DEAD_LETTERS


def _runs(body: str) -> list[str]:
    return list(json.loads(body)["JobRunIds"])
