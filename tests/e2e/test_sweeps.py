"""Sweeps of guardrail policies stop the runs that a policy means, and no others."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from gluebrake.contract import SWEEP_REPORT
from gluebrake.sweep_contract import PolicyReport, ReportedRun, SweepReport
from local import jobs
from local.aws import ACCOUNT, REGION
from local.emulator import ROOT
from tests.docs.document import Document
from tests.e2e.cli import environ, gluebrake
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually

SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
REPORTS: Final = "sweep-reports"
PROTECT: Final = {"gluebrake:protect": "true"}
(OFF,) = Document(ROOT / "docs" / "operations.md").fences("Switch the policies off")
EVERYTHING: Final = ("sweep", "--jobs", "*", "--all-types")


@pytest.fixture(scope="module")
def reports(sweeping_deployment: Deployment) -> str:
    """Create a rule for report events, and return the URL of its queue."""
    aws, bus = sweeping_deployment.aws, sweeping_deployment.outputs["EventBusName"]
    queue_url = aws.sqs.create_queue(QueueName=REPORTS)["QueueUrl"]
    pattern = json.dumps({"source": ["gluebrake"], "detail-type": [SWEEP_REPORT]})
    aws.events.put_rule(Name=REPORTS, EventBusName=bus, EventPattern=pattern)
    queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{REPORTS}"
    aws.events.put_targets(Rule=REPORTS, EventBusName=bus, Targets=[{"Id": "queue", "Arn": queue_arn}])
    return queue_url


def _report(deployment: Deployment, queue_url: str, *policies: str) -> SweepReport:
    """Wait for the report event of a sweep of these policies, in the configuration's order."""

    def received() -> SweepReport | None:
        answer = deployment.aws.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
        events = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        found = [msgspec.convert(event["detail"], SweepReport) for event in events]
        return next((r for r in found if tuple(p.policy for p in r.policies) == policies), None)

    return eventually(received)


def _start(deployment: Deployment, job: str, *minutes_ago: int, **definition: Any) -> list[str]:
    """Create a job, and start a run for each number of minutes, which is its age."""
    jobs.create(deployment.aws, [job], **definition)
    return [
        run_id
        for minutes in minutes_ago
        for run_id in jobs.start(deployment.aws, job, 1, {jobs.STARTED_MINUTES_AGO: str(minutes)})
    ]


def _schedules(deployment: Deployment) -> Iterator[dict[str, Any]]:
    scheduler = deployment.aws.scheduler
    for listed in scheduler.list_schedules()["Schedules"]:
        yield dict(scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"]))


def _target(deployment: Deployment, policy: str) -> dict[str, Any]:
    """Return the target of the schedule that makes a policy due."""
    targets = [schedule["Target"] for schedule in _schedules(deployment)]
    (target,) = [target for target in targets if policy in json.loads(target["Input"])["Policies"]]
    return dict(target)


def _send_as_scheduled(deployment: Deployment, *policies: str, ago: timedelta = timedelta()) -> None:
    """Send the messages of the policies' schedules to their queue, as they are due."""
    due = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    inputs = [_target(deployment, policy)["Input"].replace(SCHEDULED_TIME, due) for policy in policies]
    deployment.aws.sqs.send_message_batch(
        QueueUrl=deployment.outputs["SweepQueueUrl"],
        Entries=[{"Id": str(number), "MessageBody": text} for number, text in enumerate(inputs)],
    )


def _lines(deployment: Deployment, function: str) -> list[dict[str, Any]]:
    """Return the structured lines of a function's log."""
    return [json.loads(line) for line in deployment.log(function) if line.startswith("{")]


def _counted(deployment: Deployment, metric: str) -> int:
    """Count a metric of SWEEP as CloudWatch does."""
    return int(
        sum(sum(line.get(metric, [])) for line in _lines(deployment, "SweepFunctionName") if "_aws" in line)
    )


def _states(deployment: Deployment, job: str) -> Counter[str]:
    return Counter(run["JobRunState"] for run in deployment.aws.glue.get_job_runs(JobName=job)["JobRuns"])


def test_three_policies_over_five_jobs(sweeping_deployment: Deployment, reports: str) -> None:
    """One sweep stops what its policies mean, each run by the first of them, and reports what it leaves."""
    long, young = _start(sweeping_deployment, "five-long", 120, 1)
    both, tagged = _start(sweeping_deployment, "five-tagged", 90, 1, tags={"env": "test"})
    (protected,) = _start(sweeping_deployment, "five-protected", 120, tags=PROTECT)
    left = {
        "five-payroll": _start(sweeping_deployment, "five-payroll", 120),
        "five-stream": _start(sweeping_deployment, "five-stream", 120, job_type="gluestreaming"),
        "five-protected": [protected],
        "five-long": [young],
    }
    _send_as_scheduled(sweeping_deployment, "overdue", "nights")
    report = _report(sweeping_deployment, reports, "overdue", "costly", "nights")
    for job, run_id in (("five-long", long), ("five-tagged", both), ("five-tagged", tagged)):
        eventually(lambda job=job, run_id=run_id: sweeping_deployment.state(job, run_id) == "STOPPED")  # type: ignore[misc]
    for job, run_ids in left.items():
        assert {sweeping_deployment.state(job, run_id) for run_id in run_ids} == {"RUNNING"}
    assert report.complete
    assert {(run.policy, run.job_run_id, run.stop_requested, run.not_stopped) for run in report.runs} == {
        ("overdue", long, True, ""),
        ("overdue", both, True, ""),
        ("overdue", protected, False, "Protected"),
        ("costly", long, False, ""),
        ("costly", protected, False, "Protected"),
        ("nights", both, False, ""),
        ("nights", tagged, True, ""),
    }
    _check_log(sweeping_deployment, report)
    _check_outcomes(sweeping_deployment, report, {long: "overdue", both: "overdue", tagged: "nights"})


def _check_log(deployment: Deployment, report: SweepReport) -> None:
    """Check that the log has the same report: a line for each policy, and the runs."""
    lines = [line for line in _lines(deployment, "SweepFunctionName") if "swept_at" in line]
    of_sweep = [line for line in lines if line["swept_at"] == msgspec.to_builtins(report.swept_at)]
    policies = [msgspec.convert(line, PolicyReport) for line in of_sweep if line["message"] == "SweepReport"]
    (runs,) = [line["runs"] for line in of_sweep if line["message"] == "SweepRuns"]
    assert policies == [*report.policies]
    assert msgspec.convert(runs, tuple[ReportedRun, ...]) == report.runs


def _check_outcomes(deployment: Deployment, report: SweepReport, stopped_by: dict[str, str]) -> None:
    """Check that the last outcome of each run names the policy, its hash and its reason."""
    hashes = {policy.policy: policy.hash for policy in report.policies}

    def confirmed() -> dict[str, dict[str, Any]]:
        lines = _lines(deployment, "ConfirmFunctionName")
        found = {line["job_run_id"]: line for line in lines if line.get("outcome") == "Stopped"}
        return {run_id: found[run_id] for run_id in stopped_by} if stopped_by.keys() <= found.keys() else {}

    for run_id, line in eventually(confirmed).items():
        policy = stopped_by[run_id]
        assert (line["requested_by"], line["reason"]) == (f"policy/{policy}", f"{policy} says so")
        assert line["via"].startswith(f"schedule of policy {policy} {hashes[policy]}, due ")


def test_deployed_schedule_starts_a_sweep(sweeping_deployment: Deployment, reports: str) -> None:
    """Once it is due, EventBridge Scheduler itself sends what SWEEP understands."""
    (run_id,) = _start(sweeping_deployment, "five-scheduled", 90)
    sweeping_deployment.aws.scheduler.create_schedule(
        Name="due-now",
        ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=_target(sweeping_deployment, "overdue"),  # type: ignore[arg-type]
    )
    (policy, _) = _report(sweeping_deployment, reports, "overdue", "costly").policies
    assert policy.trigger == "schedule"
    assert timedelta() <= datetime.now(UTC) - policy.due < timedelta(minutes=2)
    eventually(lambda: sweeping_deployment.state("five-scheduled", run_id) == "STOPPED")


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("text", "Budget dev exceeded 80 %"),
        ("request", '{"JobName": "signal-b-request", "Select": {}}'),
        ("sweep", '{"Policies": ["signal-b"], "Due": "2026-11-24T12:00:00Z"}'),
    ],
    ids=["text", "request", "sweep"],
)
def test_signal_stops_the_selection_of_its_policy(
    sweeping_deployment: Deployment, reports: str, case: str, text: str
) -> None:
    """Any message on a policy's topic makes this policy due, and no other: its text is not read."""
    (run_id,) = _start(sweeping_deployment, f"signal-a-{case}", 1)
    (other,) = _start(sweeping_deployment, f"signal-b-{case}", 1)
    topic = sweeping_deployment.outputs["SweepTopicSignalAArn"]
    sweeping_deployment.aws.sns.publish(TopicArn=topic, Message=text)
    (policy,) = _report(sweeping_deployment, reports, "signal-a").policies
    eventually(lambda: sweeping_deployment.state(f"signal-a-{case}", run_id) == "STOPPED")
    assert (policy.trigger, policy.stop_requested) == ("signal", 1)
    assert sweeping_deployment.state(f"signal-b-{case}", other) == "RUNNING"


def test_late_schedule_does_nothing_and_is_counted(sweeping_deployment: Deployment) -> None:
    """A schedule's message that arrives 20 minutes after its due time stops nothing and leads to no report."""
    (run_id,) = _start(sweeping_deployment, "five-late", 120)
    before = {name: _counted(sweeping_deployment, name) for name in ("SweepLate", "SweepsCompleted")}
    _send_as_scheduled(sweeping_deployment, "overdue", ago=timedelta(minutes=20))
    eventually(lambda: _counted(sweeping_deployment, "SweepLate") == before["SweepLate"] + 1)
    (line,) = [
        line for line in _lines(sweeping_deployment, "SweepFunctionName") if line.get("outcome") == "SweepLate"
    ]
    assert "overdue, costly: due at" in line["error_message"]
    assert _counted(sweeping_deployment, "SweepsCompleted") == before["SweepsCompleted"]
    assert sweeping_deployment.state("five-late", run_id) == "RUNNING"
    assert sweeping_deployment.stop_calls("five-late") == []


def test_policy_over_its_cap_stops_nothing(sweeping_deployment: Deployment, reports: str) -> None:
    """If a policy would stop more runs than its maxRuns, it stops none of them, and is counted."""
    _start(sweeping_deployment, "cap-one", 90)
    _start(sweeping_deployment, "cap-two", 90)
    before = _counted(sweeping_deployment, "PolicyOverCap")
    _send_as_scheduled(sweeping_deployment, "capped")
    (policy,) = _report(sweeping_deployment, reports, "capped").policies
    assert (policy.stoppable, policy.max_runs, policy.over_cap, policy.stop_requested) == (2, 1, True, 0)
    eventually(lambda: _counted(sweeping_deployment, "PolicyOverCap") == before + 1)
    for job in ("cap-one", "cap-two"):
        assert _states(sweeping_deployment, job) == {"RUNNING": 1}
        assert sweeping_deployment.stop_calls(job) == []


def test_red_button_stops_all_that_may_be_stopped(sweeping_deployment: Deployment) -> None:
    """`--stop` over all jobs stops runs of every type. It leaves protected jobs, and shows the tagged one."""
    wanted = {
        "red-etl": _start(sweeping_deployment, "red-etl", 90, 1),
        "red-stream": _start(sweeping_deployment, "red-stream", 90, job_type="gluestreaming"),
    }
    (tagged,) = _start(sweeping_deployment, "red-tagged", 90, tags=PROTECT)
    (payroll,) = _start(sweeping_deployment, "red-payroll", 90)
    number = _shown(sweeping_deployment)["policies"][0]["stoppable"]
    done = gluebrake(
        sweeping_deployment, *EVERYTHING, "--stop", "--yes", str(number), "--wait", "--every", "0.5"
    )
    assert (done["all_stopped"], done["wrong"]) == (True, [])
    stopped = {run["job_run_id"] for run in done["runs"] if run["state"] == "STOPPED"}
    assert len(stopped) == number
    for job, run_ids in wanted.items():
        assert stopped.issuperset(run_ids)
        assert _states(sweeping_deployment, job) == {"STOPPED": len(run_ids)}
    left = {run["jobRunId"]: run.get("notStopped") for run in _shown(sweeping_deployment)["runs"]}
    assert left[tagged] == "Protected"
    assert set(left.values()) == {"Protected"}
    assert sweeping_deployment.state("red-tagged", tagged) == "RUNNING"
    assert sweeping_deployment.state("red-payroll", payroll) == "RUNNING"


def _shown(deployment: Deployment) -> dict[str, Any]:
    """Return the report of a sweep of everything, which stops nothing."""
    return dict(gluebrake(deployment, *EVERYTHING)["report"])


def test_red_button_with_a_wrong_number_stops_nothing(sweeping_deployment: Deployment) -> None:
    """If the number is not that of the report, no stop request is sent, and the command fails."""
    run_ids = _start(sweeping_deployment, "red-miscounted", 90, 1)
    number = _shown(sweeping_deployment)["policies"][0]["stoppable"]
    for wrong in (number - 1, number + 1):
        done = gluebrake(sweeping_deployment, *EVERYTHING, "--stop", "--yes", str(wrong), code=1)
        assert f"your number is {wrong}" in done["wrong"][0]
        assert not done["requests"]
    assert {sweeping_deployment.state("red-miscounted", run_id) for run_id in run_ids} == {"RUNNING"}
    assert sweeping_deployment.stop_calls("red-miscounted") == []


def test_policies_are_switched_off_while_the_brake_stays_on(sweeping_deployment: Deployment) -> None:
    """After the documented command SWEEP reads no message, and a stop request still stops its run."""
    queue_url = sweeping_deployment.outputs["SweepQueueUrl"]
    (run_id,) = _start(sweeping_deployment, "off-brake", 1)
    _sh(sweeping_deployment, OFF)
    try:
        eventually(lambda: _mappings(sweeping_deployment)["SweepFunctionName"] == "Disabled")
        _send_as_scheduled(sweeping_deployment, "nights")
        sweeping_deployment.send(json.dumps({"JobName": "off-brake", "JobRunIds": [run_id]}))
        eventually(lambda: sweeping_deployment.state("off-brake", run_id) == "STOPPED")
        depth = sweeping_deployment.aws.sqs.get_queue_attributes(
            QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]["ApproximateNumberOfMessages"]
        assert depth == "1"
        assert _mappings(sweeping_deployment)["StopFunctionName"] == "Enabled"
    finally:
        _sh(sweeping_deployment, OFF.replace("--no-enabled", "--enabled"))
    eventually(lambda: _mappings(sweeping_deployment)["SweepFunctionName"] == "Enabled")


def _sh(deployment: Deployment, block: str) -> None:
    """Run a block of a document in a shell."""
    process = subprocess.run(
        ["sh", "-ec", block], cwd=ROOT, env=environ(deployment), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def _mappings(deployment: Deployment) -> dict[str, str]:
    """Return the state of the event source mapping of STOP and of SWEEP."""
    return {
        output: deployment.aws.lambda_.list_event_source_mappings(FunctionName=deployment.outputs[output])[
            "EventSourceMappings"
        ][0]["State"]
        for output in ("StopFunctionName", "SweepFunctionName")
    }
