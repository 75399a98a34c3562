"""SWEEP's handler turns messages into stop requests, log lines, metrics and a report event."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from gluebrake import policies
from gluebrake.handlers import sweep
from gluebrake.handlers.sweep import SweepDependencies
from gluebrake.policies import POLICIES_FILE, Policy
from gluebrake.settings import environment
from tests.support.builders import NOON, record
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.exchange import Json
from tests.support.fakes.faults import EntriesFailed, Refused
from tests.support.sweeps import policy
from tests.unit.conftest import Metrics

CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 899_000)
TOPIC: Final = "arn:aws:sns:eu-west-1:123456789012:budget"
RUNAWAY: Final = policy("runaway", max_minutes=720, reason="ran longer than 12 hours")
BUDGET: Final = policy("budget", jobs=("etl-dev",), on_signal=("budgets",))
WATCHED: Final = policy("watched", max_minutes=720, mode="report")


@pytest.fixture
def deployed() -> tuple[Policy, ...]:
    """Return the policies in the function's package."""
    return RUNAWAY, BUDGET, WATCHED


@pytest.fixture
def dependencies(
    environ: dict[str, str],
    deployed: tuple[Policy, ...],
    new_loggers: None,  # noqa: ARG001 - they are set up before
    tmp_path: Path,
) -> SweepDependencies:
    """Build SWEEP's dependencies, with clients of the fake. It is noon."""
    (tmp_path / POLICIES_FILE).write_bytes(policies.encode(deployed))
    variables = {**environ, **environment({"signal_topics": {TOPIC: "budget"}})}
    built = sweep.build_dependencies({**variables, "LAMBDA_TASK_ROOT": str(tmp_path)})
    return replace(built, clock=lambda: NOON, shuffle=lambda _names: None)


@pytest.fixture
def jobs(aws: FakeAws) -> FakeAws:
    """Add two jobs with a run of 13 hours and a run of one hour each."""
    for name in ("etl", "etl-dev"):
        aws.glue.add_job(name)
        for hours in (13, 1):
            started_on = NOON - timedelta(hours=hours)
            aws.glue.add_run(name, f"{name}_{hours}h", started_on=started_on)
    return aws


def scheduled(*names: str, due: str = "2026-11-24T12:00:00Z") -> str:
    """Write the message of a schedule."""
    return json.dumps({"Policies": list(names), "Due": due})


def signal(message: str, topic: str = TOPIC) -> str:
    """Write the notification of a signal topic."""
    members = {"Type": "Notification", "MessageId": "n-1", "TopicArn": topic, "Message": message}
    return json.dumps({**members, "Timestamp": "2026-11-24T11:59:00.000Z"})


def invoke(dependencies: SweepDependencies, *bodies: str) -> Json:
    """Invoke the function with a message for each body."""
    records = [{**record(text), "messageId": f"m-{n}"} for n, text in enumerate(bodies)]
    return sweep.handler({"Records": records}, CONTEXT, dependencies)


def stop_requests(aws: FakeAws) -> list[Json]:
    """Return the entries that were sent to the stop queue."""
    return [
        entry
        for request in aws.requests("SendMessageBatch")
        if request["QueueUrl"].endswith("/stop")
        for entry in request["Entries"]
    ]


def test_due_policy_requests_to_stop_what_is_over_its_limit(
    jobs: FakeAws, dependencies: SweepDependencies
) -> None:
    """A stop request names the runs, the policy and its reason; `via` has the policy's hash and due time."""
    assert invoke(dependencies, scheduled("runaway")) == {"batchItemFailures": []}
    sent = stop_requests(jobs)
    assert [json.loads(entry["MessageBody"]) for entry in sent] == [
        {
            "JobName": job_name,
            "JobRunIds": [f"{job_name}_13h"],
            "Reason": "ran longer than 12 hours",
            "RequestedBy": "policy/runaway",
        }
        for job_name in ("etl", "etl-dev")
    ]
    via = f"schedule of policy runaway {RUNAWAY.hash}, due {NOON.isoformat()}"
    assert [entry["MessageAttributes"] for entry in sent] == [
        {"GluebrakeVia": {"DataType": "String", "StringValue": via}}
    ] * 2
    assert not jobs.requests("BatchStopJobRun")


def test_messages_of_one_batch_are_one_sweep(jobs: FakeAws, dependencies: SweepDependencies) -> None:
    """Each job is read once, whatever the number of due policies and messages."""
    invoke(dependencies, scheduled("runaway"), scheduled("watched", "runaway"))
    assert len(jobs.requests("GetJobRuns")) == 2
    assert len(stop_requests(jobs)) == 2


@pytest.mark.parametrize("message", ["", '{"JobName": "etl", "Select": {}}', "AWS Budget Notification"])
def test_signal_sweeps_by_its_policy_whatever_it_says(
    message: str, jobs: FakeAws, dependencies: SweepDependencies
) -> None:
    """The message is not read: the topic's policy says what is stopped."""
    invoke(dependencies, signal(message))
    (entry,) = stop_requests(jobs)
    assert json.loads(entry["MessageBody"])["JobRunIds"] == ["etl-dev_1h", "etl-dev_13h"]


def test_topic_of_no_policy_is_a_dead_letter(jobs: FakeAws, dependencies: SweepDependencies) -> None:
    """Nothing is swept, and the reason names the topic."""
    invoke(dependencies, signal("", topic="arn:aws:sns:eu-west-1:123456789012:other"))
    (request,) = jobs.requests("SendMessageBatch")
    assert request["QueueUrl"].endswith("/dead_letter")
    assert "other" in request["Entries"][0]["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert not jobs.requests("ListJobs")


def test_late_schedule_does_nothing_and_is_counted(
    jobs: FakeAws, dependencies: SweepDependencies, metrics: Callable[[], Metrics]
) -> None:
    """A policy of 11:44 stops nothing at noon."""
    invoke(dependencies, scheduled("runaway", due="2026-11-24T11:44:59Z"))
    assert not jobs.calls
    assert sum(metrics()["SweepLate"]) == 1


def test_sweep_is_counted(
    jobs: FakeAws,  # noqa: ARG001 - it is set up before
    dependencies: SweepDependencies,
    metrics: Callable[[], Metrics],
) -> None:
    """The metrics have what occurred, and nothing else."""
    invoke(dependencies, scheduled("runaway", "watched"))
    counted = {name: sum(values) for name, values in metrics().items()}
    expected = {
        "SweepsCompleted": 1,
        "SweepIncomplete": None,
        "PolicyOverCap": None,
        "RunsMatched": 4,
        "StopsRequested": 2,
        "StateReads": 2,
        "Swept": 1,
    }
    assert {name: counted.get(name) for name in expected} == expected


@pytest.mark.parametrize("deployed", [(policy("runaway", max_minutes=720, max_runs=1),)])
def test_policy_over_its_cap_stops_nothing(
    jobs: FakeAws,
    dependencies: SweepDependencies,
    metrics: Callable[[], Metrics],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two runs are over the limit, and the cap is one. A warning names the policy."""
    invoke(dependencies, scheduled("runaway"))
    assert not stop_requests(jobs)
    assert sum(metrics()["PolicyOverCap"]) == 1
    (line,) = [line for line in caplog.records if line.message == "PolicyOverCap"]
    assert (line.levelname, line.__dict__["policy"], line.__dict__["stoppable"]) == ("WARNING", "runaway", 2)


def test_report_is_published_and_logged(
    jobs: FakeAws, dependencies: SweepDependencies, caplog: pytest.LogCaptureFixture
) -> None:
    """The report event has each policy and the runs, and the log has the same."""
    invoke(dependencies, scheduled("runaway", "watched"))
    (put,) = jobs.requests("PutEvents")
    (entry,) = put["Entries"]
    assert (entry["Source"], entry["DetailType"]) == ("gluebrake", "Glue Sweep Report")
    detail = json.loads(entry["Detail"])
    assert [(p["policy"], p["matched"], p["stopRequested"]) for p in detail["policies"]] == [
        ("runaway", 2, 2),
        ("watched", 2, 0),
    ]
    assert [run["jobRunId"] for run in detail["runs"] if run.get("stopRequested")] == ["etl_13h", "etl-dev_13h"]
    assert (detail["complete"], detail["truncated"]) == (True, False)
    logged = [line for line in caplog.records if line.message == "SweepReport"]
    assert [line.__dict__["policy"] for line in logged] == ["runaway", "watched"]


def test_incomplete_sweep_says_so(
    jobs: FakeAws,
    dependencies: SweepDependencies,
    metrics: Callable[[], Metrics],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A job that cannot be read is left alone, and the log names it."""
    denied = Refused("AccessDeniedException", "no")
    jobs.faults.add(denied, operation="GetJobRuns", when=lambda call: call.parameters["JobName"] == "etl")
    invoke(dependencies, scheduled("runaway"))
    assert [json.loads(entry["MessageBody"])["JobName"] for entry in stop_requests(jobs)] == ["etl-dev"]
    assert sum(metrics()["SweepIncomplete"]) == 1
    (line,) = [line for line in caplog.records if line.message == "SweepIncomplete"]
    assert list(line.__dict__["jobs_not_read"]) == ["etl"]


def test_stop_request_that_cannot_be_sent_redelivers_the_message(
    jobs: FakeAws, dependencies: SweepDependencies, caplog: pytest.LogCaptureFixture
) -> None:
    """The report says that it will repeat."""
    jobs.faults.add(
        EntriesFailed(when=lambda entry: "etl_13h" in entry["MessageBody"]), operation="SendMessageBatch"
    )
    assert invoke(dependencies, scheduled("runaway")) == {"batchItemFailures": [{"itemIdentifier": "m-0"}]}
    (line,) = [line for line in caplog.records if line.message == "SweepReport"]
    assert line.__dict__["will_redeliver"] is True


def test_policy_that_is_not_deployed_is_ignored(jobs: FakeAws, dependencies: SweepDependencies) -> None:
    """A message of a schedule that a deployment removed does nothing."""
    assert invoke(dependencies, scheduled("former")) == {"batchItemFailures": []}
    assert not jobs.calls


def test_log_has_at_most_a_hundred_runs_a_line(
    aws: FakeAws, dependencies: SweepDependencies, caplog: pytest.LogCaptureFixture
) -> None:
    """CloudWatch Logs would cut a longer line."""
    aws.glue.add_job("etl")
    for number in range(101):
        aws.glue.add_run("etl", f"jr_{number}", started_on=NOON - timedelta(hours=13))
    invoke(dependencies, scheduled("watched"))
    lines: list[Any] = [line.__dict__["runs"] for line in caplog.records if line.message == "SweepRuns"]
    assert [len(runs) for runs in lines] == [100, 1]
    (put,) = aws.requests("PutEvents")
    detail = json.loads(put["Entries"][0]["Detail"])
    assert (len(detail["runs"]), detail["truncated"]) == (100, True)


@pytest.mark.usefixtures("dependencies")
def test_handler_builds_its_dependencies_once(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without given dependencies, the handler uses those of its environment."""
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("GLUEBRAKE_SIGNAL_TOPICS", "{}")
    sweep._dependencies.cache_clear()  # noqa: SLF001 - the cache outlives the test
    assert sweep.handler({"Records": [record(scheduled("former"))]}, CONTEXT) == {"batchItemFailures": []}
    sweep._dependencies.cache_clear()  # noqa: SLF001 - the cache outlives the test
    assert not aws.calls
