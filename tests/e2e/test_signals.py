"""Events and notifications of AWS services stop the right runs, and no other runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import ACCOUNT, REGION
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually
from tests.support.glue_alarms import ELAPSED_TIME


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """Return the test's name as its job name."""
    return str(request.node.name)


@pytest.fixture
def without_alarm_rule(signal_deployment: Deployment) -> Iterator[None]:
    """Disable the rule for alarms, so that only an alarm's own action can stop runs."""
    events = signal_deployment.aws.events
    (rule,) = (rule["Name"] for rule in events.list_rules()["Rules"] if "SignalsAlarmState" in rule["Name"])
    events.disable_rule(Name=rule)
    yield
    events.enable_rule(Name=rule)


def _put_alarm(signal_deployment: Deployment, name: str, job: str, run_id: str = "ALL", *actions: str) -> None:
    dimensions = {"JobName": job, "JobRunId": run_id, "Type": "count"}
    signal_deployment.aws.cloudwatch.put_metric_alarm(
        AlarmName=name,
        **ELAPSED_TIME,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        AlarmActions=list(actions),
    )


def _set_state(signal_deployment: Deployment, name: str, state: str = "ALARM") -> None:
    signal_deployment.aws.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="by hand")  # type: ignore[arg-type]


def _wait_until_stopped(signal_deployment: Deployment, job: str, run_ids: list[str]) -> None:
    eventually(lambda: {signal_deployment.state(job, run_id) for run_id in run_ids} == {"STOPPED"})


def test_alarm_event_stops_every_run_of_its_job(signal_deployment: Deployment, job: str) -> None:
    """The event of an alarm with the configured prefix stops its job's runs, and no run of another job."""
    run_ids, (unrelated,) = signal_deployment.start(job, 2), signal_deployment.start(f"{job}-other")
    _put_alarm(signal_deployment, f"glue-{job}", job)
    _set_state(signal_deployment, f"glue-{job}", "OK")
    _set_state(signal_deployment, f"glue-{job}")
    _wait_until_stopped(signal_deployment, job, run_ids)
    assert signal_deployment.stop_calls(job) == [run_ids[::-1]]
    assert signal_deployment.state(f"{job}-other", unrelated) == "RUNNING"


def test_alarm_on_one_run_stops_that_run_only(signal_deployment: Deployment, job: str) -> None:
    """If the alarm's metric is of one run, the job's other run continues."""
    run_id, second = signal_deployment.start(job, 2)
    _put_alarm(signal_deployment, f"glue-{job}", job, run_id)
    _set_state(signal_deployment, f"glue-{job}")
    _wait_until_stopped(signal_deployment, job, [run_id])
    assert signal_deployment.state(job, second) == "RUNNING"


@pytest.mark.usefixtures("without_alarm_rule")
def test_alarm_that_notifies_the_topic_stops_its_jobs_runs(signal_deployment: Deployment, job: str) -> None:
    """An alarm can notify the topic, which sends to the stop queue."""
    run_ids = signal_deployment.start(job, 2)
    began = datetime.now(UTC)
    # The emulator's SNS timestamps have whole seconds, and an alarm does not stop a run that started after it.
    eventually(lambda: datetime.now(UTC) - began > timedelta(seconds=1))
    _put_alarm(signal_deployment, f"glue-{job}", job, "ALL", signal_deployment.outputs["SignalTopicArn"])
    _set_state(signal_deployment, f"glue-{job}")
    _wait_until_stopped(signal_deployment, job, run_ids)


@pytest.mark.usefixtures("without_alarm_rule")
def test_alarm_that_invokes_the_function_stops_its_jobs_runs(signal_deployment: Deployment, job: str) -> None:
    """An alarm can use the STOP function as its Lambda action."""
    run_ids = signal_deployment.start(job, 2)
    function = signal_deployment.aws.lambda_.get_function(
        FunctionName=signal_deployment.outputs["StopFunctionName"]
    )
    _put_alarm(signal_deployment, f"glue-{job}", job, "ALL", function["Configuration"]["FunctionArn"])
    _set_state(signal_deployment, f"glue-{job}")
    _wait_until_stopped(signal_deployment, job, run_ids)


def test_run_status_event_stops_a_run_that_takes_too_long(signal_deployment: Deployment) -> None:
    """Glue's event stops the run that it names if the job is in `stopOnRunStatus`, and no other run."""
    listed, unlisted = "status-listed", "not-listed"
    for name in (listed, unlisted):
        signal_deployment.start(name, 0)
    late, ignored = (
        signal_deployment.aws.glue.start_job_run(JobName=name, NotificationProperty={"NotifyDelayAfter": 1})[
            "JobRunId"
        ]
        for name in (listed, unlisted)
    )
    (quick,) = signal_deployment.start_more(listed)
    _wait_until_stopped(signal_deployment, listed, [late])
    assert signal_deployment.state(unlisted, ignored) == signal_deployment.state(listed, quick) == "RUNNING"


def test_schedule_with_a_stop_request_stops_its_runs(signal_deployment: Deployment, job: str) -> None:
    """EventBridge Scheduler can send a stop request."""
    (run_id,) = signal_deployment.start(job)
    queue = signal_deployment.aws.sqs.get_queue_attributes(
        QueueUrl=signal_deployment.outputs["StopQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    due = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")
    request = {"JobName": job, "Select": {}, "Reason": "the night is over"}
    signal_deployment.aws.scheduler.create_schedule(
        Name=job,
        ScheduleExpression=f"at({due})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": queue, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any", "Input": json.dumps(request)},
    )
    _wait_until_stopped(signal_deployment, job, [run_id])


def test_delayed_alarm_stops_no_run_that_started_after_it(signal_deployment: Deployment, job: str) -> None:
    """An alarm event that is redriven an hour later stops no run that started after the alarm."""
    run_ids = signal_deployment.start(job, 2)
    alarm_time = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds")
    signal_deployment.send(_alarm_event(job, alarm_time))
    line = eventually(
        lambda: next((text for text in signal_deployment.log("StopFunctionName") if job in text), None)
    )
    assert json.loads(line)["outcome"] == "NoActiveRuns"
    assert {signal_deployment.state(job, run_id) for run_id in run_ids} == {"RUNNING"}


def _alarm_event(job: str, timestamp: str) -> str:
    dimensions = {"JobName": job, "JobRunId": "ALL"}
    metric = {"namespace": "Glue", "name": "glue.driver.aggregate.elapsedTime", "dimensions": dimensions}
    detail: dict[str, Any] = {
        "alarmName": "glue-late",
        "state": {"value": "ALARM", "reason": "by hand", "timestamp": timestamp},
        "configuration": {"metrics": [{"id": "m1", "metricStat": {"metric": metric}}]},
    }
    envelope = {"source": "aws.cloudwatch", "account": ACCOUNT, "region": REGION, "time": timestamp}
    return json.dumps({"detail-type": "CloudWatch Alarm State Change", **envelope, "detail": detail})


def test_direct_invocation_returns_a_result_for_every_run(signal_deployment: Deployment, job: str) -> None:
    """One invocation stops sixty runs and returns a result for each, as BatchStopJobRun does."""
    run_ids = signal_deployment.start(job, 60)
    result = signal_deployment.aws.lambda_.invoke(
        FunctionName=signal_deployment.outputs["StopFunctionName"],
        Payload=json.dumps({"JobName": job, "JobRunIds": run_ids}).encode(),
    )
    response = json.loads(result["Payload"].read())
    assert [run["JobRunId"] for run in response["SuccessfulSubmissions"]] == run_ids
    assert response["Errors"] == []
    assert sorted(len(call) for call in signal_deployment.stop_calls(job)) == [10, 25, 25]
