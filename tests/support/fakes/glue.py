"""A fake of Glue: jobs, their runs and tags, and the operations that Gluebrake and its command call."""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tests.support.fakes.exchange import Json, ServiceError

_STOPPABLE: Final = frozenset({"STARTING", "RUNNING", "WAITING"})
_ACTIVE: Final = _STOPPABLE | {"STOPPING"}
# The API reference gives this pattern in UTF-16. Its surrogate pairs are the supplementary planes.
_ONE_LINE: Final = re.compile("[\t\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]{1,255}")
_MOST_IDS: Final = 25
_LARGEST_PAGE: Final = 200
_MOST_NAMES: Final = 1000


@dataclass(kw_only=True)
class Run:
    """A job run. Its state follows the clock: STOPPING lasts `stopping_seconds`, or for ever if it is None."""

    job_name: str
    run_id: str
    started_on: datetime
    stopping_seconds: float | None
    stops_as: str
    details: Mapping[str, Any]
    clock: Callable[[], datetime]
    _state: str
    _changed_on: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._changed_on = self.clock()

    @property
    def state(self) -> str:
        """The state at the clock's time."""
        if self._state == "STOPPING" and self.stopping_seconds is not None:
            stopped_on = self._changed_on + timedelta(seconds=self.stopping_seconds)
            if stopped_on <= self.clock():
                self._state, self._changed_on = self.stops_as, stopped_on
        return self._state

    def become(self, state: str) -> None:
        """Change the state now."""
        self._state, self._changed_on = state, self.clock()

    def describe(self) -> Json:
        """Return Glue's JobRun. `details` replace computed fields."""
        ended = self.state not in _ACTIVE
        until = self._changed_on if ended else self.clock()
        described: Json = {
            "Id": self.run_id,
            "JobName": self.job_name,
            "Attempt": 0,
            "JobRunState": self.state,
            "StartedOn": _epoch(self.started_on),
            "LastModifiedOn": _epoch(self._changed_on),
            "ExecutionTime": max(0, int((until - self.started_on).total_seconds())),
        }
        if ended:
            described["CompletedOn"] = _epoch(self._changed_on)
        return {**described, **self.details}


class Glue:
    """The jobs of one account and the operations on them. A test adds jobs and reads their state directly."""

    def __init__(self, *, clock: Callable[[], datetime], region: str, account: str) -> None:
        self._clock = clock
        self._arn_prefix = f"arn:aws:glue:{region}:{account}:job/"
        self._tags: dict[str, dict[str, str]] = {}
        self._definitions: dict[str, Json] = {}
        self._runs: dict[str, dict[str, Run]] = {}
        self._newest_first: dict[str, list[Run]] = {}

    def add_job(
        self,
        job_name: str,
        *,
        tags: Mapping[str, str] | None = None,
        command: str = "glueetl",
        **details: Any,
    ) -> str:
        """Create a job, or replace its tags and definition. Return its ARN.

        `details` are further fields of Glue's Job, or replace its fields.
        """
        self._tags[job_name] = dict(tags or {})
        self._definitions[job_name] = {"Name": job_name, "Command": {"Name": command}, **details}
        self._runs.setdefault(job_name, {})
        self._newest_first.setdefault(job_name, [])
        return self._arn_prefix + job_name

    def add_run(  # noqa: PLR0913 - a run has many properties, and a test names only those that matter to it
        self,
        job_name: str,
        run_id: str,
        *,
        state: str = "RUNNING",
        started_on: datetime | None = None,
        stopping_seconds: float | None = 10,
        stops_as: str = "STOPPED",
        **details: Any,
    ) -> Run:
        """Create a run, and its job if there is none.

        Without `started_on` the run starts now. `details` are further fields of Glue's JobRun, or replace
        computed fields: DPUSeconds, WorkerType, ExecutionTime, CompletedOn and others.
        """
        if job_name not in self._runs:
            self.add_job(job_name)
        run = Run(
            job_name=job_name,
            run_id=run_id,
            started_on=started_on or self._clock(),
            stopping_seconds=stopping_seconds,
            stops_as=stops_as,
            details={"WorkerType": "G.1X", "NumberOfWorkers": 10, "MaxCapacity": 10.0, **details},
            clock=self._clock,
            _state=state,
        )
        self._runs[job_name][run_id] = run
        insort(self._newest_first[job_name], run, key=lambda run: -run.started_on.timestamp())
        return run

    def run(self, job_name: str, run_id: str) -> Run:
        """Return one run. Raise KeyError if there is none."""
        return self._runs[job_name][run_id]

    def __iter__(self) -> Iterator[Run]:
        return (run for runs in self._runs.values() for run in runs.values())

    def start_job_run(self, request: Json) -> Json:
        """Start a run. It is STARTING until a test lets it run."""
        run_id = f"jr_{len(self._runs_of(request['JobName'])) + 1}"
        self.add_run(request["JobName"], run_id, state="STARTING")
        return {"JobRunId": run_id}

    def batch_stop_job_run(self, request: Json) -> Json:
        """Submit runs for stopping. Each id is in one of the two lists."""
        job_name, run_ids = request["JobName"], request["JobRunIds"]
        if not 1 <= len(run_ids) <= _MOST_IDS:
            raise ServiceError("InvalidInputException", f"JobRunIds: {len(run_ids)} items, not 1 to 25")
        for text in (job_name, *run_ids):
            _check_one_line(text)
        runs = self._runs_of(job_name)
        submitted, errors = [], []
        for run_id in run_ids:
            named = {"JobName": job_name, "JobRunId": run_id}
            if error := _stop(runs.get(run_id)):
                errors.append({**named, "ErrorDetail": error})
            else:
                submitted.append(named)
        return {"SuccessfulSubmissions": submitted, "Errors": errors}

    def get_job_run(self, request: Json) -> Json:
        """Describe one run."""
        _check_one_line(request["JobName"])
        _check_one_line(request["RunId"])
        run = self._runs_of(request["JobName"]).get(request["RunId"])
        if run is None:
            raise ServiceError("EntityNotFoundException", f"No job run {request['RunId']}")
        return {"JobRun": run.describe()}

    def get_job_runs(self, request: Json) -> Json:
        """Describe a page of a job's runs, newest first."""
        _check_one_line(request["JobName"])
        size = request.get("MaxResults", _LARGEST_PAGE)
        if not 1 <= size <= _LARGEST_PAGE:
            raise ServiceError("InvalidInputException", f"MaxResults: 1 to {_LARGEST_PAGE}, not {size}")
        self._runs_of(request["JobName"])
        runs = self._newest_first[request["JobName"]]
        start = _after(request.get("NextToken"), runs)
        page = {"JobRuns": [run.describe() for run in runs[start : start + size]]}
        if start + size < len(runs):
            return {**page, "NextToken": f"after {runs[start + size - 1].run_id}"}
        return page

    def list_jobs(self, request: Json) -> Json:
        """List a page of the names of the jobs that have all the tags."""
        size = request.get("MaxResults", _MOST_NAMES)
        if not 1 <= size <= _MOST_NAMES:
            raise ServiceError("InvalidInputException", f"MaxResults: 1 to {_MOST_NAMES}, not {size}")
        wanted = request.get("Tags", {}).items()
        names = sorted(name for name, tags in self._tags.items() if wanted <= tags.items())
        rest = [name for name in names if name > request.get("NextToken", "")]
        page = {"JobNames": rest[:size]}
        return {**page, "NextToken": rest[size - 1]} if len(rest) > size else page

    def batch_get_jobs(self, request: Json) -> Json:
        """Describe the definitions of jobs. A name without a job is in the second list."""
        names = dict.fromkeys(request["JobNames"])
        return {
            "Jobs": [self._definitions[name] for name in names if name in self._definitions],
            "JobsNotFound": [name for name in names if name not in self._definitions],
        }

    def get_tags(self, request: Json) -> Json:
        """Read a job's tags by its ARN."""
        return {"Tags": self._tags_of(request)}

    def tag_resource(self, request: Json) -> Json:
        """Add tags to a job, or replace their values."""
        self._tags_of(request).update(request["TagsToAdd"])
        return {}

    def untag_resource(self, request: Json) -> Json:
        """Remove tags of a job. Keys that it does not have are ignored."""
        tags = self._tags_of(request)
        for key in request["TagsToRemove"]:
            tags.pop(key, None)
        return {}

    def _tags_of(self, request: Json) -> dict[str, str]:
        arn = request["ResourceArn"]
        tags = self._tags.get(arn.removeprefix(self._arn_prefix)) if arn.startswith(self._arn_prefix) else None
        if tags is None:
            raise ServiceError("EntityNotFoundException", f"No resource {arn}")
        return tags

    def _runs_of(self, job_name: str) -> dict[str, Run]:
        if job_name not in self._runs:
            raise ServiceError("EntityNotFoundException", f"No job {job_name}")
        return self._runs[job_name]


def _stop(run: Run | None) -> Json | None:
    if run is None:
        return {"ErrorCode": "EntityNotFoundException", "ErrorMessage": "Job run not found."}
    if run.state not in _STOPPABLE:
        message = "Job Run cannot be stopped in current state."
        return {"ErrorCode": "JobRunCannotBeStoppedException", "ErrorMessage": message}
    run.become("STOPPING")
    return None


def _after(token: str | None, runs: list[Run]) -> int:
    """Return where the next page starts: after a run and not at an index, so that a new run shifts nothing."""
    if token is None:
        return 0
    for index, run in enumerate(runs):
        if token == f"after {run.run_id}":
            return index + 1
    raise ServiceError("InvalidInputException", "NextToken: unknown")


def _check_one_line(text: str) -> None:
    if not _ONE_LINE.fullmatch(text):
        raise ServiceError("InvalidInputException", f"{text!r}: not one line of 1 to 255 characters")


def _epoch(time: datetime) -> float:
    return round(time.timestamp(), 3)
