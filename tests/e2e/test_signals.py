"""What AWS itself sends stops the right runs, and only these."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import ACCOUNT, REGION
from tests.e2e.conftest import Deployment
from tests.eventually import eventually


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """Return a job name of the test's own."""
    return str(request.node.name)


def _alarm(wired: Deployment, name: str, job: str, run_id: str = "ALL", *actions: str) -> None:
    dimensions = {"JobName": job, "JobRunId": run_id, "Type": "count"}
    wired.aws.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Glue",
        MetricName="glue.driver.aggregate.elapsedTime",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=list(actions),
    )


def _set(wired: Deployment, name: str, state: str = "ALARM") -> None:
    wired.aws.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="by hand")  # type: ignore[arg-type]


def _wait_until_stopped(wired: Deployment, job: str, run_ids: list[str]) -> None:
    eventually(lambda: {wired.state(job, run_id) for run_id in run_ids} == {"STOPPED"})


def test_an_alarms_event_stops_every_run_of_its_job(wired: Deployment, job: str) -> None:
    """An alarm whose name has the prefix stops its job's runs by its event alone, and no other job's."""
    run_ids, (other,) = wired.start(job, 2), wired.start(f"{job}-other")
    _alarm(wired, f"glue-{job}", job)
    _set(wired, f"glue-{job}", "OK")
    _set(wired, f"glue-{job}")
    _wait_until_stopped(wired, job, run_ids)
    assert wired.stop_calls(job) == [run_ids[::-1]]
    assert wired.state(f"{job}-other", other) == "RUNNING"


def test_an_alarm_on_one_run_stops_that_run(wired: Deployment, job: str) -> None:
    """When the alarm's metric is of one run, the job's other runs go on."""
    run_id, other = wired.start(job, 2)
    _alarm(wired, f"glue-{job}", job, run_id)
    _set(wired, f"glue-{job}")
    _wait_until_stopped(wired, job, [run_id])
    assert wired.state(job, other) == "RUNNING"


def test_an_alarm_through_the_topic_stops_its_jobs_runs(wired: Deployment, job: str) -> None:
    """An alarm without the prefix, which notifies the topic, stops its job's runs."""
    run_ids = wired.start(job, 2)
    began = datetime.now(UTC)
    # The emulator's topics tell the time in whole seconds, and an alarm means no run that started after it.
    eventually(lambda: datetime.now(UTC) - began > timedelta(seconds=1))
    _alarm(wired, job, job, "ALL", wired.outputs["SignalTopicArn"])
    _set(wired, job)
    _wait_until_stopped(wired, job, run_ids)


def test_an_alarm_that_invokes_the_function_stops_its_jobs_runs(wired: Deployment, job: str) -> None:
    """The STOP function is an alarm's Lambda action as it stands."""
    run_ids = wired.start(job, 2)
    function = wired.aws.lambda_.get_function(FunctionName=wired.outputs["StopFunctionName"])
    _alarm(wired, job, job, "ALL", function["Configuration"]["FunctionArn"])
    _set(wired, job)
    _wait_until_stopped(wired, job, run_ids)


def test_a_run_that_takes_too_long_is_stopped(wired: Deployment) -> None:
    """Glue's own event stops the run that it is about, for the jobs that are named for it and no others."""
    listed, other = "status-listed", "not-listed"
    for name in (listed, other):
        wired.start(name, 0)
    (late, left) = (
        wired.aws.glue.start_job_run(JobName=name, NotificationProperty={"NotifyDelayAfter": 1})["JobRunId"]
        for name in (listed, other)
    )
    (quick,) = wired.start_more(listed)
    _wait_until_stopped(wired, listed, [late])
    assert wired.state(other, left) == wired.state(listed, quick) == "RUNNING"


def test_a_schedule_with_a_constant_request_stops_its_runs(wired: Deployment, job: str) -> None:
    """EventBridge Scheduler sends a stop request as it stands."""
    (run_id,) = wired.start(job)
    queue = wired.aws.sqs.get_queue_attributes(
        QueueUrl=wired.outputs["StopQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    at = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")
    request = {"JobName": job, "Select": {}, "Reason": "the night is over"}
    wired.aws.scheduler.create_schedule(
        Name=job,
        ScheduleExpression=f"at({at})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": queue, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any", "Input": json.dumps(request)},
    )
    _wait_until_stopped(wired, job, [run_id])


def test_an_hour_old_alarm_stops_no_younger_run(wired: Deployment, job: str) -> None:
    """An alarm that is brought back later stops no run that started after it."""
    run_ids = wired.start(job, 2)
    then = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds")
    wired.send(_alarm_event(job, then))
    line = eventually(lambda: next((one for one in wired.log("StopFunctionName") if job in one), None))
    assert json.loads(line)["outcome"] == "NoActiveRuns"
    assert {wired.state(job, run_id) for run_id in run_ids} == {"RUNNING"}


def _alarm_event(job: str, at: str) -> str:
    metric = {"namespace": "Glue", "name": "elapsedTime", "dimensions": {"JobName": job, "JobRunId": "ALL"}}
    detail: dict[str, Any] = {
        "alarmName": "glue-late",
        "state": {"value": "ALARM", "reason": "by hand", "timestamp": at},
        "configuration": {"metrics": [{"id": "m1", "metricStat": {"metric": metric}}]},
    }
    envelope = {"source": "aws.cloudwatch", "account": ACCOUNT, "region": REGION, "time": at}
    return json.dumps({"detail-type": "CloudWatch Alarm State Change", **envelope, "detail": detail})


def test_a_direct_call_answers_for_every_run(wired: Deployment, job: str) -> None:
    """Sixty runs are stopped in one invocation, which answers for each as BatchStopJobRun does."""
    run_ids = wired.start(job, 60)
    answer = wired.aws.lambda_.invoke(
        FunctionName=wired.outputs["StopFunctionName"],
        Payload=json.dumps({"JobName": job, "JobRunIds": run_ids}).encode(),
    )
    told = json.loads(answer["Payload"].read())
    assert [run["JobRunId"] for run in told["SuccessfulSubmissions"]] == run_ids
    assert told["Errors"] == []
    assert sorted(len(call) for call in wired.stop_calls(job)) == [10, 25, 25]
