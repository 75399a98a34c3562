"""Deployments as a user starts them: `python -m local up`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import jobs
from local.aws import Aws
from local.deployment import log_group
from local.emulator import ROOT
from local.up import CONFIG
from tests.e2e import sweep_policies
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Deployment:
    """A running deployment, as the file of `up --json` describes it."""

    aws: Aws
    outputs: Mapping[str, str]
    glue_calls: Path
    environ: Mapping[str, str]
    """The environment in which `gluebrake env --local` finds only this deployment."""

    def start(
        self, job_name: str, count: int = 1, arguments: Mapping[str, str] = jobs.NO_ARGUMENTS
    ) -> list[str]:
        """Create a job and start runs of it."""
        jobs.create(self.aws, [job_name])
        return jobs.start(self.aws, job_name, count, arguments)

    def start_more(self, job_name: str, count: int = 1) -> list[str]:
        """Start runs of an existing job."""
        return jobs.start(self.aws, job_name, count)

    def send(self, body: str) -> None:
        """Send a message to the stop queue."""
        self.aws.sqs.send_message(QueueUrl=self.outputs["StopQueueUrl"], MessageBody=body)

    def state(self, job_name: str, run_id: str) -> str:
        """Return the state of a run."""
        return self.aws.glue.get_job_run(JobName=job_name, RunId=run_id)["JobRun"]["JobRunState"]

    def states(self, job_name: str) -> set[str]:
        """Return the states of a job's runs."""
        runs = self.aws.glue.get_job_runs(JobName=job_name)["JobRuns"]
        return {run["JobRunState"] for run in runs}

    def stop_calls(self, job_name: str) -> list[list[str]]:
        """Return the run ids of each BatchStopJobRun call for a job."""
        calls = [json.loads(line) for line in self.glue_calls.read_text().splitlines()]
        requests = [call["request"] for call in calls if call["operation"] == "BatchStopJobRun"]
        return [request["JobRunIds"] for request in requests if request["JobName"] == job_name]

    def log(self, function: str) -> list[str]:
        """Return the log lines of a function, which is given by the name of its stack output."""
        group = log_group(self.aws, self.outputs[function])
        pages = self.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def dead_letter(self, text: str) -> dict[str, Any] | None:
        """Return a dead letter whose body contains a text, or None."""
        answer = self.aws.sqs.receive_message(
            QueueUrl=self.outputs["DeadLetterQueueUrl"],
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=0,
        )
        return next((dict(message) for message in answer.get("Messages", []) if text in message["Body"]), None)


@contextlib.contextmanager
def up(directory: Path, config: Mapping[str, Any], **environ: str) -> Iterator[Deployment]:
    """Deploy. By default no batch waits longer than a second, as that of CONFIRM would."""
    config_file, json_file = directory / "config.json", directory / "up.json"
    config_file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "local", "up", "--config", str(config_file), "--json", str(json_file)]
    records = {"GLUEBRAKE_LOCAL_RECORDS": str(directory / "records")}
    env = {**os.environ, "GLUEBRAKE_LOCAL_WINDOW_SECONDS": "1", **environ, **records}
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually(lambda: json_file.exists() or process.poll() is not None)
            assert json_file.exists(), process.stderr and process.stderr.read()
            record = json.loads(json_file.read_text())
            yield Deployment(Aws(record["endpoint"]), record["outputs"], Path(record["glue_calls"]), env)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    assert process.returncode == 0
    assert not json_file.exists()


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy with the emulator's default configuration, but with short delays."""
    default = json.loads(CONFIG.read_text())
    short_delays = {"retrySeconds": [1, 900], "confirmSeconds": [1, 1], "confirmDeadlineSeconds": 2}
    with up(tmp_path_factory.mktemp("up"), default | short_delays) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def signal_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy with rules for alarms and run status events.

    A minute of NotifyDelayAfter lasts one second. A second of a state machine's Wait lasts a twentieth.
    """
    signals = {"stopOnRunStatus": ["status-*"], "stopOnAlarms": ["glue-"]}
    short_delays = {"retrySeconds": [1, 900], "confirmSeconds": [1, 1]}
    with up(
        tmp_path_factory.mktemp("signals"),
        signals | short_delays,
        GLUEBRAKE_LOCAL_MINUTE_SECONDS="1",
        SFN_WAIT_SCALE="0.05",
    ) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def observing_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy a stack that reads each request as a dry run, with a rule for alarms and a policy that stops."""
    config = {
        "observe": True,
        "stopOnAlarms": ["glue-"],
        "retrySeconds": [1, 900],
        "policies": [sweep_policies.OBSERVED],
    }
    directory = tmp_path_factory.mktemp("observing")
    with up(directory, config) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def sweeping_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy with guardrail policies. SWEEP waits one second for further messages, instead of 20."""
    directory = tmp_path_factory.mktemp("sweeping")
    with up(directory, sweep_policies.CONFIG) as deployment:
        yield deployment


@pytest.fixture
def high_volume_deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Deploy for high volume: a batch is full with a thousand messages."""
    config = {"batchSize": 1000, "batchWindowSeconds": 60}
    with up(tmp_path, config, GLUEBRAKE_LOCAL_WINDOW_SECONDS="60") as deployment:
        yield deployment


@pytest.fixture
def removable_deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Deploy for a test that deletes the stack."""
    with up(tmp_path, {}) as deployment:
        yield deployment
