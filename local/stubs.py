"""Stubs of the template's resource types that ministack does not support.

A metric math alarm exists and stays in INSUFFICIENT_DATA. Gluebrake's other alarms also stay in this state,
because the emulator does not read the embedded metrics in the logs. A saved query is accepted and then ignored.

This module also sets the RecursiveLoop of a function, which ministack ignores.
"""

# ruff: noqa: SLF001 - ministack has no public hooks; the shim pins its version and tests/local covers each patch

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
CreateAlarm = Callable[[str, Properties], dict[str, Any]]
CreateFunction = Callable[[str, Properties, str], tuple[str, Properties]]


def install() -> None:
    """Let CloudFormation accept metric math alarms and saved queries, and set a function's RecursiveLoop."""
    provisioners._cw_metric_alarm_record = _with_metric_math(provisioners._cw_metric_alarm_record)
    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
        "create": _create_nothing,
        "delete": _delete_nothing,
    }
    functions = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    functions["create"] = _with_recursive_loop(functions["create"])


def _with_metric_math(create: CreateAlarm) -> CreateAlarm:
    def create_alarm(name: str, properties: Properties) -> dict[str, Any]:
        if not (metrics := properties.get("Metrics")):
            return create(name, properties)
        rest = {key: value for key, value in properties.items() if key != "Metrics"}
        # ministack requires a metric's name to create an alarm, and evaluates no alarm without one.
        no_single_metric = {"MetricName": "", "Namespace": "", "Metrics": metrics}
        return create(name, rest | {"MetricName": "several", "Namespace": "several"}) | no_single_metric

    return create_alarm


def _with_recursive_loop(create: CreateFunction) -> CreateFunction:
    def create_function(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, Properties]:
        name, attributes = create(logical_id, properties, stack_name)
        loop = {"RecursiveLoop": properties.get("RecursiveLoop", "Terminate")}
        lambda_svc._put_function_recursion_config(name, loop)
        return name, attributes

    return create_function


def _create_nothing(logical_id: str, _properties: Properties, stack_name: str) -> tuple[str, Properties]:
    return f"{stack_name}-{logical_id}", {}


def _delete_nothing(_physical_id: str, _properties: Properties) -> None:
    """Do nothing to delete a saved query, because it was never created."""
