"""The command is killed in the middle of a redrive, and nothing is lost or doubled in effect."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gluebrake_cli import redriving
from gluebrake_cli.aws import Deployment
from gluebrake_cli.redriving import Lease
from tests.support.fakes.aws_server import REGION
from tests.support.fakes.exchange import Answer, Call, Ending, Reply
from tests.support.simulated_aws import World

ROOT: Final = Path(__file__).parents[2]
LETTERS: Final = 25


def _start(world: World, deployment: Deployment) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.cli.command_process",
        json.dumps(dict(deployment.outputs)),
        "redrive",
    ]
    aws = {
        "AWS_ENDPOINT_URL": world.aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "NO_PROXY": "127.0.0.1",
    }
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'lambda_src'}", **aws}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stderr=subprocess.PIPE)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("operation", ["SendMessageBatch", "DeleteMessageBatch"])
def test_killed_half_way_nothing_is_lost(
    world: World, deployment: Deployment, operation: str, *, after: bool
) -> None:
    """Killed around its second batch and repeated, every run is stopped, and no letter is left or made."""
    for number in range(LETTERS):
        world.aws.glue.add_run("etl", f"jr_{number}")
        world.dead_letter_queue.put(json.dumps({"JobName": "etl", "JobRunIds": [f"jr_{number}"]}))
    other = world.aws.glue.add_run("etl", "jr_other")
    process = _start(world, deployment)

    def kill(call: Call, answer: Answer) -> Reply:
        if len(world.aws.requests(operation)) != 2:
            return answer(call)
        reply = answer(call) if after else Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY)
        process.kill()
        return reply

    world.aws.faults.add(kill, operation=operation)
    with process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert 0 < len(world.dead_letter_queue) < LETTERS
    assert {
        run for message in (*world.dead_letter_queue, *world.stop_queue) for run in _runs(message.body)
    } == {f"jr_{number}" for number in range(LETTERS)}

    world.aws.faults.clear()
    world.clock.advance(60)
    with Lease(deployment.dead_letter_queue, deployment.aws_environment()) as hold:
        for _ in redriving.redrive(hold, hold.read().letters, stop_queue=deployment.stop_queue):
            pass
    world.run()
    assert {run.state for run in world.aws.glue if run is not other} == {"STOPPED"}
    assert other.state == "RUNNING"
    assert len(world.dead_letter_queue) == 0
    assert sum(outcome == "Stopped" for *_, outcome in world.outcomes) == LETTERS


def _runs(body: str) -> list[str]:
    return list(json.loads(body)["JobRunIds"])
