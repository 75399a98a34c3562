"""The demonstration's story: which runs there are, what is asked, and what has to become of it."""

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
}
"""How many runs of each job there are when the story starts."""

FINISHED: Final = "finished"
STUBBORN: Final = "stubborn"
UNKNOWN: Final = "unknown"
UNKNOWN_ID: Final = f"jr_{'0' * 64}"

SPECIAL_RUNS: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("nightly-etl", FINISHED): {"--seconds": "0"},
    ("ad-hoc", STUBBORN): {"--refuse-to-stop": "true"},
}
"""The runs beside those, and what they are started with."""

CONFIG: Final[Mapping[str, Any]] = {
    "jobs": ["nightly-*", "hourly-*", "ad-hoc", "payroll"],
    "protectedJobs": ["payroll"],
    "batchSize": 1000,
    "batchWindowSeconds": 1,
    "retrySeconds": [1, 900],
    "confirmSeconds": [1, 1],
    "confirmDeadlineSeconds": 2,
}

Label = int | str
"""A run in the story: the n-th of its job, or one by name."""

Ids = Mapping[tuple[str, Label], str]


@dataclass(frozen=True, slots=True)
class Request:
    """One message. `text` is sent instead of a stop request, as it is."""

    via: Literal["queue", "bus"]
    shows: str
    job: str = ""
    runs: tuple[Label, ...] = ()
    dry_run: bool = False
    text: str = ""

    def body(self, ids: Ids) -> str:
        """Return the message's text, for the run ids that Glue gave."""
        request = {
            "JobName": self.job,
            "JobRunIds": self.run_ids(ids),
            "Reason": "over budget",
            "RequestedBy": "guardrail/demo",
            "DryRun": self.dry_run,
        }
        return self.text or json.dumps(request)

    def run_ids(self, ids: Ids) -> list[str]:
        """Return the ids that the message names, repeated as it repeats them."""
        return [ids[self.job, run] for run in self.runs]


REQUESTS: Final = (
    Request("queue", "more runs than Glue takes in one call", "nightly-etl", tuple(range(26))),
    Request("bus", "runs that another message names too", "nightly-etl", tuple(range(10, 28))),
    Request("bus", "a run named twice", "hourly-report", (*range(8), 0)),
    Request("queue", "the same message again", "hourly-report", (*range(8), 0)),
    *(Request("queue", "a message for each run", "ad-hoc", (run,)) for run in range(4)),
    Request("queue", "a run that never stops", "ad-hoc", (STUBBORN,)),
    Request("queue", "a run that has finished", "nightly-etl", (FINISHED,)),
    Request("queue", "a run that Glue does not know", "nightly-etl", (UNKNOWN,)),
    Request("bus", "a dry run", "hourly-report", (8,), dry_run=True),
    Request("queue", "a protected job", "payroll", (0,)),
    Request("bus", "a job outside `jobs`", "forecast", (0,)),
    Request("queue", "no request at all", text="please stop the nightly job, it costs too much"),
)

OUTCOMES: Final[Mapping[str, int]] = {
    "StopSubmitted": 41,
    "Stopped": 40,
    "StopTimedOut": 1,
    "AlreadyFinished": 1,
    "Retrying": 1,
    "NotFound": 1,
    "WouldStop": 1,
    "Protected": 1,
    "NotAllowed": 1,
    "InvalidRequest": 1,
}

UNCOUNTED: Final = "NotYetConfirmed"
"""How often a run is looked at until it has stopped is a matter of time."""

STATES: Final[Mapping[str, int]] = {"RUNNING": 3, "STOPPING": 1, "STOPPED": 40, "SUCCEEDED": 1}

DEAD_LETTERS: Final[Mapping[str, int]] = {
    "EntityNotFoundException": 1,
    "StopTimedOut": 1,
    "NotAllowed": 1,
    "InvalidRequest": 1,
}
"""How many there are of each ERROR_CODE."""


def fewest_calls(ids: Ids) -> int:
    """Return the fewest BatchStopJobRun calls: 25 runs of one job in each, and one more for the retry."""
    asked: dict[str, set[str]] = {}
    for request in REQUESTS:
        if request.job not in ("", "payroll", "forecast") and not request.dry_run:
            asked.setdefault(request.job, set()).update(request.run_ids(ids))
    return sum(ceil(len(run_ids) / 25) for run_ids in asked.values()) + OUTCOMES["Retrying"]
