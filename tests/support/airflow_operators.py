"""Stand-ins for Airflow's operators, because Airflow itself is a large dependency.

Each takes the parameters of an operator of apache-airflow-providers-amazon 9.39.0, and makes the same call:
https://airflow.apache.org/docs/apache-airflow-providers-amazon/9.39.0/operators/index.html
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest

from local.aws import Aws

PACKAGE: Final = "airflow.providers.amazon.aws.operators"
_RUN_ID: Final = re.compile(r"\{\{ ti\.xcom_pull\(task_ids='load', key='glue_job_run_id'\) \}\}")


class Operator(NamedTuple):
    """A task of a DAG: its id, its call, and the parameters of the call before Airflow renders them."""

    task_id: str
    call: Callable[..., Any]
    parameters: Mapping[str, Any]

    def execute(self, aws: Aws, run_id: str) -> None:
        """Make the call, with `run_id` as what the task `load` stored."""
        text = _RUN_ID.sub(run_id, json.dumps(self.parameters)).replace("{{ dag.dag_id }}", "nightly")
        assert "{{" not in text
        self.call(aws, **json.loads(text))


def _send_message(aws: Aws, *, sqs_queue: str, message_content: str) -> None:
    aws.sqs.send_message(QueueUrl=sqs_queue, MessageBody=message_content)


def _put_events(aws: Aws, *, entries: list[Any]) -> None:
    assert aws.events.put_events(Entries=entries)["FailedEntryCount"] == 0


def _publish(aws: Aws, *, target_arn: str, message: str) -> None:
    # The operator sends one message for all protocols, in the form for a message for each protocol.
    aws.sns.publish(TargetArn=target_arn, MessageStructure="json", Message=json.dumps({"default": message}))


def _invoke(aws: Aws, *, function_name: str, payload: str) -> None:
    assert "FunctionError" not in aws.lambda_.invoke(FunctionName=function_name, Payload=payload)


_CALLS: Final[Mapping[str, Mapping[str, Callable[..., None]]]] = {
    "eventbridge": {"EventBridgePutEventsOperator": _put_events},
    "lambda_function": {"LambdaInvokeFunctionOperator": _invoke},
    "sns": {"SnsPublishOperator": _publish},
    "sqs": {"SqsPublishOperator": _send_message},
}


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a DAG import the stand-ins from the modules of Airflow."""
    parts = PACKAGE.split(".")
    for number in range(1, len(parts) + 1):
        name = ".".join(parts[:number])
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for module_name, calls in _CALLS.items():
        module = ModuleType(f"{PACKAGE}.{module_name}")
        module.__dict__.update({name: _constructor(call) for name, call in calls.items()})
        monkeypatch.setitem(sys.modules, module.__name__, module)


def _constructor(call: Callable[..., Any]) -> Callable[..., Operator]:
    return lambda *, task_id, **parameters: Operator(task_id, call, parameters)
