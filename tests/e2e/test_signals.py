"""What AWS itself sends stops the right runs, and only these."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import ACCOUNT, REGION
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """Return a job name of the test's own."""
    return str(request.node.name)


def _alarm(build_dependencies: Deployment, name: str, job: str, run_id: str = "ALL", *actions: str) -> None:
    dimensions = {"JobName": job, "JobRunId": run_id, "Type": "count"}
    build_dependencies.aws.cloudwatch.put_metric_alarm(
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


def _set(build_dependencies: Deployment, name: str, state: str = "ALARM") -> None:
    build_dependencies.aws.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="by hand")  # type: ignore[arg-type]


def _wait_until_stopped(build_dependencies: Deployment, job: str, run_ids: list[str]) -> None:
    eventually(lambda: {build_dependencies.state(job, run_id) for run_id in run_ids} == {"STOPPED"})


def test_an_alarms_event_stops_every_run_of_its_job(build_dependencies: Deployment, job: str) -> None:
    """An alarm whose name has the prefix stops its job's runs by its event alone, and no other job's."""
    run_ids, (other,) = build_dependencies.start(job, 2), build_dependencies.start(f"{job}-other")
    _alarm(build_dependencies, f"glue-{job}", job)
    _set(build_dependencies, f"glue-{job}", "OK")
    _set(build_dependencies, f"glue-{job}")
    _wait_until_stopped(build_dependencies, job, run_ids)
    assert build_dependencies.stop_calls(job) == [run_ids[::-1]]
    assert build_dependencies.state(f"{job}-other", other) == "RUNNING"


def test_an_alarm_on_one_run_stops_that_run(build_dependencies: Deployment, job: str) -> None:
    """When the alarm's metric is of one run, the job's other runs go on."""
    run_id, other = build_dependencies.start(job, 2)
    _alarm(build_dependencies, f"glue-{job}", job, run_id)
    _set(build_dependencies, f"glue-{job}")
    _wait_until_stopped(build_dependencies, job, [run_id])
    assert build_dependencies.state(job, other) == "RUNNING"


def test_an_alarm_through_the_topic_stops_its_jobs_runs(build_dependencies: Deployment, job: str) -> None:
    """An alarm without the prefix, which notifies the topic, stops its job's runs."""
    run_ids = build_dependencies.start(job, 2)
    began = datetime.now(UTC)
    # The emulator's topics tell the time in whole seconds, and an alarm means no run that started after it.
    eventually(lambda: datetime.now(UTC) - began > timedelta(seconds=1))
    _alarm(build_dependencies, job, job, "ALL", build_dependencies.outputs["SignalTopicArn"])
    _set(build_dependencies, job)
    _wait_until_stopped(build_dependencies, job, run_ids)


def test_an_alarm_that_invokes_the_function_stops_its_jobs_runs(
    build_dependencies: Deployment, job: str
) -> None:
    """The STOP function is an alarm's Lambda action as it stands."""
    run_ids = build_dependencies.start(job, 2)
    function = build_dependencies.aws.lambda_.get_function(
        FunctionName=build_dependencies.outputs["StopFunctionName"]
    )
    _alarm(build_dependencies, job, job, "ALL", function["Configuration"]["FunctionArn"])
    _set(build_dependencies, job)
    _wait_until_stopped(build_dependencies, job, run_ids)


def test_a_run_that_takes_too_long_is_stopped(build_dependencies: Deployment) -> None:
    """Glue's own event stops the run that it is about, for the jobs that are named for it and no others."""
    listed, other = "status-listed", "not-listed"
    for name in (listed, other):
        build_dependencies.start(name, 0)
    (late, left) = (
        build_dependencies.aws.glue.start_job_run(JobName=name, NotificationProperty={"NotifyDelayAfter": 1})[
            "JobRunId"
        ]
        for name in (listed, other)
    )
    (quick,) = build_dependencies.start_more(listed)
    _wait_until_stopped(build_dependencies, listed, [late])
    assert build_dependencies.state(other, left) == build_dependencies.state(listed, quick) == "RUNNING"


def test_a_schedule_with_a_constant_request_stops_its_runs(build_dependencies: Deployment, job: str) -> None:
    """EventBridge Scheduler sends a stop request as it stands."""
    (run_id,) = build_dependencies.start(job)
    queue = build_dependencies.aws.sqs.get_queue_attributes(
        QueueUrl=build_dependencies.outputs["StopQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    at = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")
    request = {"JobName": job, "Select": {}, "Reason": "the night is over"}
    build_dependencies.aws.scheduler.create_schedule(
        Name=job,
        ScheduleExpression=f"at({at})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": queue, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any", "Input": json.dumps(request)},
    )
    _wait_until_stopped(build_dependencies, job, [run_id])


def test_an_hour_old_alarm_stops_no_younger_run(build_dependencies: Deployment, job: str) -> None:
    """An alarm that is brought back later stops no run that started after it."""
    run_ids = build_dependencies.start(job, 2)
    then = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds")
    build_dependencies.send(_alarm_event(job, then))
    line = eventually(
        lambda: next((one for one in build_dependencies.log("StopFunctionName") if job in one), None)
    )
    assert json.loads(line)["outcome"] == "NoActiveRuns"
    assert {build_dependencies.state(job, run_id) for run_id in run_ids} == {"RUNNING"}


def _alarm_event(job: str, at: str) -> str:
    metric = {"namespace": "Glue", "name": "elapsedTime", "dimensions": {"JobName": job, "JobRunId": "ALL"}}
    detail: dict[str, Any] = {
        "alarmName": "glue-late",
        "state": {"value": "ALARM", "reason": "by hand", "timestamp": at},
        "configuration": {"metrics": [{"id": "m1", "metricStat": {"metric": metric}}]},
    }
    envelope = {"source": "aws.cloudwatch", "account": ACCOUNT, "region": REGION, "time": at}
    return json.dumps({"detail-type": "CloudWatch Alarm State Change", **envelope, "detail": detail})


def test_a_direct_call_answers_for_every_run(build_dependencies: Deployment, job: str) -> None:
    """Sixty runs are stopped in one invocation, which answers for each as BatchStopJobRun does."""
    run_ids = build_dependencies.start(job, 60)
    answer = build_dependencies.aws.lambda_.invoke(
        FunctionName=build_dependencies.outputs["StopFunctionName"],
        Payload=json.dumps({"JobName": job, "JobRunIds": run_ids}).encode(),
    )
    told = json.loads(answer["Payload"].read())
    assert [run["JobRunId"] for run in told["SuccessfulSubmissions"]] == run_ids
    assert told["Errors"] == []
    assert sorted(len(call) for call in build_dependencies.stop_calls(job)) == [10, 25, 25]
