"""Where IAM is enforced, each role does its work and nothing beside it, and nobody else gets in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from gluebrake.contract import OUTCOME_SOURCE, STOP_OUTCOME, STOP_REQUESTED
from local import jobs
from local.aws import ACCOUNT, REGION, Aws, Keys
from local.deployment import deploy, log_group, synthesise
from local.emulator import Emulator, running
from tests.support.eventually import eventually

CONFIG: Final = {"jobs": ["may-*"], "retrySeconds": [1, 900], "confirmSeconds": [1, 1]}
JOB: Final = "may-stop"
KEPT: Final = "may-but-kept"
OTHER: Final = "another-teams"
UNKNOWN: Final = f"jr_{'0' * 64}"
ANOTHER_ACCOUNT: Final = Keys("111122223333")
DENIED: Final = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}

both_functions = pytest.mark.parametrize("function", ["Stop", "Confirm"])


@dataclass(frozen=True)
class Walls:
    """A deployment where IAM is enforced, with a run of each job."""

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
        """Make a user to whom policies are attached, and return its clients."""
        iam = self.aws.client("iam")
        iam.create_user(UserName=name)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.aws.by(Keys(key["AccessKeyId"], key["SecretAccessKey"]))

    def state(self, job_name: str, run_id: str) -> str:
        """Return the state of a run."""
        return self.aws.glue.get_job_run(JobName=job_name, RunId=run_id)["JobRun"]["JobRunState"]

    def outcomes(self, function: str, run_id: str) -> list[str]:
        """Return the outcomes that a function has logged for a run."""
        group = log_group(self.aws, self.outputs[f"{function}FunctionName"])
        pages = self.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        lines = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(line)["outcome"] for line in lines if f'"job_run_id":"{run_id}"' in line]

    def ask(self, job_name: str, *run_ids: str) -> None:
        """Ask for runs to be stopped, by the queue."""
        body = json.dumps({"JobName": job_name, "JobRunIds": run_ids})
        self.aws.sqs.send_message(QueueUrl=self.outputs["StopQueueUrl"], MessageBody=body)


@pytest.fixture(scope="module")
def walls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walls]:
    """Deploy where IAM is enforced; the job KEPT carries the protect tag, which the code does not look at."""
    config: Path = tmp_path_factory.mktemp("walls") / "config.json"
    config.write_text(json.dumps(CONFIG))
    with running(guarded=True) as emulator:
        synthesis = synthesise(emulator, config)
        jobs.create(emulator.aws, [JOB, KEPT, OTHER])
        emulator.aws.glue.tag_resource(ResourceArn=_arn(KEPT), TagsToAdd={"gluebrake:protect": ""})
        runs = {name: jobs.start(emulator.aws, name, 1)[0] for name in (JOB, KEPT, OTHER)}
        outputs = deploy(emulator.aws, synthesis.wait())
        roles = {name: _of(emulator.aws, outputs[f"{name}FunctionName"]) for name in ("Stop", "Confirm")}
        yield Walls(emulator, outputs, runs, roles)


def _of(aws: Aws, function_name: str) -> Aws:
    role = aws.lambda_.get_function_configuration(FunctionName=function_name)["Role"]
    answer = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="walls")["Credentials"]
    return aws.by(Keys(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]))


def _arn(job_name: str) -> str:
    return f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{job_name}"


Call = Callable[[Aws, Walls], Any]


def _is_denied(call: Call, by: Aws, walls: Walls) -> bool:
    """Tell whether IAM, and nothing else, refuses a call."""
    try:
        call(by, walls)
    except ClientError as error:
        if error.response["Error"]["Code"] not in DENIED:
            raise
        return True
    return False


def _on(queue: str, operation: str, **parameters: Any) -> Call:
    return lambda by, walls: getattr(by.sqs, operation)(QueueUrl=walls.outputs[queue], **parameters)


def _send(queue: str) -> Call:
    asks_for_nothing = json.dumps({"detail-type": "Glue Job State Change", "detail": {}})
    return _on(queue, "send_message", MessageBody=asks_for_nothing)


def _stop(job_name: str) -> Call:
    return lambda by, walls: by.glue.batch_stop_job_run(JobName=job_name, JobRunIds=[walls.runs[job_name]])


def _put(bus: str | None = None, source: str = "forged", detail_type: str = STOP_REQUESTED) -> Call:
    def put(by: Aws, walls: Walls) -> Any:
        entry = {
            "EventBusName": bus or walls.outputs["EventBusName"],
            "Source": source,
            "DetailType": detail_type,
        }
        return by.events.put_events(Entries=[{**entry, "Detail": "{}"}])  # type: ignore[typeddict-item]

    return put


BOTH: Final[Mapping[str, Call]] = {
    "tell an outcome": _put(None, OUTCOME_SOURCE, STOP_OUTCOME),
    "GetJobRun": lambda by, walls: by.glue.get_job_run(JobName=JOB, RunId=walls.runs[JOB]),
    "GetJobRuns": lambda by, _: by.glue.get_job_runs(JobName=JOB),
}

NEEDED: Final[Mapping[str, Mapping[str, Call]]] = {
    "Stop": {
        **BOTH,
        "GetTags": lambda by, _: by.glue.get_tags(ResourceArn=_arn(KEPT)),
        "send again": _send("StopQueueUrl"),
        "hand on": _send("ConfirmQueueUrl"),
        "give up": _send("DeadLetterQueueUrl"),
        "receive": _on("StopQueueUrl", "receive_message"),
    },
    "Confirm": {
        **BOTH,
        "send again": _send("ConfirmQueueUrl"),
        "give up": _send("DeadLetterQueueUrl"),
        "receive": _on("ConfirmQueueUrl", "receive_message"),
    },
}

TAMPERING: Final[Mapping[str, Mapping[str, Any]]] = {
    "purge_queue": {},
    "delete_queue": {},
    "set_queue_attributes": {"Attributes": {"Policy": ""}},
    "add_permission": {"Label": "in", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]},
}

NEIGHBOURS: Final[Mapping[str, Call]] = {
    "stop a run of a job outside `jobs`": _stop(OTHER),
    "stop a run of a protected job": _stop(KEPT),
    "look at a run of a job outside `jobs`": lambda by, w: by.glue.get_job_run(
        JobName=OTHER, RunId=w.runs[OTHER]
    ),
    "list the runs of a job outside `jobs`": lambda by, _: by.glue.get_job_runs(JobName=OTHER),
    "read a job": lambda by, _: by.glue.get_job(JobName=JOB),
    "list all jobs": lambda by, _: by.glue.get_jobs(),
    "start a run": lambda by, _: by.glue.start_job_run(JobName=JOB),
    "delete a job": lambda by, _: by.glue.delete_job(JobName=JOB),
    "read other tags": lambda by, _: by.glue.get_tags(ResourceArn=_arn(OTHER)),
    "tag a job": lambda by, _: by.glue.tag_resource(ResourceArn=_arn(JOB), TagsToAdd={"a": "b"}),
    "take the protection off": lambda by, _: by.glue.untag_resource(
        ResourceArn=_arn(KEPT), TagsToRemove=["gluebrake:protect"]
    ),
    "read dead letters": _on("DeadLetterQueueUrl", "receive_message"),
    **{
        f"{operation} of the {queue}": _on(queue, operation, **parameters)
        for queue in ("StopQueueUrl", "ConfirmQueueUrl", "DeadLetterQueueUrl")
        for operation, parameters in TAMPERING.items()
    },
    "put an event on the default bus": _put("default", OUTCOME_SOURCE, STOP_OUTCOME),
    "publish to the topic": lambda by, w: by.sns.publish(TopicArn=w.outputs["SignalTopicArn"], Message="{}"),
    "invoke STOP": lambda by, w: by.lambda_.invoke(FunctionName=w.outputs["StopFunctionName"]),
    "invoke CONFIRM": lambda by, w: by.lambda_.invoke(FunctionName=w.outputs["ConfirmFunctionName"]),
    "take another role": lambda by, _: by.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/other", RoleSessionName="in"
    ),
}

BEYOND_CONFIRM: Final[Mapping[str, Call]] = {
    "ask for a stop on the bus": _put(),
    "stop a run": _stop(JOB),
    "read tags": NEEDED["Stop"]["GetTags"],
    "ask for a stop": _send("StopQueueUrl"),
    "receive what STOP is to do": _on("StopQueueUrl", "receive_message"),
}

BEYOND_STOP: Final[Mapping[str, Call]] = {
    "ask for a stop on the bus": _put(),
    "tell an outcome in another's name": _put(None, "mine", STOP_OUTCOME),
    "receive what CONFIRM is to do": _on("ConfirmQueueUrl", "receive_message"),
}

DENIALS: Final = [
    (function, name, call)
    for function, own in {"Stop": BEYOND_STOP, "Confirm": BEYOND_CONFIRM}.items()
    for name, call in {**NEIGHBOURS, **own}.items()
]


@both_functions
def test_a_role_may_do_what_its_function_does(walls: Walls, function: str) -> None:
    """None of the calls that a function makes is denied to its role."""
    role = walls.roles[function]
    assert not [name for name, call in NEEDED[function].items() if _is_denied(call, role, walls)]


@pytest.mark.parametrize(
    ("function", "call"), [pytest.param(f, call, id=f"{f}: {name}") for f, name, call in DENIALS]
)
def test_a_role_may_do_nothing_beside_it(walls: Walls, function: str, call: Call) -> None:
    """Whatever lies next to what a function does is denied to its role."""
    assert _is_denied(call, walls.roles[function], walls)


def test_the_functions_need_no_more_than_their_roles(walls: Walls) -> None:
    """With nothing but their roles a run is stopped and confirmed, and an unknown one becomes a dead letter."""
    (run_id,) = jobs.start(walls.aws, JOB, 1)
    walls.ask(JOB, run_id, UNKNOWN)
    eventually(lambda: walls.outcomes("Confirm", run_id)[-1:] == ["Stopped"])
    assert walls.state(JOB, run_id) == "STOPPED"
    eventually(lambda: walls.outcomes("Stop", UNKNOWN) == ["Retrying", "NotFound"])


def test_a_tagged_job_is_kept_from_a_request_that_the_code_lets_through(walls: Walls) -> None:
    """The code knows nothing of the tag, so Glue is asked; IAM denies it, and the run goes on."""
    walls.ask(KEPT, walls.runs[KEPT])
    eventually(lambda: walls.outcomes("Stop", walls.runs[KEPT]) == ["Protected"])
    assert walls.state(KEPT, walls.runs[KEPT]) == "RUNNING"


def test_a_producer_may_ask_and_do_no_more(walls: Walls) -> None:
    """Whom the producer policy is attached to gets in by each of the four ways, and no further."""
    producer = walls.user("producer", walls.outputs["ProducerPolicyArn"])
    ways: dict[str, Call] = {
        "queue": _send("StopQueueUrl"),
        "bus": _put(),
        "topic": NEIGHBOURS["publish to the topic"],
        "function": NEIGHBOURS["invoke STOP"],
    }
    assert not [name for name, call in ways.items() if _is_denied(call, producer, walls)]
    beyond = {name: call for name, call in NEIGHBOURS.items() if call not in ways.values()}
    further: dict[str, Call] = {
        **beyond,
        "watch for it": _send("ConfirmQueueUrl"),
        "forge a dead letter": _send("DeadLetterQueueUrl"),
        "forge an outcome": _put(None, OUTCOME_SOURCE, STOP_OUTCOME),
        "listen": _on("StopQueueUrl", "receive_message"),
        "stop a run itself": _stop(JOB),
    }
    assert [name for name, call in further.items() if not _is_denied(call, producer, walls)] == []


@pytest.mark.parametrize("stranger", ["a user without a policy", "another account"])
def test_a_stranger_gets_nothing_in(walls: Walls, stranger: str) -> None:
    """Without the policy, or from another account, neither the queues nor the topic take anything."""
    by = walls.aws.by(ANOTHER_ACCOUNT) if "account" in stranger else walls.user("stranger")
    queues = ("StopQueueUrl", "ConfirmQueueUrl", "DeadLetterQueueUrl")
    tries = [*map(_send, queues), NEIGHBOURS["publish to the topic"]]
    assert [_is_denied(call, by, walls) for call in tries] == [True] * len(tries)


@pytest.mark.parametrize("bus", ["default", None])
@pytest.mark.parametrize("source", ["aws.glue", "aws.cloudwatch"])
def test_nobody_speaks_for_aws_on_a_bus(walls: Walls, source: str, bus: str | None) -> None:
    """An event with a source of AWS's own is refused by EventBridge, even when the account's owner puts it."""
    answer = _put(bus, source, "Glue Job Run Status")(walls.aws, walls)
    assert [entry["ErrorCode"] for entry in answer["Entries"]] == ["NotAuthorizedForSourceException"]
