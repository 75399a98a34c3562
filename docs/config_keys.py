"""The configuration keys and what they mean, for docs/configuration.md."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

import msgspec

from infra.config import Config

_DEFAULTS: Final[dict[str, Any]] = msgspec.to_builtins(Config())
_ABSENT: Final = "none"


class Key(NamedTuple):
    """One or more keys by their names, and their meaning in Markdown. A default in words replaces the value."""

    names: tuple[str, ...]
    meaning: str
    default: str = ""

    @property
    def shown_default(self) -> str:
        """The defaults of the keys, as they are written in a configuration."""
        return self.default or ", ".join(_shown(_DEFAULTS.get(name)) for name in self.names)


def _shown(value: Any) -> str:
    return _ABSENT if value is None else f"`{json.dumps(value)}`"


KEYS: Final = (
    Key(("jobs",), "jobs whose runs may be stopped. `*` matches any text, and case counts"),
    Key(("protectedJobs",), "jobs whose runs are never stopped"),
    Key(("protectTag",), "the tag that protects a job. Give it a value, such as `true`"),
    Key(("maxRunsPerRequest",), "a request for more runs stops none"),
    Key(("observe",), "`true`: STOP only [reports what it would stop](operations.md#the-first-week-observe)"),
    Key(("policies",), "[guardrail policies](policies.md)"),
    Key(("stopOnAlarms",), "prefixes of the names of [alarms that stop runs](signals.md)"),
    Key(("alarmAccounts",), "monitoring accounts whose alarms stop runs here, in quotes"),
    Key(("alarmNamespaces",), "namespaces, besides `Glue`, of metrics that may name a job or run"),
    Key(("stopOnRunStatus",), "jobs whose runs are stopped when they exceed their `NotifyDelayAfter`"),
    Key(("alarmEmail",), "the address for alarms of the stack. It must confirm"),
    Key(("notifyEmail",), "the address for [notices](notices.md). It must confirm"),
    Key(("notifyOn",), "kinds of notices. `[]` means none"),
    Key(("outcomeEvents",), "publish [outcome events](outcomes.md)"),
    Key(("pricePerDpuHour",), "USD, for estimates. An object can have some of the fields"),
    Key(("canary",), '[the canary](operations.md#the-canary): `"rate(1 hour)"` to `"rate(4 days)"`'),
    Key(
        ("dashboard", "tracing"),
        "a dashboard and its metrics, and X-Ray. Both [cost money](operations.md#what-it-costs)",
    ),
    Key(("logRetentionDays",), "how long the functions' logs are kept"),
    Key(
        ("batchSize", "batchWindowSeconds"),
        "the low-latency profile. The [high-volume profile](performance.md) is `1000`, `5`. With any window,"
        " Lambda may wait up to 20 seconds",
    ),
    Key(("maxConcurrency",), "concurrent invocations of each function"),
    Key(("callsAtOnce",), "concurrent calls in an invocation"),
    Key(
        ("maxAttempts", "retrySeconds"),
        "attempts to stop a run, the first delay and the longest. By default they take 5 to 11 minutes",
    ),
    Key(("confirmSeconds",), "the delay until CONFIRM polls a run, and the longest between polls"),
    Key(("confirmDeadlineSeconds",), "a run that is active for longer becomes a dead letter"),
    Key(("memoryMb", "architecture"), 'of the functions. Or `"x86_64"`'),
    Key(
        ("python",),
        'of the functions, such as `"3.13"`. If it can be neither found nor downloaded, cold starts take more'
        " than twice as long",
        default="the Python that deploys",
    ),
    Key(("environments",), "[accounts and Regions](fleet.md), each with its own stack"),
    Key(("centralBusArn",), "the bus that [collects events](fleet.md) of all of them"),
    Key(("target",), '`"local"` for the [emulator](emulator.md)'),
)
"""Every key, those of a first deployment first."""
