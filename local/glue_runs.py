"""Glue job runs with AWS's ids, states, limits, pages and events, instead of ministack's.

A run is a process of this machine. Arguments that AWS does not have simulate what a test cannot cause:

- With `--refuse-to-stop`, the run stays STOPPING, as some runs do on AWS.
- With `--failed-stops 2`, the first two stops of the run fail with an error of Glue.
- With `--started-minutes-ago 90`, the StartedOn of the run is 90 minutes earlier. So the run has an age at
  once, which its ExecutionTime includes.
"""

# ruff: noqa: SLF001 - ministack has no public hooks; the shim pins its version and tests/local covers each patch

from __future__ import annotations

import bisect
import contextvars
import json
import os
import secrets
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from ministack.core.responses import error_response_json, json_response
from ministack.services import eventbridge, glue, lambda_svc

from local import run_process
from local.glue_jobs import NOTIFICATION, job_tags

IDS_PER_STOP: Final = 25
RUNS_PER_PAGE: Final = 200
STOPPING_SECONDS: Final = float(os.environ.get("GLUEBRAKE_LOCAL_STOPPING_SECONDS", "0.5"))
MINUTE_SECONDS: Final = float(os.environ.get("GLUEBRAKE_LOCAL_MINUTE_SECONDS", "60"))
"""The length of a minute of NotifyDelayAfter on this machine."""

REFUSE: Final = "--refuse-to-stop"
FAILED_STOPS: Final = "--failed-stops"
STARTED_MINUTES_AGO: Final = "--started-minutes-ago"
PROTECT_TAG: Final = "GLUEBRAKE_PROTECT_TAG"
CALLS_FILE: Final = "glue-calls.jsonl"

Run = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

_lock = threading.Lock()
_processes: dict[str, subprocess.Popen[str]] = {}
_stops: Counter[str] = Counter()
"""The number of stop calls for each run while it was RUNNING."""


def install(directory: Path) -> None:
    """Replace ministack's operations, and write every Glue call to a file of JSON lines."""
    scripts = directory / "scripts"
    scripts.mkdir()
    glue._start_job_run = lambda data: _start_job_run(data, scripts)
    glue._get_job_run = _get_job_run
    glue._get_job_runs = _get_job_runs
    glue._batch_stop_job_run = _batch_stop_job_run
    glue._handle_request_sync = _with_call_log(glue._handle_request_sync, directory / CALLS_FILE)


def _with_call_log(handle: Callable[..., Response], calls: Path) -> Callable[..., Response]:
    def log_and_handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        line = json.dumps({"operation": operation, "request": json.loads(body or "{}")})
        with _lock, calls.open("a") as file:
            file.write(line + "\n")
        return handle(method, path, headers, body, query)

    return log_and_handle


def _start_job_run(data: Run, scripts: Path) -> Response:
    job = glue._jobs.get(data["JobName"])
    if job is None:
        return _unknown_job(data["JobName"])
    run = _new_run(job, {**job["DefaultArguments"], **data.get("Arguments", {})})
    _processes[run["Id"]] = process = run_process.start(job, _copy_script(job, scripts), run["Arguments"])
    # GetJobRuns lists the newest runs first, by StartedOn.
    bisect.insort(_runs(job["Name"]), run, key=itemgetter("StartedOn"))
    # ministack keeps the account and Region of a request in context variables, which threads do not inherit.
    threading.Thread(
        target=contextvars.copy_context().run, args=[_wait_for_end, run, process], daemon=True
    ).start()
    if minutes := _notify_delay(data) or _notify_delay(job):
        timer = threading.Timer(
            minutes * MINUTE_SECONDS, contextvars.copy_context().run, [_publish_status, run, minutes]
        )
        timer.daemon = True
        timer.start()
    return _ok({"JobRunId": run["Id"]})


def _notify_delay(settings: Run) -> int:
    return int((settings.get(NOTIFICATION) or {}).get("NotifyDelayAfter") or 0)


def _publish_status(run: Run, minutes: int) -> None:
    """If a run is still active after its NotifyDelayAfter, put Glue's event about it on the default bus."""
    if run["JobRunState"] not in ("RUNNING", "STOPPING"):
        return
    detail = {
        "jobName": run["JobName"],
        "severity": "INFO",
        "notificationCondition": {"NotifyDelayAfter": float(minutes)},
        "state": run["JobRunState"],
        "jobRunId": run["Id"],
        "message": f"Job is in {run['JobRunState']} state",
    }
    entry = {"Source": "aws.glue", "DetailType": "Glue Job Run Status", "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _new_run(job: Run, arguments: dict[str, str]) -> Run:
    now, minutes_ago = _now(), float(arguments.get(STARTED_MINUTES_AGO, 0))
    capacity = ("MaxCapacity",) if job.get("MaxCapacity") else ("WorkerType", "NumberOfWorkers")
    return {
        "Id": f"jr_{secrets.token_hex(32)}",
        "Attempt": 0,
        "JobName": job["Name"],
        "StartedOn": now - 60 * minutes_ago,
        "LastModifiedOn": now,
        "JobRunState": "RUNNING",
        "Arguments": arguments,
        "PredecessorRuns": [],
        **{name: job[name] for name in (*capacity, "GlueVersion", "Timeout")},
    }


def _copy_script(job: Run, scripts: Path) -> Path:
    """Copy the job's script for one run. ministack rewrites its file while earlier runs may still read it."""
    source = glue._resolve_script(job["Command"].get("ScriptLocation"))
    copy = scripts / f"{secrets.token_hex(8)}.py"
    copy.write_text(Path(source).read_text() if source else "raise SystemExit('no script')\n")
    return copy


def _wait_for_end(run: Run, process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    with _lock:
        del _processes[run["Id"]]
        stopped = run["JobRunState"] == "STOPPING"
        state = "STOPPED" if stopped else "FAILED" if process.returncode else "SUCCEEDED"
        now = _now()
        run.update(JobRunState=state, CompletedOn=now, LastModifiedOn=now)
        if state == "FAILED":
            run["ErrorMessage"] = errors[-2000:]
    _publish_state_change(run)


def _publish_state_change(run: Run) -> None:
    detail = {
        "jobName": run["JobName"],
        "severity": "ERROR" if run["JobRunState"] == "FAILED" else "INFO",
        "state": run["JobRunState"],
        "jobRunId": run["Id"],
        "message": run.get("ErrorMessage") or f"Job run {run['JobRunState'].lower()}",
    }
    entry = {"Source": "aws.glue", "DetailType": "Glue Job State Change", "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _get_job_run(data: Run) -> Response:
    for run in _runs(data["JobName"]):
        if run["Id"] == data["RunId"]:
            return _ok({"JobRun": _with_execution_time(run)})
    return _error("EntityNotFoundException", f"Job Run {data['RunId']} not found")


def _get_job_runs(data: Run) -> Response:
    """List runs, newest first. The token counts the older runs that remain, so a new run shifts no page."""
    name, size = data["JobName"], data.get("MaxResults", RUNS_PER_PAGE)
    if name not in glue._jobs:
        return _unknown_job(name)
    if not 1 <= size <= RUNS_PER_PAGE:
        return _error("InvalidInputException", f"MaxResults: 1 to {RUNS_PER_PAGE}, not {size}")
    runs = _runs(name)
    remaining = int(data.get("NextToken") or len(runs))
    start = max(remaining - size, 0)
    page = {"JobRuns": [_with_execution_time(run) for run in reversed(runs[start:remaining])]}
    return _ok({**page, "NextToken": str(start)} if start else page)


def _batch_stop_job_run(data: Run) -> Response:
    name, ids = data["JobName"], data["JobRunIds"]
    if not 1 <= len(ids) <= IDS_PER_STOP:
        return _error("InvalidInputException", f"JobRunIds: 1 to {IDS_PER_STOP}, not {len(ids)}")
    if name not in glue._jobs:
        return _unknown_job(name)
    if _is_protected(name):
        return _error("AccessDeniedException", f"not authorized to perform: glue:BatchStopJobRun on job {name}")
    runs = {run["Id"]: run for run in _runs(name)}
    refusals = {run_id: _stop(runs.get(run_id)) for run_id in ids}
    errors = [
        {"JobName": name, "JobRunId": run_id, "ErrorDetail": detail}
        for run_id, detail in refusals.items()
        if detail
    ]
    submitted = [{"JobName": name, "JobRunId": run_id} for run_id, detail in refusals.items() if not detail]
    return _ok({"SuccessfulSubmissions": submitted, "Errors": errors})


def _is_protected(job_name: str) -> bool:
    """Return whether the job has the protect tag of a deployed function, as the denial in STOP's role would.

    On AWS, the denial is only for the role of STOP. The emulator does not know its callers, so it denies the
    stop to all of them.
    """
    environments = (
        f["config"].get("Environment", {}).get("Variables", {}) for f in lambda_svc._functions.values()
    )
    protect_tags = {variables.get(PROTECT_TAG, "").casefold() for variables in environments} - {""}
    return not protect_tags.isdisjoint(key.casefold() for key in job_tags(job_name))


def _stop(run: Run | None) -> dict[str, str] | None:
    """Begin to stop a run. If the run cannot be stopped, return the error's detail."""
    if run is None:
        return {"ErrorCode": "EntityNotFoundException", "ErrorMessage": "Job Run not found."}
    with _lock:
        if run["JobRunState"] != "RUNNING":
            text = "Job Run cannot be stopped in current state."
            return {"ErrorCode": "JobRunCannotBeStoppedException", "ErrorMessage": text}
        _stops[run["Id"]] += 1
        if _stops[run["Id"]] <= int(run["Arguments"].get(FAILED_STOPS, 0)):
            return {"ErrorCode": "InternalServiceException", "ErrorMessage": "Internal service error."}
        run.update(JobRunState="STOPPING", LastModifiedOn=_now())
        if REFUSE not in run["Arguments"]:
            timer = threading.Timer(STOPPING_SECONDS, _processes[run["Id"]].kill)
            timer.daemon = True
            timer.start()
    return None


def _with_execution_time(run: Run) -> Run:
    return {**run, "ExecutionTime": int(run.get("CompletedOn", time.time()) - run["StartedOn"])}


def _runs(job_name: str) -> list[Run]:
    runs: list[Run] = glue._job_runs.setdefault(job_name, [])
    return runs


def _unknown_job(name: str) -> Response:
    return _error("EntityNotFoundException", f"Job {name} not found")


def _ok(data: Run) -> Response:
    response: Response = json_response(data)
    return response


def _error(code: str, message: str) -> Response:
    response: Response = error_response_json(code, message)
    return response


def _now() -> float:
    return round(time.time(), 3)
