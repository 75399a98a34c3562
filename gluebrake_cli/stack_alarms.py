"""The CloudWatch alarms of a stack, with the names that docs/operations.md gives them. Loads no boto3."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from gluebrake_cli.health import Alarm

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackResourceSummaryTypeDef
    from mypy_boto3_cloudwatch import CloudWatchClient

_KINDS: Final = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
_NAMES_OF_A_CALL: Final = 100

# A logical id of the CDK ends in eight digits of a hash:
# https://docs.aws.amazon.com/cdk/v2/guide/identifiers.html
_LOGICAL_ID: Final = re.compile(r"Observability(\w+)[0-9A-F]{8}")


def title(logical_id: str) -> str:
    """Return the name of an alarm in the documentation, which is a part of its logical id."""
    found = _LOGICAL_ID.fullmatch(logical_id)
    return found[1] if found else logical_id


def read(client: CloudWatchClient, resources: Iterable[StackResourceSummaryTypeDef]) -> list[Alarm]:
    """Return the alarms among the resources of a stack."""
    titles = {
        resource["PhysicalResourceId"]: title(resource["LogicalResourceId"])
        for resource in resources
        if resource["ResourceType"] in _KINDS
    }
    starts = range(0, len(titles), _NAMES_OF_A_CALL)
    return [alarm for start in starts for alarm in _alarms(client, titles, start)]


def _alarms(client: CloudWatchClient, titles: Mapping[str, str], start: int) -> Iterator[Alarm]:
    answer = client.describe_alarms(
        AlarmNames=[*titles][start : start + _NAMES_OF_A_CALL],
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        MaxRecords=_NAMES_OF_A_CALL,
    )
    for alarm in (*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])):
        name = alarm["AlarmName"]
        yield Alarm(name, alarm["StateValue"], alarm.get("AlarmDescription", ""), titles[name])
