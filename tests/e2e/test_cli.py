"""The installed command `gluebrake` on a deployment."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gluebrake_cli.checks import CHECKS
from infra.runbook import RUNBOOK
from local.aws import ACCOUNT, REGION
from local.emulator import ROOT
from local.jobs import STARTED_MINUTES_AGO
from tests.e2e.cli import dead_letters, environ, gluebrake
from tests.e2e.conftest import Deployment
from tests.e2e.proxy import Proxy
from tests.support.eventually import eventually
from tests.support.glue_alarms import ELAPSED_TIME

UNKNOWN_RUN = f"jr_{'0' * 64}"
WAITS_FOR_A_FILE = """\
import os, sys, time

while not os.path.exists(sys.argv[sys.argv.index("--until") + 1]):
    time.sleep(0.05)
"""


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """Return a job name for the test alone."""
    return re.sub(r"\W+", "-", str(request.node.name))


def _request(job_name: str, *run_ids: str) -> str:
    return json.dumps({"JobName": job_name, "JobRunIds": run_ids})


def _set_jobs(deployment: Deployment, *jobs: str) -> None:
    """Change the jobs that the STOP function may stop, as a deployment with another configuration does."""
    name = deployment.outputs["StopFunctionName"]
    configuration = deployment.aws.lambda_.get_function_configuration(FunctionName=name)
    variables = {**configuration["Environment"]["Variables"], "GLUEBRAKE_JOBS": json.dumps(jobs)}
    deployment.aws.lambda_.update_function_configuration(
        FunctionName=name, Environment={"Variables": variables}
    )


def _outcomes(deployment: Deployment, run_id: str) -> list[str]:
    messages = [*deployment.log("StopFunctionName"), *deployment.log("ConfirmFunctionName")]
    lines = [json.loads(message) for message in messages if message.startswith("{") and run_id in message]
    return [line["outcome"] for line in lines if "outcome" in line]


def test_stop_and_wait(deployment: Deployment, job: str) -> None:
    """Every active run of the job is followed to its end, and exit code 0 means that all stopped."""
    runs = deployment.start(job, 7)
    shown = gluebrake(deployment, "stop", job, "--all-active", "--yes", "--wait", "--every", "0.2")
    assert {run["job_run_id"]: run["state"] for run in shown["runs"]} == dict.fromkeys(runs, "STOPPED")
    assert shown["all_stopped"] is True


def test_runs_are_selected_by_their_arguments(deployment: Deployment, job: str) -> None:
    """The run that was started with the argument is stopped and followed. The job's other runs continue."""
    selected, excluded = deployment.start(job, 2, arguments={"--date": "2026-11-24"})
    (unrelated,) = deployment.start_more(job)
    narrowed = ("--argument", "--date=2026-11-24", "--except", excluded)
    shown = gluebrake(deployment, "stop", job, "--all-active", *narrowed, "--yes", "--wait", "--every", "0.2")
    assert {run["job_run_id"]: run["state"] for run in shown["runs"]} == {selected: "STOPPED"}
    assert deployment.state(job, excluded) == deployment.state(job, unrelated) == "RUNNING"


def test_a_run_that_does_not_stop_is_not_called_stopped(deployment: Deployment, job: str) -> None:
    """When a run does not stop in time, the wait ends with its outcome and exit code 3."""
    (run_id,) = deployment.start(job, arguments={"--refuse-to-stop": "true"})
    shown = gluebrake(deployment, "stop", job, run_id, "--wait", "--every", "0.2", code=3)
    (run,) = shown["runs"]
    assert (run["state"], run["outcome"], shown["all_stopped"]) == ("STOPPING", "StopTimedOut", False)


def test_stop_ends_with_the_outcome(deployment: Deployment, job: str) -> None:
    """Without any option, the run is followed until CONFIRM has logged its outcome and estimated cost."""
    (run_id,) = deployment.start(job, arguments={STARTED_MINUTES_AGO: "1"})
    shown = gluebrake(deployment, "stop", job, run_id)
    (run,) = shown["runs"]
    assert (run["state"], run["outcome"]) == ("STOPPED", "Stopped")
    assert run["measures"]["DpuHoursConsumed"] > 0
    assert run["measures"]["EstimatedCostUsd"] > 0
    again = gluebrake(deployment, "stop", job, run_id)
    assert (again["message_id"], again["all_over"]) == (None, True)


@pytest.mark.parametrize(("job_name", "error"), [("", "knows no run jr_"), ("elt", "knows no job elt in ")])
def test_a_typing_error_sends_nothing(deployment: Deployment, job: str, job_name: str, error: str) -> None:
    """An unknown run or job would become a dead letter, which fires alarms."""
    deployment.start(job, 0)
    command = ["gluebrake", "stop", job_name or job, UNKNOWN_RUN]
    done = subprocess.run(
        command, cwd=ROOT, env=environ(deployment), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert error in done.stderr
    assert "nothing was sent" in done.stderr


def test_a_dry_run_stops_nothing(deployment: Deployment, job: str) -> None:
    """The function reports what it would stop, and the run is still running."""
    (run_id,) = deployment.start(job)
    shown = gluebrake(deployment, "stop", job, run_id, "--dry-run", "--wait", "--every", "0.2")
    assert [run["outcome"] for run in shown["runs"]] == ["WouldStop"]
    assert deployment.state(job, run_id) == "RUNNING"


def test_dead_letters_are_redriven_by_reason(deployment: Deployment, job: str, tmp_path: Path) -> None:
    """Four reasons are listed. When a cause is fixed, a redrive of its dead letters alone stops their runs."""
    not_allowed = deployment.start(f"{job}-not-allowed", 3)
    slow = _start_slow(deployment, f"{job}-slow", tmp_path / "end")
    _set_jobs(deployment, f"{job}-slow", f"{job}-unknown")
    try:
        deployment.send(_request(f"{job}-not-allowed", *not_allowed))
        deployment.send(_request(f"{job}-slow", slow))
        deployment.send(_request(f"{job}-unknown", UNKNOWN_RUN))
        eventually(lambda: len(dead_letters(deployment, "--job", f"{job}-*")) == 5)
    finally:
        _set_jobs(deployment, "*")
    deployment.send(f"stop {job}, please")
    invalid = str(eventually(lambda: deployment.dead_letter(f"stop {job}"))["MessageId"])
    groups = gluebrake(deployment, "dead-letters", "--by-reason")["reasons"]
    reasons = {group["reason"]: group["jobs"] for group in groups}
    assert reasons["NotAllowed"][f"{job}-not-allowed"] == 3
    assert reasons["StopTimedOut"][f"{job}-slow"] == 1
    assert reasons["EntityNotFoundException"][f"{job}-unknown"] == 1
    assert gluebrake(deployment, "dead-letters", "show", invalid)["reason"] == "InvalidRequest"

    shown = gluebrake(deployment, "redrive", "--reason", "NotAllowed", "--job", f"{job}-*")
    assert len(shown["done"]) == len(shown["meant"]) == 3
    for run_id in not_allowed:
        eventually(lambda run_id=run_id: "Stopped" in _outcomes(deployment, run_id))  # type: ignore[misc]
    left = {dead_letter["reason"] for dead_letter in dead_letters(deployment, "--job", f"{job}-*")}
    assert left == {"StopTimedOut", "EntityNotFoundException"}

    shown = gluebrake(deployment, "redrive", "--reason", "StopTimedOut", "--job", f"{job}-*")
    (tmp_path / "end").touch()
    assert len(shown["done"]) == 1
    eventually(lambda: deployment.state(f"{job}-slow", slow) == "STOPPED")

    assert gluebrake(deployment, "drop", "--message-id", invalid, "--yes")["done"] == [invalid]
    assert len(gluebrake(deployment, "drop", "--job", f"{job}-unknown", "--yes")["done"]) == 1
    left = {dead_letter["job_name"] for dead_letter in dead_letters(deployment, "--job", f"{job}-*")}
    assert left <= {f"{job}-slow"}


def _start_slow(deployment: Deployment, job_name: str, until: Path) -> str:
    """Start a run that stays STOPPING until a file exists."""
    deployment.start(job_name, 0)
    script = deployment.aws.glue.get_job(JobName=job_name)["Job"]["Command"]["ScriptLocation"]
    bucket = urlsplit(script).netloc
    deployment.aws.put_object(bucket, "until.py", WAITS_FOR_A_FILE.encode())
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{bucket}/until.py", "PythonVersion": "3.9"}
    deployment.aws.glue.update_job(JobName=job_name, JobUpdate={"Command": command})  # type: ignore[typeddict-item]
    arguments = {"--until": str(until), "--refuse-to-stop": "true"}
    return deployment.aws.glue.start_job_run(JobName=job_name, Arguments=arguments)["JobRunId"]


def test_a_killed_redrive_can_be_repeated(deployment: Deployment, job: str) -> None:
    """Killed between sending and deleting, and repeated: every run is stopped, and no dead letter is left."""
    runs = deployment.start(job, 12)
    queue = deployment.outputs["DeadLetterQueueUrl"]
    reason: Any = {"ERROR_CODE": {"DataType": "String", "StringValue": job}}
    for run_id in runs:
        deployment.aws.sqs.send_message(
            QueueUrl=queue, MessageBody=_request(job, run_id), MessageAttributes=reason
        )
    with Proxy(deployment.aws.endpoint) as proxy:
        command = ["gluebrake", "redrive", "--reason", job]
        with subprocess.Popen(command, cwd=ROOT, env=environ(deployment, proxy.endpoint)) as process:
            proxy.replace_call("AmazonSQS.DeleteMessageBatch", 2, process.kill)
            process.wait()
    assert process.returncode == -signal.SIGKILL
    eventually(lambda: deployment.states(job) == {"STOPPED"})
    # The second batch is in both queues. It is visible when the visibility timeout of the killed command ends.
    left = eventually(lambda: dead_letters(deployment, "--reason", job))
    assert len(left) == 2
    assert len(gluebrake(deployment, "redrive", "--reason", job)["done"]) == 2
    repeated = [run_id for dead_letter in left for run_id in dead_letter["job_run_ids"]]
    for run_id in repeated:
        eventually(lambda run_id=run_id: "AlreadyFinished" in _outcomes(deployment, run_id))  # type: ignore[misc]
    assert dead_letters(deployment, "--job", job) == []
    assert sorted(run_id for run_id in runs if "Stopped" in _outcomes(deployment, run_id)) == sorted(runs)


def test_status_shows_the_deployment(deployment: Deployment, job: str) -> None:
    """Queues, mappings, configuration and the latest outcome are read, and nothing is unknown."""
    (run_id,) = deployment.start(job)
    gluebrake(deployment, "stop", job, run_id, "--wait", "--every", "0.2")
    eventually(lambda: "Stopped" in _outcomes(deployment, run_id))
    code = 1 if dead_letters(deployment) else 0
    shown = gluebrake(deployment, "status", "--outcomes", "50", code=code)
    assert shown["unknown"] == {}
    assert [queue["name"] for queue in shown["queues"]] == ["stop", "confirm", "dead letters"]
    assert {mapping["state"] for mapping in shown["mappings"]} == {"Enabled"}
    assert shown["config"]["confirm_deadline_seconds"] == 2
    assert shown["outcomes"][0]["outcome"]
    assert any(line.get("job_run_id") == run_id for line in shown["outcomes"])
    titles = {alarm["title"] for alarm in shown["alarms"]}
    assert {"ConfirmQueueStalls", "DeadLettersWait"} <= titles <= RUNBOOK.keys()
    done = _shell(deployment, f"gluebrake status --outcomes 50 | grep {run_id}", COLUMNS="80")
    assert "Stopped" in done.stdout
    assert "sender (by SQS): " in done.stdout


@pytest.mark.parametrize(
    ("changed", "code", "remedy"),
    [
        ({"GLUEBRAKE_STACK": "Other"}, 1, "no stack 'Other' in eu-central-2"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 1, "AWS cannot be reached"),
        ({"AWS_ENDPOINT_URL": "localhost"}, 1, "AWS_ENDPOINT_URL must be a URL"),
        ({"AWS_PROFILE": "missing"}, 1, "no such profile"),
        ({"AWS_DEFAULT_REGION": ""}, 1, "no Region: give --region, set AWS_REGION"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 1, "no AWS credentials"),
    ],
)
def test_an_error_is_one_line(
    deployment: Deployment, tmp_path: Path, changed: dict[str, str], code: int, remedy: str
) -> None:
    """An error between the command and AWS is one line, with the remedy."""
    env = {**environ(deployment), "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", **changed}
    env = {name: value for name, value in env.items() if value and name != "AWS_REGION"}
    command = ["gluebrake", "status"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("gluebrake: ")
    assert remedy in done.stderr
    assert done.stderr.count("\n") == 1


def _shell(deployment: Deployment, script: str, **changed: str) -> subprocess.CompletedProcess[str]:
    env = {**environ(deployment), **changed}
    return subprocess.run(["sh", "-uc", script], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_REGION": REGION},
        {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": "us-east-1"},
        {"AWS_DEFAULT_REGION": REGION},
    ],
)
def test_the_environments_region_wins_over_the_config_file(
    deployment: Deployment, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The command acts where `make deploy` has deployed, and reports where that is."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = us-west-2\n")
    without_region = "unset AWS_REGION AWS_DEFAULT_REGION"
    exports = " ".join(f"{name}={value}" for name, value in environment.items())
    done = _shell(
        deployment,
        f"{without_region}; {exports} gluebrake dead-letters --by-reason --json",
        AWS_CONFIG_FILE=str(config),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["region"] == REGION
    done = _shell(deployment, f"{without_region}; gluebrake status", AWS_CONFIG_FILE=str(config))
    assert "no stack 'Gluebrake' in us-west-2" in done.stderr


def test_env_sets_what_the_emulators_env_sets(deployment: Deployment) -> None:
    """The AWS CLI takes the names, and each has the value that `gluebrake env --local` gives it."""
    own, local = (
        dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        for done in (_shell(deployment, "gluebrake env"), _shell(deployment, "gluebrake env --local"))
    )
    assert {name: own[name] for name in local if name in own} == {
        name: value for name, value in own.items() if name != "GLUEBRAKE_STACK"
    }
    script = 'eval "$(gluebrake env)" && aws sqs get-queue-attributes --queue-url "$STOP_QUEUE_URL"'
    assert _shell(deployment, script).returncode == 0


@pytest.mark.parametrize(
    "command", ["gluebrake --stack Other env", "GLUEBRAKE_LOCAL_RECORDS=/none gluebrake env --local"]
)
def test_a_failed_env_leaves_no_stale_name(deployment: Deployment, command: str) -> None:
    """`eval` fails, the error is on standard error, and no name of another stack is left in the shell."""
    script = f'STOP_QUEUE_URL=stale; eval "$({command})"; echo "$? ${{STOP_QUEUE_URL-none}}"'
    done = _shell(deployment, script)
    assert done.stdout == "1 none\n"
    assert done.stderr


def test_doctor_finds_and_repairs_a_changed_policy(deployment: Deployment) -> None:
    """A fresh deployment is right. An emptied queue policy is named, and the printed command repairs it."""
    fresh = gluebrake(deployment, "doctor")
    assert {check["name"]: check["state"] for check in fresh["checks"]} == dict.fromkeys(
        (check.name for check in CHECKS), "right"
    )
    queue = deployment.outputs["StopQueueUrl"]
    deployment.aws.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    broken = gluebrake(deployment, "doctor", code=1)
    (check,) = (check for check in broken["checks"] if check["state"] != "right")
    (problem,) = check["problems"]
    assert check["name"] == "queue policies"
    assert queue.rpartition("/")[2] in problem["text"]
    done = _shell(deployment, problem["fix"])
    assert done.returncode == 0, done.stderr
    assert gluebrake(deployment, "doctor") == fresh


def test_doctor_names_an_alarm_without_a_prefix(deployment: Deployment, job: str) -> None:
    """An alarm that notifies the signal topic stops runs only if `stopOnAlarms` has a prefix of its name."""
    cloudwatch, actions = deployment.aws.cloudwatch, [deployment.outputs["SignalTopicArn"]]
    cloudwatch.put_metric_alarm(
        AlarmName=f"nightly-{job}",
        **ELAPSED_TIME,
        AlarmActions=actions,
    )
    cloudwatch.put_composite_alarm(
        AlarmName=f"adhoc-{job}", AlarmRule=f'ALARM("nightly-{job}")', AlarmActions=actions
    )
    try:
        shown = gluebrake(deployment, "doctor", code=1)
    finally:
        for prefix in ("adhoc", "nightly"):
            cloudwatch.delete_alarms(AlarmNames=[f"{prefix}-{job}"])
    (check,) = (check for check in shown["checks"] if check["state"] != "right")
    (problem,) = check["problems"]
    assert check["name"] == "alarms"
    assert problem["text"].startswith(f"adhoc-{job} notifies the signal topic, but no prefix in stopOnAlarms")
    assert problem["fix"] == f"AWS_REGION={REGION} make deploy CDK_OPTIONS=..."


def test_doctor_repairs_every_kind_of_problem(deployment: Deployment) -> None:
    """Each printed command of the AWS CLI repairs its problem: mapping, policies, loop, subscription, tag."""
    aws, outputs = deployment.aws, deployment.outputs
    deployment.start("tagged-without-value", 0)
    job = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/tagged-without-value"
    aws.glue.tag_resource(ResourceArn=job, TagsToAdd={"gluebrake:protect": ""})
    iam, stop = aws.client("iam"), outputs["StopFunctionName"]
    role = aws.lambda_.get_function_configuration(FunctionName=stop)["Role"].rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    deny = {"Effect": "Deny", "Action": "sns:Publish", "Resource": "*"}
    changed = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=changed)
    aws.sns.set_topic_attributes(
        TopicArn=outputs["AlarmTopicArn"], AttributeName="Policy", AttributeValue=changed
    )
    (subscription,) = aws.sns.list_subscriptions_by_topic(TopicArn=outputs["SignalTopicArn"])["Subscriptions"]
    aws.sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    aws.lambda_.put_function_recursion_config(FunctionName=stop, RecursiveLoop="Terminate")
    (mapping,) = aws.lambda_.list_event_source_mappings(FunctionName=stop)["EventSourceMappings"]
    aws.lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    broken = gluebrake(deployment, "doctor", code=1)
    wrong = [check["name"] for check in broken["checks"] if check["state"] == "wrong"]
    assert wrong == [
        *("event source mappings", "topic policies", "role policies"),
        *("recursive loops", "subscriptions", "protect tags"),
    ]
    for check in broken["checks"]:
        for problem in check["problems"]:
            done = _shell(deployment, problem["fix"])
            assert done.returncode == 0, done.stderr
    assert gluebrake(deployment, "doctor")["wrong"] == []
    aws.glue.untag_resource(ResourceArn=job, TagsToRemove=["gluebrake:protect"])
