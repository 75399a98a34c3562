"""What a template may hold and ministack cannot make: it is taken, shown where it can be, and does nothing.

An alarm over several metrics stays in INSUFFICIENT_DATA, as all of ours do, since nothing reads the embedded
metrics in the log. A saved query is nowhere to be found.
"""

# ruff: noqa: SLF001 - ministack has no public way in; the shim pins its version and tests/local proves each patch

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Record = Callable[[str, Properties], dict[str, Any]]


def install() -> None:
    """Have CloudFormation take both."""
    provisioners._cw_metric_alarm_record = _also_of_several(provisioners._cw_metric_alarm_record)
    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {"create": _nothing, "delete": _forgotten}


def _also_of_several(record: Record) -> Record:
    def recorded(name: str, properties: Properties) -> dict[str, Any]:
        if not (metrics := properties.get("Metrics")):
            return record(name, properties)
        of_one = {key: value for key, value in properties.items() if key != "Metrics"}
        # ministack evaluates no alarm that names no metric.
        several = {"MetricName": "", "Namespace": "", "Metrics": metrics}
        return record(name, of_one | {"MetricName": "several", "Namespace": "several"}) | several

    return recorded


def _nothing(logical_id: str, _properties: Properties, stack_name: str) -> tuple[str, Properties]:
    return f"{stack_name}-{logical_id}", {}


def _forgotten(_physical_id: str, _properties: Properties) -> None:
    """Do what is to be done about a thing that was not made."""
