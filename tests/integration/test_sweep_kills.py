"""SWEEP's process is killed before and after each kind of call: no other run is named, and none is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from gluebrake import policies
from gluebrake.policies import POLICIES_FILE
from gluebrake.settings import environment
from tests.support.builders import SETTINGS, record
from tests.support.fakes.aws_server import REGION, FakeAws
from tests.support.fakes.exchange import Json
from tests.support.fakes.sqs import Queue
from tests.support.function_environment import ROOT
from tests.support.process_kill import Killer
from tests.support.sweeps import policy

RUNAWAY: Final = policy("runaway", max_minutes=720, jobs=("etl-*",))
OVER: Final = {("etl-1", "over"), ("etl-2", "over"), ("etl-3", "over")}
OPERATIONS: Final = ("ListJobs", "GetJobRuns", "BatchGetJobs", "GetTags", "SendMessageBatch", "PutEvents")


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """Run a fake AWS with runs over and under the limit, in jobs that the policy means and does not mean."""
    with FakeAws() as aws:
        for job_name in ("etl-1", "etl-2", "etl-3", "report"):
            aws.glue.add_job(job_name)
            for run_id, hours in (("over", 13), ("under", 1)):
                aws.glue.add_run(job_name, run_id, started_on=datetime.now(UTC) - timedelta(hours=hours))
        yield aws


@pytest.fixture
def stop_queue(aws: FakeAws) -> Queue:
    """Return the stop queue."""
    return aws.sqs.add_queue("stop")


@pytest.fixture
def environ(aws: FakeAws, stop_queue: Queue, tmp_path: Path) -> dict[str, str]:
    """Return the environment of the function, whose package has the policy."""
    (tmp_path / POLICIES_FILE).write_bytes(policies.encode((RUNAWAY,)))
    dead_letter_queue = aws.sqs.add_queue("dead_letter")
    queues = {"stop_queue_url": stop_queue.url, "dead_letter_queue_url": dead_letter_queue.url}
    return {
        **environment({**SETTINGS, **queues, "signal_topics": {}}),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT / "lambda_src"), str(ROOT)]),
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "NO_PROXY": "127.0.0.1",
    }


def _sweep(event: Json, environ: dict[str, str], killer: Killer) -> tuple[int, str]:
    """Handle the event in a new process. Return its exit status and its last line."""
    command = [sys.executable, "-m", "tests.support.function_process", "sweep"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environ, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        killer.processes.append(process)
        try:
            output, _ = process.communicate(json.dumps(event), timeout=60)
        finally:
            process.kill()
    return process.returncode, output.rstrip("\n").rpartition("\n")[2]


def _named(stop_queue: Queue) -> list[tuple[str, str]]:
    """List the runs that the stop requests in the queue name."""
    bodies: list[Any] = [json.loads(message.body) for message in stop_queue]
    return [(body["JobName"], run_id) for body in bodies for run_id in body["JobRunIds"]]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_sweep_names_the_same_runs_again(
    aws: FakeAws, environ: dict[str, str], stop_queue: Queue, operation: str, *, after: bool
) -> None:
    """SQS redelivers the message, whose due time says which runs are meant. STOP merges repeated requests."""
    due = datetime.now(UTC).isoformat()
    event = {"Records": [record(json.dumps({"Policies": ["runaway"], "Due": due}))]}
    killer = Killer(after)
    aws.faults.add(killer, operation=operation, times=1)
    status, _ = _sweep(event, environ, killer)
    assert (status, killer.kills) == (-signal.SIGKILL, 1)
    assert set(_named(stop_queue)) <= OVER
    status, answer = _sweep(event, environ, killer)
    assert (status, json.loads(answer)) == (0, {"batchItemFailures": []})
    assert set(_named(stop_queue)) == OVER
