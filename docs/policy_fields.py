"""The fields of a guardrail policy and what they mean, for docs/policies.md and the JSON Schema."""

from __future__ import annotations

from typing import Final, NamedTuple

_EXPRESSIONS: Final = "https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html"


class Field(NamedTuple):
    """One or two fields of a policy, by their names in the configuration, and their meaning in Markdown."""

    names: tuple[str, ...]
    meaning: str


FIELDS: Final = (
    Field(
        ("name",),
        "lower-case letters, digits and hyphens. `RequestedBy` of its stop requests is `policy/NAME`",
    ),
    Field(
        ("jobs", "except"),
        "patterns of job names, narrowed by the configuration's `jobs` and `protectedJobs`",
    ),
    Field(("tags",), 'tags that a job must all have, such as `{"env": "dev"}`'),
    Field(("types",), "`glueetl` and `pythonshell` unless you name others: `gluestreaming`, `glueray`"),
    Field(("states",), "`STARTING`, `RUNNING` and `WAITING` unless you name fewer"),
    Field(("executionClass",), "`STANDARD` or `FLEX`. Default: both"),
    Field(("maxMinutes",), "the run is older, from its start to the due time"),
    Field(
        ("maxTimesUsual",),
        "the run is older than this many times the median of the job's successful runs, without retries."
        " Needs 10 of these",
    ),
    Field(
        ("maxDpuHours",),
        "the run's age times its DPUs is larger. With auto scaling this is an upper bound: the run is"
        " reported and never stopped",
    ),
    Field(
        ("warnAtPercent",),
        "report a run once at this part of its limits. Needs a limit and a `rate(…)`",
    ),
    Field(("mode",), "`report` (default) or `stop`"),
    Field(
        ("maxRuns",),
        "required: a policy that would stop more runs in a sweep stops none, and the alarm `PolicyOverCap`"
        " fires",
    ),
    Field(("reason",), "required: shown in the log, outcome events and notices"),
    Field(
        ("schedule", "timeZone"),
        f"`rate(…)` or `cron(…)` of [EventBridge Scheduler]({_EXPRESSIONS}). Default: UTC",
    ),
    Field(
        ("onSignal",),
        "`budgets`, `costalerts` or ARNs of roles: who can publish to the policy's topic",
    ),
)
