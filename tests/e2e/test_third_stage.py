"""A stage that does nothing is added to a copy of the project and deployed. The test shows what it needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from local.aws import HOST, KEY, REGION
from local.deployment import deploy, log_group
from local.emulator import ROOT, Emulator, inherited_environment, running
from tests.golden import golden
from tests.infra.test_golden import REMOVED
from tests.support.eventually import eventually

COPIED: Final = ("LICENSE", "app.py", "cdk.json", "gluebrake_cli", "infra", "lambda_src")

HANDLER: Final = '''\
"""NOOP: counts the stop requests that it receives, and does nothing with them."""

import os
from functools import cache

from gluebrake import runtime, wiring
from gluebrake.decisions.routing import RetryPolicy
from gluebrake.dispatch import StageResult
from gluebrake.lambda_event import Bookkeeping
from gluebrake.metrics import Count
from gluebrake.parsing import stop_request
from gluebrake.settings import Settings, load
from gluebrake.stages import Queue
from gluebrake.telemetry import Telemetry
from gluebrake.wiring import Dependencies


class NoopSettings(Settings, frozen=True, kw_only=True):
    noop_queue_url: str


def handler(event, context):
    return runtime.invoke(event, context, _dependencies(), parse=stop_request.parse, work=work)


def work(requests, dependencies, budget):
    return StageResult(dependencies.clock(), counts={Count.RUNS_REQUESTED: len(requests)})


@cache
def _dependencies():
    settings = load(NoopSettings, os.environ)
    return Dependencies(
        aws_environment=wiring.aws_environment(settings),
        queues=wiring.queues(settings, {Queue.NOOP: settings.noop_queue_url}),
        event_bus=wiring.event_bus(settings),
        telemetry=Telemetry("noop"),
        retry_policy=RetryPolicy(delays={}, deadline_seconds=0),
        bookkeeping=Bookkeeping("noop", 1, frozenset(settings.trusted_sender_ids)),
        queue=Queue.NOOP,
        prices=settings.price_per_dpu_hour,
        notice_topic=wiring.notice_topic(settings),
        notify_on=frozenset(settings.notify_on),
    )
'''

CONSTRUCT: Final = '''\
"""NOOP: consumes the noop queue."""

from gluebrake.stages import STAGES, Queue
from infra.queue_function import FunctionSpec, QueueFunction


class NoopFunction(QueueFunction):
    def __init__(self, scope, construct_id, *, foundation):
        queue = foundation.queues.work_queues[Queue.NOOP]
        spec = FunctionSpec(stage=STAGES["noop"], environment={"noop_queue_url": queue.queue_url})
        super().__init__(scope, construct_id, spec=spec, foundation=foundation)
'''

ROW: Final = """\
        Stage(
            name="noop",
            description="Does nothing",
            queue=Queue.NOOP,
            operations=_DISPATCH,
        ),
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with a third stage."""
    copy = tmp_path_factory.mktemp("project")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    _insert(copy / "lambda_src/gluebrake/stages.py", '    NOOP = "noop"\n', before='    DEAD_LETTER = "dead')
    _insert(copy / "lambda_src/gluebrake/stages.py", ROW, before="    )\n}\n")
    (copy / "lambda_src/gluebrake/handlers/noop.py").write_text(HANDLER)
    (copy / "infra/noop_function.py").write_text(CONSTRUCT)
    stack = copy / "infra/stack.py"
    _insert(stack, "from infra.noop_function import NoopFunction\n", before="from infra.observability import")
    _insert(
        stack,
        '            NoopFunction(self, "Noop", foundation=foundation),\n',
        before="        ]\n        set_trusted_senders(",
    )
    return copy


def _insert(file: Path, addition: str, *, before: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1
    file.write_text(text.replace(before, addition + before))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Start an emulator."""
    with running(GLUEBRAKE_LOCAL_WINDOW_SECONDS="1") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def outputs(project: Path, emulator: Emulator) -> dict[str, str]:
    """Deploy the copy. Return the outputs of its stack."""
    _run(project, "app.py", "-c", "target=local", CDK_OUTDIR=str(project / "cdk.out"))
    return deploy(emulator.aws, project / "cdk.out")


def _run(project: Path, *arguments: str, **environ: str) -> str:
    """Run the copy's Python code. Return its output."""
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**inherited_environment(), "PYTHONPATH": str(project / "lambda_src"), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_a_stage_needs_its_row_its_handler_its_construct_and_a_line_in_the_stack(project: Path) -> None:
    """No other file of the project differs from the original."""
    assert _changed(project) == {
        "lambda_src/gluebrake/stages.py",
        "lambda_src/gluebrake/handlers/noop.py",
        "infra/noop_function.py",
        "infra/stack.py",
    }


def _changed(project: Path) -> set[str]:
    """Return the files that the original does not have, or has with another content."""
    roots = [project / name for name in COPIED]
    files = [file for root in roots for file in (root.rglob("*.py") if root.is_dir() else [root])]
    names = {file.relative_to(project).as_posix() for file in files}
    return {name for name in names if not _same(ROOT / name, project / name)}


def _same(original: Path, copy: Path) -> bool:
    return original.exists() and original.read_bytes() == copy.read_bytes()


def test_the_function_consumes_its_queue(emulator: Emulator, outputs: dict[str, str]) -> None:
    """The log of the function has the metrics of its message, with the stage as service. The queue is empty."""
    body = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"]})
    emulator.aws.sqs.send_message(QueueUrl=outputs["NoopQueueUrl"], MessageBody=body)
    (line,) = eventually(lambda: _metrics(emulator, outputs["NoopFunctionName"]))
    assert (line["service"], line["RunsRequested"]) == ("noop", [1])
    eventually(lambda: _depth(emulator, outputs["NoopQueueUrl"]) == {"0"})


def _metrics(emulator: Emulator, function: str) -> list[dict[str, Any]]:
    group = log_group(emulator.aws, function)
    pages = emulator.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    texts = [event["message"] for page in pages for event in page["events"]]
    return [json.loads(text) for text in texts if '"_aws"' in text]


def _depth(emulator: Emulator, queue_url: str) -> set[str]:
    answer = emulator.aws.sqs.get_queue_attributes(
        QueueUrl=queue_url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return set(answer["Attributes"].values())


def test_the_function_has_its_own_queue_role_and_log(emulator: Emulator, outputs: dict[str, str]) -> None:
    """Its mapping reads its queue, and its role may consume that queue and no other."""
    (mapping,) = emulator.aws.lambda_.list_event_source_mappings(FunctionName=outputs["NoopFunctionName"])[
        "EventSourceMappings"
    ]
    assert mapping["EventSourceArn"].endswith(f":{outputs['NoopQueueUrl'].rpartition('/')[2]}")
    configurations = [
        emulator.aws.lambda_.get_function_configuration(FunctionName=outputs[f"{stage}FunctionName"])
        for stage in ("Stop", "Confirm", "Noop")
    ]
    assert len({configuration["Role"] for configuration in configurations}) == 3
    assert len({configuration["LoggingConfig"]["LogGroup"] for configuration in configurations}) == 3
    iam = emulator.aws.client("iam")
    role = configurations[-1]["Role"].rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]["Statement"]
    (consume,) = (statement for statement in statements if statement.get("Sid") == "ConsumeMessages")
    assert consume["Resource"] == mapping["EventSourceArn"]


@pytest.mark.usefixtures("outputs")
def test_the_other_stages_keep_their_resources(project: Path) -> None:
    """A third stage changes no logical id of the stack, and adds to its alarms over all functions."""
    resources = json.loads((project / "cdk.out/Gluebrake.template.json").read_text())["Resources"]
    assert golden("logical-ids.json")["default"]["Resources"].keys() - REMOVED["default"] <= resources.keys()
    (errors,) = (resource for name, resource in resources.items() if "FunctionErrors" in name)
    functions = [
        metric["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"]
        for metric in errors["Properties"]["Metrics"]
        if "MetricStat" in metric
    ]
    assert [name[:-8] for name in functions] == ["StopFunction", "ConfirmFunction", "NoopFunction"]


@pytest.mark.usefixtures("outputs")
def test_the_operators_command_shows_the_stage(project: Path, emulator: Emulator) -> None:
    """`gluebrake status` lists its queue and its mapping."""
    account = {
        "AWS_ENDPOINT_URL": emulator.aws.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": HOST,
    }
    shown = json.loads(_run(project, "-m", "gluebrake_cli", "status", "--json", **account))
    assert [queue["name"] for queue in shown["queues"]] == ["stop", "confirm", "noop", "dead letters"]
    assert {mapping["function"] for mapping in shown["mappings"]} == {"stop", "confirm", "noop"}
