"""The recipes of docs/recipes.md work unchanged."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from local.aws import ACCOUNT, REGION
from local.emulator import ROOT
from tests.docs.document import Document
from tests.e2e.cli import run, variables
from tests.e2e.conftest import Deployment
from tests.support import airflow_operators
from tests.support.eventually import eventually

RECIPES: Final = Document(ROOT / "docs" / "recipes.md")
JOB: Final = "nightly-etl"


def _shell(deployment: Deployment, *commands: str) -> str:
    """Run commands in one shell, after the function that creates roles, and return the output."""
    return run(deployment, ["sh", "-ec", "\n".join((*RECIPES.fences("A role for EventBridge"), *commands))])


def _stopped(deployment: Deployment, *run_ids: str, job: str = JOB) -> None:
    eventually(lambda: {deployment.state(job, run_id) for run_id in run_ids} == {"STOPPED"})


def _reasons(deployment: Deployment) -> set[str]:
    return {
        json.loads(line).get("reason") for line in deployment.log("StopFunctionName") if '"outcome"' in line
    }


def _trust(deployment: Deployment, role_arn: str) -> tuple[str, Mapping[str, Any]]:
    """Return which service can assume a role, and under which conditions. Its only policy is the producers'."""
    iam, name = deployment.aws.client("iam"), role_arn.rpartition("/")[2]
    (policy,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert policy["PolicyArn"] == deployment.outputs["ProducerPolicyArn"]
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []
    (statement,) = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    return statement["Principal"]["Service"], statement["Condition"]


def _execute(deployment: Deployment, name: str, definition: str, run_input: Any) -> dict[str, Any]:
    """Run a state machine, with the stack's outputs in place of the placeholders, and return its execution."""
    step_functions = deployment.aws.client("stepfunctions")
    machine = step_functions.create_state_machine(
        name=name,
        definition=re.sub(r"\$\{(\w+)\}", lambda found: deployment.outputs[found[1]], definition),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/any",
    )
    started = step_functions.start_execution(
        stateMachineArn=machine["stateMachineArn"], input=json.dumps(run_input)
    )

    def ended() -> dict[str, Any] | None:
        execution = step_functions.describe_execution(executionArn=started["executionArn"])
        return None if execution["status"] == "RUNNING" else dict(execution)

    return eventually(ended)


def test_own_rule_stops_the_run_of_its_event(signal_deployment: Deployment) -> None:
    """An event of another form stops the run that it names, through a rule with an input transformer."""
    (commands,) = RECIPES.fences("A rule of your own")
    _shell(signal_deployment, commands)
    run_id, unrelated = signal_deployment.start_more(JOB, 2)
    detail = json.dumps({"jobName": JOB, "jobRunId": run_id, "limit": "exceeded"})
    signal_deployment.aws.events.put_events(
        Entries=[{"Source": "finops.guard", "DetailType": "Budget", "Detail": detail}]
    )
    _stopped(signal_deployment, run_id)
    assert signal_deployment.state(JOB, unrelated) == "RUNNING"
    _check_target(signal_deployment, "finops-guard")


def _check_target(deployment: Deployment, rule: str) -> None:
    """Check the role and the dead-letter queue of a rule's target: only this rule can use either."""
    aws = deployment.aws
    rule_arn = aws.events.describe_rule(Name=rule)["Arn"]
    (target,) = aws.events.list_targets_by_rule(Rule=rule)["Targets"]
    assert _trust(deployment, target["RoleArn"]) == (
        "events.amazonaws.com",
        {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": rule_arn}},
    )
    queue_arn = target["DeadLetterConfig"]["Arn"]
    queue_url = aws.sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
    answer = aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["Policy"])
    (statement,) = json.loads(answer["Attributes"]["Policy"])["Statement"]
    only_the_rule = {"ArnEquals": {"aws:SourceArn": rule_arn}}
    assert (statement["Resource"], statement["Condition"]) == (queue_arn, only_the_rule)
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}


def test_schedules_stop_the_active_runs(signal_deployment: Deployment) -> None:
    """When it is due, each schedule sends its request. The one-time schedule is then deleted."""
    printed = _shell(signal_deployment, *RECIPES.fences("A schedule"), 'echo "$ROLE_ARN"', 'echo "$GROUP_ARN"')
    *_, role_arn, group_arn = printed.splitlines()
    assert _trust(signal_deployment, role_arn) == (
        "scheduler.amazonaws.com",
        {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": group_arn}},
    )
    for name in ("nightly-etl-morning", "nightly-etl-release"):
        (run_id,) = signal_deployment.start_more(JOB)
        _copy_as_due(signal_deployment, name)
        _stopped(signal_deployment, run_id)
    eventually(lambda: "no run by day" in _reasons(signal_deployment))
    listed = signal_deployment.aws.scheduler.list_schedules(GroupName="glue-stops")["Schedules"]
    due = {schedule["Name"] for schedule in listed if schedule["Name"].endswith("-due")}
    assert due == {"nightly-etl-morning-due"}


def _copy_as_due(deployment: Deployment, name: str) -> None:
    """Create a copy of a schedule whose time is past, which on the emulator is due at once."""
    scheduler = deployment.aws.scheduler
    schedule = scheduler.get_schedule(GroupName="glue-stops", Name=name)
    past = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
    scheduler.create_schedule(
        GroupName="glue-stops",
        Name=f"{name}-due",
        ScheduleExpression=f"at({past})",
        FlexibleTimeWindow=schedule["FlexibleTimeWindow"],
        Target=schedule["Target"],
        ActionAfterCompletion=schedule["ActionAfterCompletion"],
    )


def test_state_requests_a_stop(signal_deployment: Deployment) -> None:
    """The state sends a stop request for the run in the output of `glue:startJobRun`."""
    (state,) = RECIPES.fences("A state that requests a stop")
    machine = f'{{"StartAt": "Stop", "States": {{"Stop": {state}}}}}'
    (run_id,) = signal_deployment.start_more(JOB)
    execution = _execute(signal_deployment, "request", machine, {"JobName": JOB, "JobRunId": run_id})
    assert execution["status"] == "SUCCEEDED"
    _stopped(signal_deployment, run_id)


def _wait_for(deployment: Deployment, job: str, run_id: str, name: str) -> dict[str, Any]:
    (machine,) = RECIPES.fences("A state machine that waits until the run is over")
    return _execute(deployment, name, machine, {"JobName": job, "JobRunId": run_id})


def test_state_machine_ends_when_the_run_is_over(signal_deployment: Deployment) -> None:
    """The execution succeeds once the run is STOPPED, and at once if the run was over before."""
    (run_id,) = signal_deployment.start_more(JOB)
    for name in ("active", "over"):
        execution = _wait_for(signal_deployment, JOB, run_id, name)
        assert execution["status"] == "SUCCEEDED"
        assert signal_deployment.state(JOB, run_id) == "STOPPED"
        assert json.loads(execution["output"])["Run"] == {"IsOver": True}


def test_state_machine_fails_if_the_stop_is_refused(signal_deployment: Deployment) -> None:
    """The execution fails with STOP's error for a run of a job with the protect tag."""
    signal_deployment.start("protected-recipe", 0)
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/protected-recipe"
    signal_deployment.aws.glue.tag_resource(ResourceArn=arn, TagsToAdd={"gluebrake:protect": "true"})
    (run_id,) = signal_deployment.start_more("protected-recipe")
    execution = _wait_for(signal_deployment, "protected-recipe", run_id, "refused")
    assert (execution["status"], execution["error"]) == ("FAILED", "AccessDeniedException")
    assert signal_deployment.state("protected-recipe", run_id) == "RUNNING"


def test_airflow_operators_stop_a_run(signal_deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each operator of the recipe sends a request that stops the run."""
    (dag,) = RECIPES.fences("Airflow")
    airflow_operators.install(monkeypatch)
    for name, value in variables(signal_deployment).items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {}
    exec(dag, names)  # noqa: S102 - the recipe itself
    operators = [value for value in names.values() if isinstance(value, airflow_operators.Operator)]
    run_ids = signal_deployment.start_more(JOB, len(operators))
    for operator, run_id in zip(operators, run_ids, strict=True):
        operator.execute(signal_deployment.aws, run_id)
    assert len(operators) == 4
    _stopped(signal_deployment, *run_ids)


TASK: Final = """
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

xcoms = {{("load", "glue_job_run_id"): "{run_id}"}}
log_stop_reason({{"ti": SimpleNamespace(
    task_id="load",
    start_date=datetime.now(timezone.utc) - timedelta(minutes=5),
    xcom_pull=lambda *, task_ids, key: xcoms[task_ids, key],
)}})
"""


def test_airflow_callback_prints_the_reason(signal_deployment: Deployment) -> None:
    """The callback prints the reason and the requester of the stop of the task's run, and of no other run."""
    (callback,) = RECIPES.fences("The reason of a stop")
    run_id, other = signal_deployment.start_more(JOB, 2)
    for number, stopped in enumerate((run_id, other)):
        request = {"JobRunIds": [stopped], "Reason": f"reason {number}", "RequestedBy": "the guard"}
        signal_deployment.send(json.dumps({"JobName": JOB, **request}))
    _stopped(signal_deployment, run_id, other)
    script = callback + TASK.format(run_id=run_id)
    printed = eventually(lambda: run(signal_deployment, [sys.executable, "-c", script]))
    assert printed == f"Gluebrake stopped {run_id}: reason 0 (the guard)"


def test_custodian_state_machine_stops_the_runs_of_its_job(signal_deployment: Deployment) -> None:
    """The state machine of the policy's action stops the runs of the job that Custodian passes.

    Custodian passes the policy and the resource as they are:
    https://github.com/cloud-custodian/cloud-custodian/blob/main/c7n/resources/sfn.py
    """
    policy, machine = RECIPES.fences("Cloud Custodian")
    assert "state-machine: stop-glue-job" in policy
    run_ids = signal_deployment.start("without-owner", 2)
    resource = {"Name": "without-owner", "Role": "any", "CreatedOn": "2026-11-24T03:00:00+00:00", "Tags": []}
    run_input = {
        "policy": {"name": "stop-jobs-without-owner", "resource": "aws.glue-job"},
        "resource": resource,
    }
    execution = _execute(signal_deployment, "stop-glue-job", machine, run_input)
    assert execution["status"] == "SUCCEEDED"
    _stopped(signal_deployment, *run_ids, job="without-owner")
    assert "stop-jobs-without-owner" in _reasons(signal_deployment)


def test_notify_delay_is_set_on_a_job_and_stops_its_run(signal_deployment: Deployment) -> None:
    """The script keeps the job's definition, and a run that exceeds the delay is stopped."""
    for_one_run, for_the_job = RECIPES.fences("NotifyDelayAfter")
    _shell(signal_deployment, for_one_run)
    signal_deployment.start("status-recipe", 0)
    before = _definition(signal_deployment, "status-recipe")
    run(signal_deployment, [sys.executable, "-c", f'{for_the_job}\nset_notify_delay("status-recipe", 1)'])
    assert _definition(signal_deployment, "status-recipe") == before | {
        "NotificationProperty": {"NotifyDelayAfter": 1}
    }
    assert _definition(signal_deployment, JOB)["NotificationProperty"] == {"NotifyDelayAfter": 120}
    (run_id,) = signal_deployment.start_more("status-recipe")
    _stopped(signal_deployment, run_id, job="status-recipe")


def _definition(deployment: Deployment, job: str) -> dict[str, Any]:
    definition = dict(deployment.aws.glue.get_job(JobName=job)["Job"])
    del definition["LastModifiedOn"]
    return definition


def test_script_gets_a_response_for_each_run(signal_deployment: Deployment) -> None:
    """The function of the script returns a response for each of 30 runs, and they stop."""
    function, _ = RECIPES.fences("A script")
    run_ids = signal_deployment.start("scripted", 30)
    call = f'{function}\nprint(json.dumps(batch_stop_job_run("scripted", {run_ids})))'
    response = json.loads(run(signal_deployment, [sys.executable, "-c", call]))
    answers = [*response["SuccessfulSubmissions"], *response["Errors"]]
    assert {answer["JobRunId"] for answer in answers} == set(run_ids)
    _stopped(signal_deployment, *run_ids, job="scripted")


def test_deployment_script_restarts_an_idle_job(signal_deployment: Deployment) -> None:
    """The script stops the active runs and starts one, whether or not runs are active."""
    _, script = RECIPES.fences("A script")
    (run_id,) = signal_deployment.start_more(JOB)
    _shell(signal_deployment, script)
    assert signal_deployment.state(JOB, run_id) == "STOPPED"
    newest, *older = signal_deployment.aws.glue.get_job_runs(JobName=JOB)["JobRuns"]
    assert newest["JobRunState"] == "RUNNING"
    assert {run["JobRunState"] for run in older}.isdisjoint({"RUNNING", "STOPPING"})
    signal_deployment.aws.glue.batch_stop_job_run(JobName=JOB, JobRunIds=[newest["Id"]])
    eventually(lambda: signal_deployment.state(JOB, newest["Id"]) == "STOPPED")
    _shell(signal_deployment, script)
