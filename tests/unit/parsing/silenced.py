"""Alarms that must stop no run in any mutation: muted alarms, and alarms or metrics of other accounts."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from gluebrake.model import ParsedRequest
from tests.support.builders import AWS_ENVIRONMENT, Ignored, Invalid, parse_one
from tests.support.fakes.aws_server import ACCOUNT
from tests.unit.parsing import events
from tests.unit.parsing.events import ELAPSED_TIME, Json, message
from tests.unit.parsing.mutations import mutated

ELSEWHERE: Final = events.ELSEWHERE["account"]
UNKNOWN: Final = "888800002222"
TRUSTING: Final = replace(AWS_ENVIRONMENT, alarm_accounts=(ELSEWHERE,))
"""An environment in which alarms of one more account are obeyed, and those of `UNKNOWN` are not."""


def _moved(event: Json, old: str, new: str) -> Json:
    """Return the event with a text replaced everywhere."""
    moved: Json = json.loads(json.dumps(event).replace(old, new))
    return moved


def _is_muted(event: Any) -> bool:
    holders = (event.get("detail"), event.get("alarmData")) if isinstance(event, dict) else ()
    return any(isinstance(holder, dict) and holder.get("muteDetail") is not None for holder in holders)


def _is_of_unknown_account(event: Any) -> bool:
    return isinstance(event, dict) and UNKNOWN in {str(event.get("account")), str(event.get("accountId"))}


def _without(text: str) -> Callable[[Any], bool]:
    return lambda event: text not in json.dumps(event)


# The alarms, and whether an event that was made of one by mutations is still silenced.
_BY_MUTING: Final = {
    "muted alarm": events.alarm_event(events.alarm_data(muteDetail=events.MUTED)),
    "muted action": events.alarm_action(events.alarm_data(muteDetail=events.MUTED)),
    "muted contributor": events.contributor_event(events.contributor_data(muteDetail=events.MUTED)),
    "muted contributor's action": events.alarm_action(events.contributor_data(muteDetail=events.MUTED)),
}
_ALARMS: Final = {
    "alarm": events.alarm_event(),
    "action": events.alarm_action(),
    "notification": events.notification(events.alarm_notification()),
    "contributor": events.contributor_event(),
    "contributor's action": events.alarm_action(events.contributor_data()),
    "contributor's notification": events.contributor_notification(),
}
_ON_METRIC_HERE: Final = events.alarm_data(events.metric(accountId=ACCOUNT))
_CONTRIBUTOR_HERE: Final = events.contributor_data(events.attributes(**{"AWS.AccountId": ACCOUNT}))
_BY_DISTRUST: Final = {
    "alarm": events.alarm_event(_ON_METRIC_HERE, account=UNKNOWN),
    "action": events.alarm_action(_ON_METRIC_HERE, accountId=UNKNOWN),
    "contributor": events.contributor_event(_CONTRIBUTOR_HERE, account=UNKNOWN),
}
SILENCED: Final[dict[str, tuple[Json, Callable[[Any], bool]]]] = {
    **{name: (event, _is_muted) for name, event in _BY_MUTING.items()},
    **{
        f"{name} of an unknown account": (event, _is_of_unknown_account) for name, event in _BY_DISTRUST.items()
    },
    **{
        f"{name} of another account": (_moved(event, ACCOUNT, ELSEWHERE), _without(ACCOUNT))
        for name, event in _ALARMS.items()
    },
    **{
        f"{name} on another's metric": (_moved(event, ELAPSED_TIME, "Stopped"), _without("glue."))
        for name, event in _ALARMS.items()
    },
}

# With these an event may ask for a stop without an alarm: as a stop request, or as Glue's own event.
_OTHER_REQUESTS: Final = ("JobRunIds", "Select", "Glue Job Run Status")


def parse_silenced(name: str, random: Random) -> ParsedRequest | Ignored | Invalid | None:
    """Parse a mutated event of a silenced alarm. Return None if the mutations removed what silences it."""
    alarm, is_silenced = SILENCED[name]
    event = mutated(alarm, random)
    text = json.dumps(event)
    if not is_silenced(event) or any(word in text for word in _OTHER_REQUESTS):
        return None
    parsed = parse_one(message(text), TRUSTING)
    assert not isinstance(parsed, ParsedRequest), text
    return parsed
