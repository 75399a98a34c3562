"""Mutations of events: members removed, renamed, nested or of another type, and text cut or repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

Place = tuple[Any, Any]
"""A dict or a list, and the key or index of one of its members."""

# Values with a meaning in some event, so that a mutation can turn one event into another.
WORDS: Final = (
    *("ALARM", "OK", "INSUFFICIENT_DATA", "RUNNING", "STARTING", "STOPPING", "STOPPED", "ALL", "Glue", ""),
    *("AWS/Glue", "aws.glue", "aws.cloudwatch", "Notification", "SubscriptionConfirmation", "999900001111"),
    *("Glue Job Run Status", "Glue Job State Change", "Glue Job Run Stop Requested"),
    *("CloudWatch Alarm State Change", "AWS API Call via CloudTrail", "0001-01-01T00:00:00Z", "jr_other"),
    *("CloudWatch Alarm Contributor State Change", "Other", "Stopped", "123456789012", "m1 / 60000"),
    'SELECT SUM("glue.x") FROM Glue GROUP BY JobName, JobRunId',
    'SELECT SUM("Stopped") FROM Glue GROUP BY JobName, JobRunId',
)
NAMES: Final = (
    *("JobName", "JobRunIds", "JobRunId", "Select", "DryRun", "jobName", "jobRunId", "state", "value", "name"),
    *(
        "detail",
        "detail-type",
        "source",
        "account",
        "region",
        "alarmData",
        "NewStateValue",
        "TopicArn",
        "Message",
    ),
    *(
        "requestContext",
        "Records",
        "anomalyId",
        "metrics",
        "metricStat",
        "dimensions",
        "namespace",
        "accountId",
    ),
    *("muteDetail", "actionsSuppressedBy", "alarmContributor", "attributes", "expression", "AWS.AccountId"),
    *("AlarmContributorAttributes", "AlarmContributorId", "AWSAccountId", "AccountId", "MetricName"),
)
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 2.5, 1e308, 10**20, [], {}, [[]], {"": None}, "\0", "a\nb", "é" * 300),
    *({"JobName": "x"}, ["jr_other"], [None], {"value": "ALARM"}),
)


LARGE: Final = 10_000
"""A larger value is not enlarged again, since a message could not hold the result."""


def mutated(event: Any, random: Random) -> Any:
    """Return the event with one to four changes, also in the message that a topic wraps."""
    copy = _copy(event)
    for _ in range(random.choice((1, 1, 2, 3, 4))):
        _mutate(copy, random)
    return copy


def _mutate(event: Any, random: Random) -> None:
    if random.random() < 0.7 and (inner := _published(event)):
        _mutate(inner, random)
        event["Message"] = json.dumps(inner)
        return
    places = list(_places(event))
    if places:
        random.choice(CHANGES)(places, random.choice(places), random)


def _published(event: Any) -> Any:
    try:
        return json.loads(event["Message"])
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: Any) -> Iterator[Place]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield value, key
        yield from _places(member)


def _drop(_places: list[Place], at: Place, _random: Random) -> None:
    holder, key = at
    del holder[key]


def _retype(_places: list[Place], at: Place, random: Random) -> None:
    holder, key = at
    holder[key] = _copy(random.choice(VALUES))


def _reword(_places: list[Place], at: Place, random: Random) -> None:
    holder, key = at
    holder[key] = random.choice(WORDS)


def _nest(_places: list[Place], at: Place, random: Random) -> None:
    holder, key = at
    value = holder[key]
    holder[key] = random.choice(([value], {"value": value}, [value, value], json.dumps(value)))


def _rename(_places: list[Place], at: Place, random: Random) -> None:
    holder, key = at
    value = holder[key]
    if isinstance(holder, dict):
        del holder[key]
        holder[random.choice((*NAMES, key.swapcase(), key + " ", key[1:]))] = value


def _double(_places: list[Place], at: Place, random: Random) -> None:
    holder, key = at
    if isinstance(holder, list):
        holder.append(_copy(holder[key]))
    else:
        holder[random.choice(NAMES)] = _copy(holder[key])


def _enlarge(_places: list[Place], at: Place, random: Random) -> None:
    holder, key = at
    if len(str(holder[key])) > LARGE:
        return
    holder[key] = random.choice((str(holder[key]) * 200, [holder[key]] * 50, 9**200, "\U0001f6d1" * 2000))


def _swap(places: list[Place], at: Place, random: Random) -> None:
    (holder, key), (other_holder, other_key) = at, random.choice(places)
    holder[key], other_holder[other_key] = _copy(other_holder[other_key]), _copy(holder[key])


Change = Callable[[list[Place], Place, Random], None]
CHANGES: Final[tuple[Change, ...]] = (_drop, _retype, _reword, _nest, _rename, _double, _enlarge, _swap)


def garbled(text: str, random: Random) -> str:
    """Return the text with a piece removed, repeated or inserted."""
    start, end = sorted(random.sample(range(len(text) + 1), 2))
    end = min(end, start + random.choice((1, 2, 8, 64)))
    with_marker = '{"NewStateValue": "OK", "JobName": "x", ' + text[1:]
    return random.choice(
        (
            text[:start],
            text[:start] + text[end:],
            text[:end] + text[start:],
            text[:start]
            + random.choice(('"', "\\", "\\ud800", "{", "]", ",", ":", "\0", "\ufeff"))
            + text[start:],
            with_marker,
        )
    )
