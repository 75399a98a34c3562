"""The rules over several fields of a guardrail policy, and over all policies. Synthesis checks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from gluebrake.policies import Policy
from infra import schedules

_SHORTEST_STOPPING_PERIOD: Final = timedelta(minutes=15)


class PolicyRule(NamedTuple):
    """A condition over the fields of a policy, and the field and the message of its error."""

    field: str
    holds: Callable[[Policy], bool]
    message: str


def _warns_before(policy: Policy) -> bool:
    """Return whether at least one sweep is between warning and limit. Only `maxMinutes` can be checked."""
    if policy.warn_at_percent is None or policy.max_minutes is None or policy.period is None:
        return True
    return timedelta(minutes=policy.max_minutes) * (100 - policy.warn_at_percent) / 100 >= policy.period


RULES: Final[Sequence[PolicyRule]] = (
    PolicyRule(
        "schedule",
        lambda policy: policy.schedule is not None or bool(policy.on_signal),
        "missing; a policy needs a schedule, or onSignal, or both",
    ),
    PolicyRule(
        "timeZone",
        lambda policy: schedules.is_time_zone(policy.time_zone),
        'is no time zone; use a name such as "Europe/Berlin" or "UTC"',
    ),
    PolicyRule(
        "schedule",
        lambda policy: not _stops(policy) or (policy.period or timedelta.max) >= _SHORTEST_STOPPING_PERIOD,
        "a policy that stops runs may have a rate of 15 minutes or more",
    ),
    PolicyRule(
        "mode",
        lambda policy: not _stops(policy) or policy.has_limit or _is_bounded(policy),
        '"stop" without maxMinutes, maxTimesUsual or maxDpuHours would stop every run for ever; it needs a'
        " limit, or a cron schedule whose hours are plain hours, lists or ranges and not all 24, or onSignal"
        " alone",
    ),
    PolicyRule(
        "warnAtPercent",
        lambda policy: policy.warn_at_percent is None or policy.has_limit,
        "needs maxMinutes, maxTimesUsual or maxDpuHours",
    ),
    PolicyRule(
        "warnAtPercent",
        lambda policy: policy.warn_at_percent is None or policy.period is not None,
        "needs a rate(…) schedule: a warning belongs to the period before the sweep",
    ),
    PolicyRule(
        "warnAtPercent",
        _warns_before,
        "the warning could not come before the stop; lower it, or shorten the rate",
    ),
)


def errors(policies: Sequence[Policy]) -> Iterator[str]:
    """Yield every mistake of every policy, with the field's path."""
    names = [policy.name for policy in policies]
    for index, policy in enumerate(policies):
        path = f"policies[{index}]"
        if policy.name in names[:index]:
            yield f"{path}.name: {policy.name!r} is the name of another policy"
        if policy.schedule is not None and (mistake := schedules.mistake(policy.schedule)):
            yield f"{path}.schedule: {mistake}"
        for rule in RULES:
            if not rule.holds(policy):
                yield f"{path}.{rule.field}: {rule.message}"


def _stops(policy: Policy) -> bool:
    return policy.mode == "stop"


def _is_bounded(policy: Policy) -> bool:
    """Return whether a policy is not due at some hours of the day, or is due on a signal only."""
    return policy.schedule is None or schedules.is_window(policy.schedule)
