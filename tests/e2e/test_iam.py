"""With IAM enforced, each role may make the calls of its function and no others, and strangers are denied."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from gluebrake.contract import OUTCOME_SOURCE, STOP_OUTCOME, STOP_REQUESTED, SWEEP_REPORT
from local import jobs
from local.aws import ACCOUNT, REGION, Aws, Credentials
from local.deployment import deploy, log_group, synthesise
from local.emulator import Emulator, running
from tests.support.eventually import eventually

POLICY: Final = {
    "name": "overdue",
    "schedule": "rate(1 hour)",
    "jobs": ["*"],
    "maxMinutes": 60,
    "maxRuns": 10,
    "mode": "stop",
    "reason": "older than an hour",
}
CONFIG: Final = {
    "jobs": ["may-*"],
    "retrySeconds": [1, 900],
    "confirmSeconds": [1, 1],
    "policies": [POLICY, {**POLICY, "name": "signal", "onSignal": ["budgets"]}],
}
JOB: Final = "may-stop"
TAGGED: Final = "may-but-tagged"
UNLISTED: Final = "unlisted"
UNKNOWN: Final = f"jr_{'0' * 64}"
ANOTHER_ACCOUNT: Final = Credentials("111122223333")
DENIED: Final = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}

FUNCTIONS: Final = ("Stop", "Confirm", "Sweep")
QUEUES: Final = tuple(f"{name}QueueUrl" for name in (*FUNCTIONS, "DeadLetter"))


@dataclass(frozen=True)
class SecuredDeployment:
    """A deployment in an emulator that enforces IAM, with a run of each job."""

    emulator: Emulator
    outputs: Mapping[str, str]
    runs: Mapping[str, str]
    roles: Mapping[str, Aws]
    """The clients of each function's role."""

    @property
    def aws(self) -> Aws:
        """The account's own clients."""
        return self.emulator.aws

    def user(self, name: str, *policies: str) -> Aws:
        """Create a user with managed policies, and return its clients."""
        iam = self.aws.client("iam")
        iam.create_user(UserName=name)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.aws.with_credentials(Credentials(key["AccessKeyId"], key["SecretAccessKey"]))

    def state(self, job_name: str, run_id: str) -> str:
        """Return the state of a run."""
        return self.aws.glue.get_job_run(JobName=job_name, RunId=run_id)["JobRun"]["JobRunState"]

    def outcomes(self, function: str, run_id: str) -> list[str]:
        """Return the outcomes that a function logged for a run."""
        return [
            json.loads(line)["outcome"] for line in self.log(function) if f'"job_run_id":"{run_id}"' in line
        ]

    def log(self, function: str) -> list[str]:
        """Return the lines of a function's log."""
        group = log_group(self.aws, self.outputs[f"{function}FunctionName"])
        pages = self.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def request_stop(self, job_name: str, *run_ids: str) -> None:
        """Send a stop request to the queue."""
        body = json.dumps({"JobName": job_name, "JobRunIds": run_ids})
        self.aws.sqs.send_message(QueueUrl=self.outputs["StopQueueUrl"], MessageBody=body)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredDeployment]:
    """Deploy with IAM enforced."""
    with _deployed(tmp_path_factory.mktemp("iam"), CONFIG) as secured:
        yield secured


@pytest.fixture
def observing(tmp_path: Path) -> Iterator[SecuredDeployment]:
    """Deploy a stack that reads each request as a dry run, with IAM enforced."""
    with _deployed(tmp_path, {**CONFIG, "observe": True}) as observing:
        yield observing


@contextmanager
def _deployed(directory: Path, values: Mapping[str, Any]) -> Iterator[SecuredDeployment]:
    """Deploy a configuration. The job TAGGED has the protect tag, which only IAM reads before a stop."""
    config = directory / "config.json"
    config.write_text(json.dumps(values))
    with running(enforce_iam=True, GLUEBRAKE_LOCAL_WINDOW_SECONDS="1") as emulator:
        synthesis = synthesise(emulator, config)
        jobs.create(emulator.aws, [JOB, TAGGED, UNLISTED])
        emulator.aws.glue.tag_resource(ResourceArn=_arn(TAGGED), TagsToAdd={"gluebrake:protect": ""})
        runs = {name: jobs.start(emulator.aws, name, 1)[0] for name in (JOB, TAGGED, UNLISTED)}
        outputs = deploy(emulator.aws, synthesis.wait())
        roles = {name: _assume_role(emulator.aws, outputs[f"{name}FunctionName"]) for name in FUNCTIONS}
        yield SecuredDeployment(emulator, outputs, runs, roles)


def _assume_role(aws: Aws, function_name: str) -> Aws:
    role = aws.lambda_.get_function_configuration(FunctionName=function_name)["Role"]
    answer = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="tests")["Credentials"]
    return aws.with_credentials(
        Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
    )


def _arn(job_name: str) -> str:
    return f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{job_name}"


Call = Callable[[Aws, SecuredDeployment], Any]
"""A call with the clients of a caller."""


def _is_denied(call: Call, caller: Aws, secured: SecuredDeployment) -> bool:
    """Return whether IAM denies a call. Raise any other error."""
    try:
        call(caller, secured)
    except ClientError as error:
        if error.response["Error"]["Code"] not in DENIED:
            raise
        return True
    return False


def _on_queue(queue: str, operation: str, **parameters: Any) -> Call:
    return lambda caller, secured: getattr(caller.sqs, operation)(QueueUrl=secured.outputs[queue], **parameters)


def _send(queue: str) -> Call:
    ignored_event = json.dumps({"detail-type": "Glue Job State Change", "detail": {}})
    return _on_queue(queue, "send_message", MessageBody=ignored_event)


def _stop(job_name: str) -> Call:
    return lambda caller, secured: caller.glue.batch_stop_job_run(
        JobName=job_name, JobRunIds=[secured.runs[job_name]]
    )


def _put(bus: str | None = None, source: str = "tests", detail_type: str = STOP_REQUESTED) -> Call:
    def put(caller: Aws, secured: SecuredDeployment) -> Any:
        entry = {
            "EventBusName": bus or secured.outputs["EventBusName"],
            "Source": source,
            "DetailType": detail_type,
        }
        return caller.events.put_events(Entries=[{**entry, "Detail": "{}"}])  # type: ignore[typeddict-item]

    return put


NEEDED_BY_BOTH: Final[Mapping[str, Call]] = {
    "publish an outcome": _put(None, OUTCOME_SOURCE, STOP_OUTCOME),
    "GetJobRun": lambda caller, secured: caller.glue.get_job_run(JobName=JOB, RunId=secured.runs[JOB]),
    "GetJobRuns": lambda caller, _: caller.glue.get_job_runs(JobName=JOB),
}

NEEDED: Final[Mapping[str, Mapping[str, Call]]] = {
    "Stop": {
        **NEEDED_BY_BOTH,
        "GetTags": lambda caller, _: caller.glue.get_tags(ResourceArn=_arn(TAGGED)),
        "retry": _send("StopQueueUrl"),
        "send to CONFIRM": _send("ConfirmQueueUrl"),
        "send a dead letter": _send("DeadLetterQueueUrl"),
        "receive": _on_queue("StopQueueUrl", "receive_message"),
    },
    "Confirm": {
        **NEEDED_BY_BOTH,
        "poll again": _send("ConfirmQueueUrl"),
        "send a dead letter": _send("DeadLetterQueueUrl"),
        "receive": _on_queue("ConfirmQueueUrl", "receive_message"),
    },
    "Sweep": {
        "publish a report": _put(None, OUTCOME_SOURCE, SWEEP_REPORT),
        "ListJobs": lambda caller, _: caller.glue.list_jobs(),
        "BatchGetJobs": lambda caller, _: caller.glue.batch_get_jobs(JobNames=[JOB]),
        "GetJobRuns": NEEDED_BY_BOTH["GetJobRuns"],
        "GetTags": lambda caller, _: caller.glue.get_tags(ResourceArn=_arn(TAGGED)),
        "request a stop": _send("StopQueueUrl"),
        "send a dead letter": _send("DeadLetterQueueUrl"),
        "receive": _on_queue("SweepQueueUrl", "receive_message"),
    },
}

QUEUE_ADMINISTRATION: Final[Mapping[str, Mapping[str, Any]]] = {
    "purge_queue": {},
    "delete_queue": {},
    "set_queue_attributes": {"Attributes": {"Policy": ""}},
    "add_permission": {"Label": "label", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]},
}

FORBIDDEN: Final[Mapping[str, Call]] = {
    "stop a run of a job outside `jobs`": _stop(UNLISTED),
    "stop a run of a protected job": _stop(TAGGED),
    "read a run of a job outside `jobs`": lambda caller, secured: caller.glue.get_job_run(
        JobName=UNLISTED, RunId=secured.runs[UNLISTED]
    ),
    "list the runs of a job outside `jobs`": lambda caller, _: caller.glue.get_job_runs(JobName=UNLISTED),
    "read a job": lambda caller, _: caller.glue.get_job(JobName=JOB),
    "list all jobs": lambda caller, _: caller.glue.get_jobs(),
    "start a run": lambda caller, _: caller.glue.start_job_run(JobName=JOB),
    "delete a job": lambda caller, _: caller.glue.delete_job(JobName=JOB),
    "read the tags of a job outside `jobs`": lambda caller, _: caller.glue.get_tags(ResourceArn=_arn(UNLISTED)),
    "tag a job": lambda caller, _: caller.glue.tag_resource(ResourceArn=_arn(JOB), TagsToAdd={"a": "b"}),
    "remove the protect tag": lambda caller, _: caller.glue.untag_resource(
        ResourceArn=_arn(TAGGED), TagsToRemove=["gluebrake:protect"]
    ),
    "read dead letters": _on_queue("DeadLetterQueueUrl", "receive_message"),
    **{
        f"{operation} of the {queue}": _on_queue(queue, operation, **parameters)
        for queue in QUEUES
        for operation, parameters in QUEUE_ADMINISTRATION.items()
    },
    "put an event on the default bus": _put("default", OUTCOME_SOURCE, STOP_OUTCOME),
    "publish to the topic": lambda caller, secured: caller.sns.publish(
        TopicArn=secured.outputs["SignalTopicArn"], Message="{}"
    ),
    "publish to the topic of a policy": lambda caller, secured: caller.sns.publish(
        TopicArn=secured.outputs["SweepTopicSignalArn"], Message="{}"
    ),
    "read the definition of a job outside `jobs`": lambda caller, _: caller.glue.batch_get_jobs(
        JobNames=[UNLISTED]
    ),
    "invoke STOP": lambda caller, secured: caller.lambda_.invoke(
        FunctionName=secured.outputs["StopFunctionName"]
    ),
    "invoke CONFIRM": lambda caller, secured: caller.lambda_.invoke(
        FunctionName=secured.outputs["ConfirmFunctionName"]
    ),
    "assume another role": lambda caller, _: caller.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/other", RoleSessionName="tests"
    ),
}

FORBIDDEN_TO_CONFIRM: Final[Mapping[str, Call]] = {
    "send a stop request to the bus": _put(),
    "stop a run": _stop(JOB),
    "read tags": NEEDED["Stop"]["GetTags"],
    "send a stop request to the queue": _send("StopQueueUrl"),
    "receive from the stop queue": _on_queue("StopQueueUrl", "receive_message"),
    "request a sweep": _send("SweepQueueUrl"),
}

FORBIDDEN_TO_SWEEP: Final[Mapping[str, Call]] = {
    "stop a run": _stop(JOB),
    "send a stop request to the bus": _put(),
    "publish an outcome": _put(None, OUTCOME_SOURCE, STOP_OUTCOME),
    "send to the confirm queue": _send("ConfirmQueueUrl"),
    "receive from the stop queue": _on_queue("StopQueueUrl", "receive_message"),
}

FORBIDDEN_TO_STOP: Final[Mapping[str, Call]] = {
    "send a stop request to the bus": _put(),
    "publish an outcome with another source": _put(None, "tests", STOP_OUTCOME),
    "receive from the confirm queue": _on_queue("ConfirmQueueUrl", "receive_message"),
    "request a sweep": _send("SweepQueueUrl"),
}

SPECIFIC: Final = {"Stop": FORBIDDEN_TO_STOP, "Confirm": FORBIDDEN_TO_CONFIRM, "Sweep": FORBIDDEN_TO_SWEEP}
DENIALS: Final = [
    (function, name, call)
    for function, specific in SPECIFIC.items()
    for name, call in {**FORBIDDEN, **specific}.items()
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_role_allows_every_call_of_its_function(secured: SecuredDeployment, function: str) -> None:
    """IAM denies none of the calls that a function makes."""
    role = secured.roles[function]
    assert not [name for name, call in NEEDED[function].items() if _is_denied(call, role, secured)]


@pytest.mark.parametrize(
    ("function", "call"),
    [pytest.param(function, call, id=f"{function}: {name}") for function, name, call in DENIALS],
)
def test_role_denies_other_calls(secured: SecuredDeployment, function: str, call: Call) -> None:
    """IAM denies calls that are similar to a function's calls but not needed."""
    assert _is_denied(call, secured.roles[function], secured)


def test_functions_work_with_their_roles(secured: SecuredDeployment) -> None:
    """With their roles the functions stop and confirm a run, and dead-letter an unknown run."""
    (run_id,) = jobs.start(secured.aws, JOB, 1)
    secured.request_stop(JOB, run_id, UNKNOWN)
    eventually(lambda: secured.outcomes("Confirm", run_id)[-1:] == ["Stopped"])
    assert secured.state(JOB, run_id) == "STOPPED"
    eventually(lambda: secured.outcomes("Stop", UNKNOWN) == ["Retrying", "NotFound"])


def test_sweep_works_with_its_role(secured: SecuredDeployment) -> None:
    """With its role SWEEP reads the jobs and their runs, and requests the stop of what its policy matches."""
    (run_id,) = jobs.start(secured.aws, JOB, 1, {jobs.STARTED_MINUTES_AGO: "90"})
    request = {"Policies": ["overdue"], "Due": datetime.now(UTC).isoformat()}
    secured.aws.sqs.send_message(QueueUrl=secured.outputs["SweepQueueUrl"], MessageBody=json.dumps(request))
    eventually(lambda: secured.outcomes("Confirm", run_id)[-1:] == ["Stopped"])
    assert secured.state(JOB, secured.runs[JOB]) == "RUNNING"
    assert any('"SweepReport"' in line and '"complete":true' in line for line in secured.log("Sweep"))


def test_protect_tag_is_enforced_by_iam(secured: SecuredDeployment) -> None:
    """STOP calls Glue for a tagged job, because it does not read the tag before. IAM denies the call."""
    secured.request_stop(TAGGED, secured.runs[TAGGED])
    eventually(lambda: secured.outcomes("Stop", secured.runs[TAGGED]) == ["Protected"])
    assert secured.state(TAGGED, secured.runs[TAGGED]) == "RUNNING"


def test_role_of_a_stack_that_observes_cannot_stop_a_run(observing: SecuredDeployment) -> None:
    """IAM denies the stop of a run, and no other call. The function reports the run and fails at nothing."""
    role, run_id = observing.roles["Stop"], observing.runs[JOB]
    assert _is_denied(_stop(JOB), role, observing)
    assert not [name for name, call in NEEDED["Stop"].items() if _is_denied(call, role, observing)]
    observing.request_stop(JOB, run_id)
    eventually(lambda: observing.outcomes("Stop", run_id) == ["WouldStop"])
    assert observing.state(JOB, run_id) == "RUNNING"


def test_producer_policy_allows_stop_requests_only(secured: SecuredDeployment) -> None:
    """A user with the producer policy may send stop requests in each of the four ways, and nothing else."""
    producer = secured.user("producer", secured.outputs["ProducerPolicyArn"])
    ways: dict[str, Call] = {
        "queue": _send("StopQueueUrl"),
        "bus": _put(),
        "topic": FORBIDDEN["publish to the topic"],
        "function": FORBIDDEN["invoke STOP"],
    }
    assert not [name for name, call in ways.items() if _is_denied(call, producer, secured)]
    forbidden = {name: call for name, call in FORBIDDEN.items() if call not in ways.values()}
    denied: dict[str, Call] = {
        **forbidden,
        "send to the confirm queue": _send("ConfirmQueueUrl"),
        "request a sweep": _send("SweepQueueUrl"),
        "send a dead letter": _send("DeadLetterQueueUrl"),
        "publish an outcome": _put(None, OUTCOME_SOURCE, STOP_OUTCOME),
        "receive from the stop queue": _on_queue("StopQueueUrl", "receive_message"),
        "stop a run": _stop(JOB),
    }
    assert [name for name, call in denied.items() if not _is_denied(call, producer, secured)] == []


@pytest.mark.parametrize("stranger", ["user without a policy", "another account"])
def test_stranger_cannot_send(secured: SecuredDeployment, stranger: str) -> None:
    """A user without the policy, or of another account, cannot send to the queues or the topic."""
    if stranger == "another account":
        caller = secured.aws.with_credentials(ANOTHER_ACCOUNT)
    else:
        caller = secured.user("stranger")
    calls = [
        *map(_send, QUEUES),
        FORBIDDEN["publish to the topic"],
        FORBIDDEN["publish to the topic of a policy"],
    ]
    assert [_is_denied(call, caller, secured) for call in calls] == [True] * len(calls)


@pytest.mark.parametrize("bus", ["default", None])
@pytest.mark.parametrize("source", ["aws.glue", "aws.cloudwatch"])
def test_source_of_aws_is_refused_on_a_bus(secured: SecuredDeployment, source: str, bus: str | None) -> None:
    """EventBridge refuses an event with an `aws.` source, even from the root user."""
    answer = _put(bus, source, "Glue Job Run Status")(secured.aws, secured)
    assert [entry["ErrorCode"] for entry in answer["Entries"]] == ["NotAuthorizedForSourceException"]
