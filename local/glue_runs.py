"""Glue's job runs as AWS has them, in place of ministack's: ids, states, limits, pages, events.

A run is the job's script in a Python process of its own, which gets the run's arguments as Glue gives them. The
interpreter is isolated from the site's packages: a script that only waits costs next to nothing.
A run with the argument `--refuse-to-stop` stays STOPPING, as some of AWS's own do.
"""

# ruff: noqa: SLF001 - ministack has no public way in; the shim pins its version and tests/local proves each patch

from __future__ import annotations

import contextvars
import itertools
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from ministack.core.responses import error_response_json, json_response
from ministack.services import eventbridge, glue

IDS_PER_STOP: Final = 25
RUNS_PER_PAGE: Final = 200
STOPPING_SECONDS: Final = float(os.environ.get("GLUEBRAKE_LOCAL_STOPPING_SECONDS", "0.5"))
MINUTE_SECONDS: Final = float(os.environ.get("GLUEBRAKE_LOCAL_MINUTE_SECONDS", "60"))
"""How long a minute of NotifyDelayAfter lasts on this machine."""

REFUSE: Final = "--refuse-to-stop"
CALLS_FILE: Final = "glue-calls.jsonl"

Run = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

_lock = threading.Lock()
_processes: dict[str, subprocess.Popen[str]] = {}


def install(directory: Path) -> None:
    """Put these operations in the place of ministack's, and write every Glue call to a file of JSON lines."""
    scripts = directory / "scripts"
    scripts.mkdir()
    glue._start_job_run = lambda data: _start_job_run(data, scripts)
    glue._get_job_run = _get_job_run
    glue._get_job_runs = _get_job_runs
    glue._batch_stop_job_run = _batch_stop_job_run
    glue._create_job = _tagged(glue._create_job)
    glue._handle_request_sync = _recorded(glue._handle_request_sync, directory / CALLS_FILE)


def _recorded(handle: Callable[..., Answer], calls: Path) -> Callable[..., Answer]:
    def recorded(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Answer:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        line = json.dumps({"operation": operation, "request": json.loads(body or "{}")})
        with _lock, calls.open("a") as file:
            file.write(line + "\n")
        return handle(method, path, headers, body, query)

    return recorded


def _tagged(create_job: Callable[[Run], Answer]) -> Callable[[Run], Answer]:
    def tagged(data: Run) -> Answer:
        answer = create_job(data)
        if answer[0] == HTTPStatus.OK and data.get("Tags"):
            glue._tags[glue._arn("job", data["Name"])] = dict(data["Tags"])
        return answer

    return tagged


def _start_job_run(data: Run, scripts: Path) -> Answer:
    job = glue._jobs.get(data["JobName"])
    if job is None:
        return _unknown_job(data["JobName"])
    run = _new_run(job, {**job["DefaultArguments"], **data.get("Arguments", {})})
    _processes[run["Id"]] = process = _launch(run, _script(job, scripts))
    _runs(job["Name"]).append(run)
    # Threads do not inherit the account and Region of the request, which ministack keeps in context variables.
    threading.Thread(target=contextvars.copy_context().run, args=[_follow, run, process], daemon=True).start()
    if minutes := _notify_delay(data) or _notify_delay(job):
        timer = threading.Timer(
            minutes * MINUTE_SECONDS, contextvars.copy_context().run, [_tell_status, run, minutes]
        )
        timer.daemon = True
        timer.start()
    return _ok({"JobRunId": run["Id"]})


def _notify_delay(settings: Run) -> int:
    return int((settings.get("NotificationProperty") or {}).get("NotifyDelayAfter") or 0)


def _tell_status(run: Run, minutes: int) -> None:
    """Put the event on the default bus that a run takes longer than its job's NotifyDelayAfter."""
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
    now = _now()
    capacity = ("MaxCapacity",) if job.get("MaxCapacity") else ("WorkerType", "NumberOfWorkers")
    return {
        "Id": f"jr_{secrets.token_hex(32)}",
        "Attempt": 0,
        "JobName": job["Name"],
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "RUNNING",
        "Arguments": arguments,
        "PredecessorRuns": [],
        **{name: job[name] for name in (*capacity, "GlueVersion", "Timeout")},
    }


def _script(job: Run, scripts: Path) -> Path:
    """Return a copy that no later start writes to: ministack's own one is truncated under running readers."""
    source = glue._resolve_script(job["Command"].get("ScriptLocation"))
    copy = scripts / f"{secrets.token_hex(8)}.py"
    copy.write_text(Path(source).read_text() if source else "raise SystemExit('no script')\n")
    return copy


def _launch(run: Run, script: Path) -> subprocess.Popen[str]:
    arguments = itertools.chain.from_iterable(run["Arguments"].items())
    return subprocess.Popen(
        [sys.executable, "-I", "-S", script, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _follow(run: Run, process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    with _lock:
        del _processes[run["Id"]]
        stopped = run["JobRunState"] == "STOPPING"
        state = "STOPPED" if stopped else "FAILED" if process.returncode else "SUCCEEDED"
        now = _now()
        run.update(JobRunState=state, CompletedOn=now, LastModifiedOn=now)
        if state == "FAILED":
            run["ErrorMessage"] = errors[-2000:]
    _publish(run)


def _publish(run: Run) -> None:
    detail = {
        "jobName": run["JobName"],
        "severity": "ERROR" if run["JobRunState"] == "FAILED" else "INFO",
        "state": run["JobRunState"],
        "jobRunId": run["Id"],
        "message": run.get("ErrorMessage") or f"Job run {run['JobRunState'].lower()}",
    }
    entry = {"Source": "aws.glue", "DetailType": "Glue Job State Change", "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _get_job_run(data: Run) -> Answer:
    for run in _runs(data["JobName"]):
        if run["Id"] == data["RunId"]:
            return _ok({"JobRun": _shown(run)})
    return _error("EntityNotFoundException", f"Job Run {data['RunId']} not found")


def _get_job_runs(data: Run) -> Answer:
    """Answer newest first. The token counts the older runs that are left, so new runs shift no page."""
    name, size = data["JobName"], data.get("MaxResults", RUNS_PER_PAGE)
    if name not in glue._jobs:
        return _unknown_job(name)
    if not 1 <= size <= RUNS_PER_PAGE:
        return _error("InvalidInputException", f"MaxResults: 1 to {RUNS_PER_PAGE}, not {size}")
    runs = _runs(name)
    left = int(data.get("NextToken") or len(runs))
    start = max(left - size, 0)
    page = {"JobRuns": [_shown(run) for run in reversed(runs[start:left])]}
    return _ok({**page, "NextToken": str(start)} if start else page)


def _batch_stop_job_run(data: Run) -> Answer:
    name, ids = data["JobName"], data["JobRunIds"]
    if not 1 <= len(ids) <= IDS_PER_STOP:
        return _error("InvalidInputException", f"JobRunIds: 1 to {IDS_PER_STOP}, not {len(ids)}")
    if name not in glue._jobs:
        return _unknown_job(name)
    runs = {run["Id"]: run for run in _runs(name)}
    refusals = {run_id: _stop(runs.get(run_id)) for run_id in ids}
    errors = [
        {"JobName": name, "JobRunId": run_id, "ErrorDetail": detail}
        for run_id, detail in refusals.items()
        if detail
    ]
    submitted = [{"JobName": name, "JobRunId": run_id} for run_id, detail in refusals.items() if not detail]
    return _ok({"SuccessfulSubmissions": submitted, "Errors": errors})


def _stop(run: Run | None) -> dict[str, str] | None:
    """Submit a run for stopping; return the error's detail when it is refused."""
    if run is None:
        return {"ErrorCode": "EntityNotFoundException", "ErrorMessage": "Job Run not found."}
    with _lock:
        if run["JobRunState"] != "RUNNING":
            text = "Job Run cannot be stopped in current state."
            return {"ErrorCode": "JobRunCannotBeStoppedException", "ErrorMessage": text}
        run.update(JobRunState="STOPPING", LastModifiedOn=_now())
        if REFUSE not in run["Arguments"]:
            timer = threading.Timer(STOPPING_SECONDS, _processes[run["Id"]].kill)
            timer.daemon = True
            timer.start()
    return None


def _shown(run: Run) -> Run:
    return {**run, "ExecutionTime": int(run.get("CompletedOn", time.time()) - run["StartedOn"])}


def _runs(job_name: str) -> list[Run]:
    runs: list[Run] = glue._job_runs.setdefault(job_name, [])
    return runs


def _unknown_job(name: str) -> Answer:
    return _error("EntityNotFoundException", f"Job {name} not found")


def _ok(data: Run) -> Answer:
    answer: Answer = json_response(data)
    return answer


def _error(code: str, message: str) -> Answer:
    answer: Answer = error_response_json(code, message)
    return answer


def _now() -> float:
    return round(time.time(), 3)
