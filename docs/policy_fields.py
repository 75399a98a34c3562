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
        "up to 64 lower-case letters, digits and hyphens. `RequestedBy` of its stop requests is `policy/NAME`",
    ),
    Field(
        ("jobs", "except"),
        "patterns of job names. The configuration's `jobs` and `protectedJobs` narrow them further",
    ),
    Field(("tags",), 'tags that a job must all have, such as `{"env": "dev"}`'),
    Field(("types",), "`glueetl` and `pythonshell` unless you name others: `gluestreaming`, `glueray`"),
    Field(("states",), "`STARTING`, `RUNNING` and `WAITING` unless you name fewer"),
    Field(("executionClass",), "`STANDARD` or `FLEX`; both unless you name one"),
    Field(("maxMinutes",), "the run is older: counted from its start to the due time"),
    Field(
        ("maxTimesUsual",),
        "the run is older than this many times the job's usual run: the median of its successful runs, without"
        " retries. A job with fewer than 10 of them is not matched, and the report counts it",
    ),
    Field(
        ("maxDpuHours",),
        "the run may have used more: its age times its DPUs. Auto scaling makes this an upper bound, so a run"
        " with auto scaling is reported and never stopped",
    ),
    Field(
        ("warnAtPercent",),
        "report a run once when it reaches this part of the limits. Needs a limit and a `rate(…)`",
    ),
    Field(("mode",), "`report` (default) or `stop`"),
    Field(
        ("maxRuns",),
        "required: if the policy would stop more runs in one sweep, it stops none, and the alarm"
        " `PolicyOverCap` fires",
    ),
    Field(("reason",), "required: why, for the log, the outcome events and the people"),
    Field(
        ("schedule", "timeZone"),
        f"`rate(…)` or `cron(…)` of [EventBridge Scheduler]({_EXPRESSIONS}), in UTC unless you name a zone",
    ),
    Field(
        ("onSignal",),
        "`budgets`, `costalerts`, or ARNs of roles: a topic of the policy's own, which they can publish to",
    ),
)
