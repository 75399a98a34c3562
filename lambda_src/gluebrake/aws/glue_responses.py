"""Validates Glue's responses, so that other modules get only text, numbers, times and usable run ids.

botocore does not validate responses: it can return a null, or a value of another type than its model has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gluebrake.characters import refused_by_glue
from gluebrake.error_codes import NO_ANSWER
from gluebrake.model import JobDefinition, RunFacts

_LONGEST_ID: Final = 255
_NUMBERS: Final = (int, float)
_LARGEST_NUMBER: Final = 1e12
"""The largest accepted number. Results computed from larger ones can exceed JSON's or CloudWatch's range."""


def error(response: Any) -> tuple[str, str]:
    """Return the code and the message of a refused call. If Glue gives no code, the code is Gluebrake's own."""
    details = response.get("Error") if isinstance(response, Mapping) else None
    return _error(details, "Code", "Message")


def submissions(response: Mapping[str, Any]) -> tuple[frozenset[str], dict[str, tuple[str, str]]]:
    """Return the run ids that BatchStopJobRun submitted, and the code and message of each refused run id."""
    submitted = (_id(run.get("JobRunId")) for run in _objects(response.get("SuccessfulSubmissions")))
    refused = {
        run_id: _error(run.get("ErrorDetail"), "ErrorCode", "ErrorMessage")
        for run in _objects(response.get("Errors"))
        if (run_id := _id(run.get("JobRunId")))
    }
    return frozenset(filter(None, submitted)), refused


def runs(page: Mapping[str, Any]) -> list[RunFacts] | None:
    """Return the runs of a GetJobRuns page with usable ids and states, None if the page has no list of runs."""
    if not isinstance(page.get("JobRuns"), list):
        return None
    return [facts for run in _objects(page.get("JobRuns")) if (facts := run_facts(run))]


def next_token(page: Mapping[str, Any]) -> str:
    """Return the token of the next page, empty if this page is the last."""
    return _text(page.get("NextToken"))


def run_facts(run: Any) -> RunFacts | None:
    """Return what Glue reports of a run, None if its id or state cannot be used."""
    if not isinstance(run, dict):
        return None
    run_id, state = _id(run.get("Id")), run.get("JobRunState")
    if not run_id or not isinstance(state, str):
        return None
    return RunFacts(
        run_id=run_id,
        state=_text(state),
        started_on=_time(run.get("StartedOn")),
        completed_on=_time(run.get("CompletedOn")),
        execution_seconds=_number(run.get("ExecutionTime")) or 0,
        dpu_seconds=_number(run.get("DPUSeconds")),
        max_capacity=_number(run.get("MaxCapacity")),
        worker_type=_text(run.get("WorkerType")),
        number_of_workers=_whole_number(run.get("NumberOfWorkers")),
        execution_class=_text(run.get("ExecutionClass")),
        timeout_minutes=_whole_number(run.get("Timeout")),
        trigger_name=_text(run.get("TriggerName")),
        previous_run_id=_id(run.get("PreviousRunId")),
        arguments=_mapping(run.get("Arguments")),
    )


def job_names(page: Mapping[str, Any]) -> list[str] | None:
    """Return the usable names of a ListJobs page, None if the page has no list of names."""
    names = page.get("JobNames")
    return [name for name in map(_id, names) if name] if isinstance(names, list) else None


def job_definitions(response: Mapping[str, Any]) -> dict[str, JobDefinition]:
    """Return the definitions of BatchGetJobs, by the jobs' names."""
    return {
        name: JobDefinition(
            type=_text(_mapping(job.get("Command")).get("Name")),
            arguments=_mapping(job.get("DefaultArguments")),
            fixed_arguments=_mapping(job.get("NonOverridableArguments")),
        )
        for job in _objects(response.get("Jobs"))
        if (name := _id(job.get("Name")))
    }


def has_tag(response: Mapping[str, Any], key: str) -> bool:
    """Return whether a job has the tag, whatever its value is."""
    return key.casefold() in tag_keys(response)


def tag_keys(response: Mapping[str, Any]) -> frozenset[str]:
    """Return a job's tag keys in one case, because IAM compares tag keys without regard to case.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html, aws:ResourceTag.
    """
    tags = response.get("Tags")
    return frozenset(str(key).casefold() for key in tags) if isinstance(tags, Mapping) else frozenset()


def _error(details: Any, code_name: str, message_name: str) -> tuple[str, str]:
    if not isinstance(details, Mapping):
        return NO_ANSWER, ""
    return _text(details.get(code_name)) or NO_ANSWER, _text(details.get(message_name))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    items = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()
    return (item for item in items if isinstance(item, dict))


def _id(value: Any) -> str:
    """Return an id that a stop request can name, empty for any other value."""
    if not isinstance(value, str) or len(value) > _LONGEST_ID or refused_by_glue(value):
        return ""
    return value


def _text(value: Any) -> str:
    """Return the value as text. An unpaired surrogate, which UTF-8 cannot encode, becomes `?`."""
    text = value if isinstance(value, str) else "" if value is None else repr(value)
    return text if text.isascii() else text.encode(errors="replace").decode()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    is_number = isinstance(value, _NUMBERS) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= _LARGEST_NUMBER else None


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and _number(value) is not None else None


def _time(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) and value.tzinfo else None
