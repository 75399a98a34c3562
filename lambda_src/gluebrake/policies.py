"""Guardrail policies: which active runs are over a limit, and whether SWEEP requests to stop them.

A policy is a part of the configuration. SWEEP reads the deployed policies from `POLICIES_FILE` in its package.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum, unique
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from gluebrake.contract import ActiveState, Note

POLICIES_FILE: Final = "policies.json"

TEMPLATE_METADATA: Final = "Gluebrake::Policies"
"""The key of the template's metadata with the deployed policies, which the operator's command reads."""

JobType = Literal["glueetl", "pythonshell", "gluestreaming", "glueray"]
"""The `Command.Name` of a job."""

STREAMING: Final = "gluestreaming"

_PERIODS: Final = {"minute": 1, "hour": 60, "day": 1440}
# `infra.schedules` accepts the same rates. More digits would not fit into a timedelta.
_RATE: Final = re.compile(r"rate\(([1-9][0-9]{0,4}) (minute|hour|day)s?\)")
_DAYS_15: Final = 21_600

# The descriptions are part of the error messages and of the JSON Schema.
_Pattern = Annotated[
    str, Meta(min_length=1, max_length=255, description="a job name or a pattern, 1 to 255 characters")
]
_Name = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9-]{1,64}\Z", description="a name of 1 to 64 lower-case letters, digits and hyphens"),
]
_Jobs = Annotated[
    tuple[_Pattern, ...],
    Meta(min_length=1, description="a list of one or more jobs"),
]
_Except = Annotated[
    tuple[_Pattern, ...],
    Meta(description="a list of jobs"),
]
_Tags = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=128)], Annotated[str, Meta(max_length=256)]],
    Meta(max_length=50, description="an object of tag keys and values, which a job must all have"),
]
_Types = Annotated[
    tuple[Annotated[JobType, Meta(description='"glueetl", "pythonshell", "gluestreaming" or "glueray"')], ...],
    Meta(min_length=1, description='a list of "glueetl", "pythonshell", "gluestreaming", "glueray"'),
]
_States = Annotated[
    tuple[Annotated[ActiveState, Meta(description='"STARTING", "RUNNING" or "WAITING"')], ...],
    Meta(min_length=1, description='a list of "STARTING", "RUNNING", "WAITING"'),
]
_ExecutionClass = Annotated[
    Literal["STANDARD", "FLEX"] | None, Meta(description='"STANDARD" or "FLEX", or null for both')
]
_MaxMinutes = Annotated[
    Annotated[int, Meta(ge=1, le=_DAYS_15)] | None,
    Meta(description=f"a whole number of minutes from 1 to {_DAYS_15}"),
]
_MaxTimesUsual = Annotated[
    Annotated[float, Meta(gt=1, le=1000)] | None, Meta(description="a number over 1, at most 1000")
]
_MaxDpuHours = Annotated[
    Annotated[float, Meta(gt=0, le=1_000_000)] | None, Meta(description="a number over 0, at most 1000000")
]
_WarnAtPercent = Annotated[
    Annotated[int, Meta(ge=1, le=99)] | None, Meta(description="a whole number from 1 to 99")
]
_Mode = Annotated[Literal["report", "stop"], Meta(description='"report" or "stop"')]
_MaxRuns = Annotated[int, Meta(ge=1, le=10_000, description="a whole number from 1 to 10000")]
# STOP refuses a stop request whose reason has other characters.
_Reason = Annotated[
    Note,
    Meta(
        pattern=r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]*\Z",
        description="a text of 1 to 1024 characters without control characters",
    ),
]
_Schedule = Annotated[
    Annotated[str, Meta(min_length=1, max_length=256)] | None,
    Meta(description='"rate(…)" or "cron(…)", as in EventBridge Scheduler'),
]
_TimeZone = Annotated[str, Meta(description='a time zone such as "Europe/Berlin"')]
_OnSignal = Annotated[
    tuple[
        Annotated[
            str,
            Meta(
                pattern=r"^(budgets|costalerts|arn:[^:]+:iam::[0-9]{12}:role/[\w+=,.@/-]+)\Z",
                description='"budgets", "costalerts" or the ARN of a role',
            ),
        ],
        ...,
    ],
    Meta(description='a list of "budgets", "costalerts" and ARNs of roles'),
]


def rate_period(expression: str) -> timedelta | None:
    """Return the period of a schedule expression `rate(…)`, None for every other text."""
    found = _RATE.fullmatch(expression)
    return timedelta(minutes=int(found[1]) * _PERIODS[found[2]]) if found else None


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A guardrail policy. It matches the runs that meet every condition and exceed every limit."""

    name: _Name
    jobs: _Jobs
    exclude: _Except = field(default=(), name="except")
    tags: _Tags = {}
    types: _Types = ("glueetl", "pythonshell")
    states: _States = ("STARTING", "RUNNING", "WAITING")
    execution_class: _ExecutionClass = None
    max_minutes: _MaxMinutes = None
    max_times_usual: _MaxTimesUsual = None
    max_dpu_hours: _MaxDpuHours = None
    warn_at_percent: _WarnAtPercent = None
    mode: _Mode = "report"
    max_runs: _MaxRuns
    reason: _Reason
    schedule: _Schedule = None
    time_zone: _TimeZone = "UTC"
    on_signal: _OnSignal = ()

    @property
    def has_limit(self) -> bool:
        """Whether the policy has a limit that a run must exceed. Without a limit, every active run matches."""
        return (self.max_minutes, self.max_times_usual, self.max_dpu_hours) != (None, None, None)

    @property
    def period(self) -> timedelta | None:
        """The time between two sweeps of a `rate(…)` schedule, None for every other schedule."""
        return rate_period(self.schedule or "")

    @property
    def hash(self) -> str:
        """Twelve characters that change with any field of the policy."""
        return sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:12]


@unique
class Trigger(StrEnum):
    """What made a policy due."""

    SCHEDULE = "schedule"
    SIGNAL = "signal"
    COMMAND = "command"


class DuePolicy(Struct, frozen=True):
    """A policy, and the due time at which the ages of runs are counted. No run that started later matches."""

    policy: Policy
    due: datetime
    trigger: Trigger


class DueRequest(Struct, frozen=True):
    """The request in a message to SWEEP: names of policies, their due time, and what triggered the message."""

    policies: tuple[str, ...]
    due: datetime
    trigger: Trigger


def decode(content: bytes) -> tuple[Policy, ...]:
    """Decode the policies of a `POLICIES_FILE`. Raise msgspec.ValidationError for invalid ones."""
    return msgspec.json.decode(content, type=tuple[Policy, ...])


def encode(policies: tuple[Policy, ...]) -> bytes:
    """Encode policies for a `POLICIES_FILE`."""
    return msgspec.json.encode(policies, order="deterministic") + b"\n"
