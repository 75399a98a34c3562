"""The demo's scenario: the runs, the requests about them, and the expected results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Literal

RUNS: Final[Mapping[str, int]] = {
    "nightly-etl": 28,
    "hourly-report": 9,
    "ad-hoc": 4,
    "payroll": 1,
    "forecast": 1,
    "nightly-backfill": 2,
    "nightly-audit": 0,
}
"""The number of runs of each job that are started."""

FINISHED: Final = "finished"
NEVER_STOPS: Final = "never stops"
UNKNOWN: Final = "unknown"
UNKNOWN_ID: Final = f"jr_{'0' * 64}"

RUNAWAY: Final = "runs for ever"

SPECIAL_RUNS: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("nightly-etl", FINISHED): {"--seconds": "0"},
    ("ad-hoc", NEVER_STOPS): {"--refuse-to-stop": "true"},
    ("nightly-backfill", RUNAWAY): {"--started-minutes-ago": "780"},
    ("nightly-audit", RUNAWAY): {"--started-minutes-ago": "1200"},
}
"""Additional runs, and the arguments that they are started with."""

TAGS: Final[Mapping[str, Mapping[str, str]]] = {"nightly-audit": {"gluebrake:protect": "year-end"}}
"""The tags of the jobs that have some."""

POLICY: Final[Mapping[str, Any]] = {
    "name": "runaway",
    "schedule": "rate(1 hour)",
    "jobs": ["*"],
    "maxMinutes": 720,
    "maxRuns": 10,
    "mode": "stop",
    "reason": "ran longer than 12 hours",
}
"""The guardrail policy that finds the runs that no message names."""

CONFIG: Final[Mapping[str, Any]] = {
    "jobs": ["nightly-*", "hourly-*", "ad-hoc", "payroll"],
    "protectedJobs": ["payroll"],
    "batchSize": 1000,
    "batchWindowSeconds": 1,
    "retrySeconds": [1, 900],
    "confirmSeconds": [1, 1],
    "confirmDeadlineSeconds": 2,
    "policies": [POLICY],
}

RunLabel = int | str
"""A run of the scenario: its number within its job, or the name of an additional run."""

Ids = Mapping[tuple[str, RunLabel], str]


@dataclass(frozen=True, slots=True)
class Request:
    """One message. If `text` is set, it is the message's body instead of a stop request."""

    via: Literal["queue", "bus"]
    case: str
    job: str = ""
    runs: tuple[RunLabel, ...] = ()
    dry_run: bool = False
    text: str = ""

    def body(self, ids: Ids) -> str:
        """Return the message's body with Glue's run ids."""
        request = {
            "JobName": self.job,
            "JobRunIds": self.run_ids(ids),
            "Reason": "over budget",
            "RequestedBy": "guardrail/demo",
            "DryRun": self.dry_run,
        }
        return self.text or json.dumps(request)

    def run_ids(self, ids: Ids) -> list[str]:
        """Return the run ids that the message names, including repeated ones."""
        return [ids[self.job, run] for run in self.runs]


REQUESTS: Final = (
    Request("queue", "more runs than one call can stop", "nightly-etl", tuple(range(26))),
    Request("bus", "runs that another message names too", "nightly-etl", tuple(range(10, 28))),
    Request("bus", "a run named twice", "hourly-report", (*range(8), 0)),
    Request("queue", "the same message again", "hourly-report", (*range(8), 0)),
    *(Request("queue", "a message for each run", "ad-hoc", (run,)) for run in range(4)),
    Request("queue", "a run that never stops", "ad-hoc", (NEVER_STOPS,)),
    Request("queue", "a run that has finished", "nightly-etl", (FINISHED,)),
    Request("queue", "a run that Glue does not know", "nightly-etl", (UNKNOWN,)),
    Request("bus", "a dry run", "hourly-report", (8,), dry_run=True),
    Request("queue", "a protected job", "payroll", (0,)),
    Request("bus", "a job outside `jobs`", "forecast", (0,)),
    Request("queue", "not a stop request", text="please stop the nightly job, it costs too much"),
)

OUTCOMES: Final[Mapping[str, int]] = {
    "StopSubmitted": 42,
    "Stopped": 41,
    "StopTimedOut": 1,
    "AlreadyFinished": 1,
    "Retrying": 1,
    "NotFound": 1,
    "WouldStop": 1,
    "Protected": 1,
    "NotAllowed": 1,
    "InvalidRequest": 1,
    "Swept": 1,
}

UNCOUNTED: Final = "NotYetConfirmed"
"""Not compared: the number of polls until a run has stopped depends on timing."""

STATES: Final[Mapping[str, int]] = {"RUNNING": 6, "STOPPING": 1, "STOPPED": 41, "SUCCEEDED": 1}

SWEEP: Final[Mapping[str, int]] = {"matched": 2, "stoppable": 1, "stopRequested": 1}
"""What the policy's report counts: the job `nightly-audit` has the protect tag."""

DEAD_LETTERS: Final[Mapping[str, int]] = {
    "EntityNotFoundException": 1,
    "StopTimedOut": 1,
    "NotAllowed": 1,
    "InvalidRequest": 1,
}
"""The number of dead letters with each ERROR_CODE."""


def fewest_calls(ids: Ids) -> int:
    """Return the least possible number of BatchStopJobRun calls, with 25 runs each.

    The retry needs a call of its own, and so does the sweep, whose request is for another job.
    """
    requested: dict[str, set[str]] = {}
    for request in REQUESTS:
        if request.job not in ("", "payroll", "forecast") and not request.dry_run:
            requested.setdefault(request.job, set()).update(request.run_ids(ids))
    of_requests = sum(ceil(len(run_ids) / 25) for run_ids in requested.values())
    return of_requests + OUTCOMES["Retrying"] + SWEEP["stopRequested"]
