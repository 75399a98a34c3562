"""The emulator's Glue runs jobs as AWS Glue does. ministack's own Glue does not."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import jobs
from local.aws import ACCOUNT, REGION
from local.emulator import Emulator
from tests.support.eventually import eventually

UNKNOWN = f"jr_{'0' * 64}"


@pytest.fixture
def job(emulator: Emulator, request: pytest.FixtureRequest) -> str:
    """Create a job with the test's name."""
    jobs.create(emulator.aws, [request.node.name])
    return str(request.node.name)


def _run(emulator: Emulator, job: str, run_id: str) -> dict[str, Any]:
    return dict(emulator.aws.glue.get_job_run(JobName=job, RunId=run_id)["JobRun"])


def _stop(emulator: Emulator, job: str, *run_ids: str) -> tuple[list[str], dict[str, str]]:
    answer = emulator.aws.glue.batch_stop_job_run(JobName=job, JobRunIds=run_ids)
    errors = {error["JobRunId"]: error["ErrorDetail"]["ErrorCode"] for error in answer["Errors"]}
    return [run["JobRunId"] for run in answer["SuccessfulSubmissions"]], errors


def _processes(run_id: str) -> list[str]:
    listed = subprocess.run(["ps", "-ww", "-eo", "args="], check=True, capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if run_id in line]


def test_run_ids_have_the_form_of_glue(emulator: Emulator, job: str) -> None:
    """A run id is `jr_` and 64 hexadecimal digits."""
    (run_id,) = jobs.start(emulator.aws, job, 1)
    assert re.fullmatch(r"jr_[0-9a-f]{64}", run_id)


def test_pages_are_newest_first(emulator: Emulator, job: str) -> None:
    """GetJobRuns lists the newest runs first. A run that starts between two pages does not shift them."""
    started = jobs.start(emulator.aws, job, 5, {jobs.SECONDS: "0"})
    first = emulator.aws.glue.get_job_runs(JobName=job, MaxResults=2)
    jobs.start(emulator.aws, job, 1, {jobs.SECONDS: "0"})
    second = emulator.aws.glue.get_job_runs(JobName=job, MaxResults=200, NextToken=first["NextToken"])
    assert [run["Id"] for page in (first, second) for run in page["JobRuns"]] == started[::-1]
    assert "NextToken" not in second


def test_page_size_is_at_most_200(emulator: Emulator, job: str) -> None:
    """GetJobRuns refuses a page size over 200."""
    with pytest.raises(emulator.aws.glue.exceptions.InvalidInputException, match="200"):
        emulator.aws.glue.get_job_runs(JobName=job, MaxResults=201)


def test_one_call_stops_at_most_25_runs(emulator: Emulator, job: str) -> None:
    """BatchStopJobRun refuses a whole call with 26 ids."""
    with pytest.raises(emulator.aws.glue.exceptions.InvalidInputException, match="25"):
        _stop(emulator, job, *(f"jr_{number:064x}" for number in range(26)))


def test_stopped_run_is_stopping_then_stopped(emulator: Emulator, job: str) -> None:
    """A run goes from RUNNING to STOPPING to STOPPED, and its times are consistent."""
    (run_id,) = jobs.start(emulator.aws, job, 1)
    before = _run(emulator, job, run_id)
    assert _stop(emulator, job, run_id) == ([run_id], {})
    during = _run(emulator, job, run_id)
    after = eventually(lambda: _stopped(emulator, job, run_id))
    assert [run["JobRunState"] for run in (before, during)] == ["RUNNING", "STOPPING"]
    assert "CompletedOn" not in during
    duration = after["CompletedOn"] - after["StartedOn"]
    assert timedelta(0) < duration < timedelta(seconds=30)
    assert after["ExecutionTime"] == int(duration.total_seconds())


def _stopped(emulator: Emulator, job: str, run_id: str) -> dict[str, Any] | None:
    run = _run(emulator, job, run_id)
    return run if run["JobRunState"] == "STOPPED" else None


def test_process_of_a_stopped_run_ends(emulator: Emulator, job: str) -> None:
    """A run's process exists while the run is RUNNING, and has ended once the run is STOPPED."""
    answer = emulator.aws.glue.start_job_run(JobName=job, Arguments={"--mark": "marked-process"})
    assert _processes("marked-process")
    _stop(emulator, job, answer["JobRunId"])
    eventually(lambda: _stopped(emulator, job, answer["JobRunId"]))
    assert not _processes("marked-process")


def test_times_have_fractions_of_a_second(emulator: Emulator, job: str) -> None:
    """Runs that start within one second have different times."""
    started = jobs.start(emulator.aws, job, 3)
    assert len({_run(emulator, job, run_id)["StartedOn"] for run_id in started}) == 3


def test_finished_run_is_refused_individually(emulator: Emulator, job: str) -> None:
    """Finished and unknown runs get an error each. The call's remaining runs are stopped."""
    (finished,), (running,) = (
        jobs.start(emulator.aws, job, 1, {jobs.SECONDS: "0"}),
        jobs.start(emulator.aws, job, 1),
    )
    eventually(lambda: _run(emulator, job, finished)["JobRunState"] == "SUCCEEDED")
    submitted, errors = _stop(emulator, job, finished, UNKNOWN, running)
    assert submitted == [running]
    assert errors == {finished: "JobRunCannotBeStoppedException", UNKNOWN: "EntityNotFoundException"}


def test_stopping_run_is_refused(emulator: Emulator, job: str) -> None:
    """A run that is STOPPING cannot be stopped again."""
    (run_id,) = jobs.start(emulator.aws, job, 1)
    _stop(emulator, job, run_id)
    assert _stop(emulator, job, run_id) == ([], {run_id: "JobRunCannotBeStoppedException"})


def test_unknown_job_fails_the_call(emulator: Emulator) -> None:
    """Every operation on an unknown job raises EntityNotFoundException."""
    glue = emulator.aws.glue
    for call in (
        lambda: glue.batch_stop_job_run(JobName="nowhere", JobRunIds=[UNKNOWN]),
        lambda: glue.get_job_run(JobName="nowhere", RunId=UNKNOWN),
        lambda: glue.get_job_runs(JobName="nowhere"),
        lambda: glue.start_job_run(JobName="nowhere"),
    ):
        with pytest.raises(glue.exceptions.EntityNotFoundException):
            call()


def test_failing_script_fails_its_run(emulator: Emulator, job: str) -> None:
    """If the script raises, its run is FAILED, and the error message has the script's output."""
    run_id = emulator.aws.glue.start_job_run(JobName=job, Arguments={jobs.SECONDS: "soon"})["JobRunId"]
    eventually(lambda: _run(emulator, job, run_id)["JobRunState"] == "FAILED")
    assert "soon" in _run(emulator, job, run_id)["ErrorMessage"]


def test_first_stops_of_a_run_can_fail(emulator: Emulator, job: str) -> None:
    """A run with `--failed-stops 2` is stopped by the third stop, and is RUNNING until then."""
    (run_id,) = jobs.start(emulator.aws, job, 1, {"--failed-stops": "2"})
    for _ in range(2):
        assert _stop(emulator, job, run_id) == ([], {run_id: "InternalServiceException"})
        assert _run(emulator, job, run_id)["JobRunState"] == "RUNNING"
    assert _stop(emulator, job, run_id) == ([run_id], {})


def test_run_can_refuse_to_stop(emulator: Emulator, job: str) -> None:
    """A run with `--refuse-to-stop` stays STOPPING, even after a run that was stopped later is STOPPED."""
    refusing = emulator.aws.glue.start_job_run(JobName=job, Arguments={"--refuse-to-stop": "1"})["JobRunId"]
    _stop(emulator, job, refusing)
    (stopping,) = jobs.start(emulator.aws, job, 1)
    _stop(emulator, job, stopping)
    eventually(lambda: _stopped(emulator, job, stopping))
    assert _run(emulator, job, refusing)["JobRunState"] == "STOPPING"


def test_run_can_have_started_earlier(emulator: Emulator, job: str) -> None:
    """A run with `--started-minutes-ago` has that age at once, and its ExecutionTime includes it."""
    arguments = {"--started-minutes-ago": "90"}
    (running,) = jobs.start(emulator.aws, job, 1, arguments)
    (finished,) = jobs.start(emulator.aws, job, 1, arguments | {jobs.SECONDS: "0"})
    eventually(lambda: _run(emulator, job, finished)["JobRunState"] == "SUCCEEDED")
    for run_id in (running, finished):
        run = _run(emulator, job, run_id)
        assert timedelta(minutes=90) <= datetime.now(UTC) - run["StartedOn"] < timedelta(minutes=92)
        assert 90 * 60 <= run["ExecutionTime"] < 92 * 60


def test_run_that_started_earlier_is_listed_later(emulator: Emulator, job: str) -> None:
    """GetJobRuns lists a run by its StartedOn, whenever it was created."""
    (new,) = jobs.start(emulator.aws, job, 1)
    (old,) = jobs.start(emulator.aws, job, 1, {"--started-minutes-ago": "90"})
    (newest,) = jobs.start(emulator.aws, job, 1)
    listed = emulator.aws.glue.get_job_runs(JobName=job)["JobRuns"]
    assert [run["Id"] for run in listed] == [newest, new, old]


def test_end_of_a_run_is_an_event(emulator: Emulator, job: str) -> None:
    """Once a run is STOPPED, a `Glue Job State Change` event is on the default bus."""
    queue = emulator.aws.sqs.create_queue(QueueName="state-changes")["QueueUrl"]
    pattern = json.dumps({"source": ["aws.glue"], "detail": {"jobName": [job]}})
    emulator.aws.events.put_rule(Name="state-changes", EventPattern=pattern)
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:state-changes"
    emulator.aws.events.put_targets(Rule="state-changes", Targets=[{"Id": "queue", "Arn": arn}])
    (run_id,) = jobs.start(emulator.aws, job, 1)
    _stop(emulator, job, run_id)
    (message,) = eventually(lambda: emulator.aws.sqs.receive_message(QueueUrl=queue).get("Messages"))
    event = json.loads(message["Body"])
    assert event["detail-type"] == "Glue Job State Change"
    assert event["detail"]["state"] == "STOPPED"
    assert (event["detail"]["jobName"], event["detail"]["jobRunId"]) == (job, run_id)


def test_glue_calls_are_recorded(emulator: Emulator, job: str) -> None:
    """Every Glue call is recorded with its request."""
    _stop(emulator, job, UNKNOWN)
    assert {"JobName": job, "JobRunIds": [UNKNOWN]} in emulator.glue_calls("BatchStopJobRun")


CALLS_AWS = """\
import sys
import boto3

(queue,) = (value for name, value in zip(sys.argv, sys.argv[1:]) if name == "--queue")
boto3.client("sqs", region_name="eu-central-2").send_message(QueueUrl=queue, MessageBody="hello")
"""


def test_script_with_boto3_calls_the_emulator(emulator: Emulator, job: str) -> None:
    """A script can import boto3, and its calls go to the emulator without any configuration."""
    queue = emulator.aws.sqs.create_queue(QueueName=job)["QueueUrl"]
    emulator.aws.put_object(jobs.BUCKET, "calls.py", CALLS_AWS.encode())
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{jobs.BUCKET}/calls.py", "PythonVersion": "3.9"}
    emulator.aws.glue.update_job(JobName=job, JobUpdate={"Role": jobs.ROLE, "Command": command})  # type: ignore[typeddict-item]
    (run_id,) = jobs.start(emulator.aws, job, 1, {"--queue": queue})
    (message,) = eventually(lambda: emulator.aws.sqs.receive_message(QueueUrl=queue).get("Messages"))
    assert message["Body"] == "hello"
    eventually(lambda: _run(emulator, job, run_id)["JobRunState"] == "SUCCEEDED")
