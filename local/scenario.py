"""The demo's scenario: the runs, and the requests about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
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

WORKERS: Final[Mapping[str, int]] = {
    "nightly-etl": 10,
    "hourly-report": 2,
    "ad-hoc": 2,
    "payroll": 2,
    "forecast": 5,
    "nightly-backfill": 10,
    "nightly-audit": 10,
}
"""The number of workers of each job's runs. A worker of type G.1X is one data processing unit (DPU)."""

FINISHED: Final = "finished"
NEVER_STOPS: Final = "never stops"
UNKNOWN: Final = "unknown"
UNKNOWN_ID: Final = f"jr_{'0' * 64}"
NOT_A_REQUEST: Final = "stop my job"

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
    "reason": "older than 12 hours",
}
"""The guardrail policy, which finds runs that no message names."""

CONFIG: Final[Mapping[str, Any]] = {
    "jobs": ["nightly-*", "hourly-*", "ad-hoc", "payroll"],
    "protectedJobs": ["payroll"],
    "stopOnAlarms": ["ad-hoc-"],
    "batchSize": 1000,
    "batchWindowSeconds": 1,
    "retrySeconds": [1, 900],
    "confirmSeconds": [1, 1],
    "confirmDeadlineSeconds": 2,
    "policies": [POLICY],
}

RunLabel = int | str
"""A run of the scenario: its number within its job, or the name of an additional run."""

Way = Literal["queue", "bus", "alarm", "topic"]
"""How a message is sent."""

Ids = Mapping[tuple[str, RunLabel], str]


@dataclass(frozen=True, slots=True)
class Request:
    """One message, and the outcome of a request that stops nothing.

    If `text` is set, it is the message's body instead of a stop request.
    """

    via: Way
    case: str
    job: str = ""
    runs: tuple[RunLabel, ...] = ()
    dry_run: bool = False
    text: str = ""
    not_stopped: str = ""

    @property
    def label(self) -> str:
        """The job, or the text of a message that is not a stop request."""
        return self.job or self.text

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
    Request("queue", "a message for each run", "ad-hoc", (0,)),
    Request("bus", "a message for each run", "ad-hoc", (1,)),
    Request("alarm", "an alarm on a run's metric", "ad-hoc", (2,)),
    Request("topic", "a notification", "ad-hoc", (3,)),
    Request("queue", "a protected job", "payroll", (0,), not_stopped="Protected"),
    Request("bus", "a job outside `jobs`", "forecast", (0,), not_stopped="NotAllowed"),
    Request("queue", "a run that has finished", "nightly-etl", (FINISHED,), not_stopped="AlreadyFinished"),
    Request("queue", "a run that Glue does not know", "nightly-etl", (UNKNOWN,), not_stopped="NotFound"),
    Request("queue", "a run that never stops", "ad-hoc", (NEVER_STOPS,), not_stopped="StopTimedOut"),
    Request("bus", "a dry run", "hourly-report", (8,), dry_run=True, not_stopped="WouldStop"),
    Request("queue", "not a stop request", text=NOT_A_REQUEST, not_stopped="InvalidRequest"),
)
