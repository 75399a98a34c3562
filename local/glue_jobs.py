"""Glue jobs with the members, tags and lists of AWS, instead of ministack's."""

# ruff: noqa: SLF001 - ministack has no public hooks; the shim pins its version and tests/local covers each patch

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from ministack.core.responses import error_response_json, json_response
from ministack.services import glue

JOBS_PER_PAGE: Final = 1000
NOTIFICATION: Final = "NotificationProperty"

Data = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
Operation = Callable[[Data], Response]


def install() -> None:
    """Add the operations that ministack lacks, and keep the members of a job that ministack drops."""
    glue._create_job = _with_dropped_members(glue._create_job)
    glue._update_job = _with_notification(glue._update_job)
    glue._handle_request_sync = _with_operations(glue._handle_request_sync)


def _with_operations(handle: Callable[..., Response]) -> Callable[..., Response]:
    def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Response:
        operation = OPERATIONS.get(headers.get("x-amz-target", "").rpartition(".")[2])
        return operation(json.loads(body)) if operation else handle(method, path, headers, body, query)

    return handle_request


def _list_jobs(data: Data) -> Response:
    """List the names of the jobs that have all the tags. The token is the last name of a page.

    https://docs.aws.amazon.com/glue/latest/webapi/API_ListJobs.html
    """
    size, after = data.get("MaxResults", JOBS_PER_PAGE), data.get("NextToken", "")
    if not 1 <= size <= JOBS_PER_PAGE:
        response: Response = error_response_json(
            "InvalidInputException", f"MaxResults: 1 to {JOBS_PER_PAGE}, not {size}"
        )
        return response
    tags = data.get("Tags", {}).items()
    names = sorted(name for name in glue._jobs if name > after and tags <= job_tags(name).items())
    page = names[:size]
    return _ok({"JobNames": page, **({"NextToken": page[-1]} if page != names else {})})


def _batch_get_jobs(data: Data) -> Response:
    """Return the definitions of jobs, and the names of those that do not exist."""
    names = data["JobNames"]
    return _ok(
        {
            "Jobs": [glue._jobs[name] for name in names if name in glue._jobs],
            "JobsNotFound": [name for name in names if name not in glue._jobs],
        }
    )


OPERATIONS: Final[Mapping[str, Operation]] = {"ListJobs": _list_jobs, "BatchGetJobs": _batch_get_jobs}
"""The operations that ministack lacks."""


def _with_dropped_members(create_job: Operation) -> Operation:
    def create(data: Data) -> Response:
        response = create_job(data)
        if response[0] == HTTPStatus.OK:
            _keep_notification(data["Name"], data)
            if not data.get("SecurityConfiguration"):
                # UpdateJob refuses an empty name, so GetJob must not return it.
                del glue._jobs[data["Name"]]["SecurityConfiguration"]
            if data.get("Tags"):
                glue._tags[glue._arn("job", data["Name"])] = dict(data["Tags"])
        return response

    return create


def _with_notification(update_job: Operation) -> Operation:
    def update(data: Data) -> Response:
        response = update_job(data)
        if response[0] == HTTPStatus.OK:
            _keep_notification(data["JobName"], data["JobUpdate"])
        return response

    return update


def _keep_notification(job_name: str, definition: Data) -> None:
    """Give a job the NotificationProperty of its new definition, which replaces the old definition.

    https://docs.aws.amazon.com/glue/latest/webapi/API_JobUpdate.html
    """
    glue._jobs[job_name].pop(NOTIFICATION, None)
    if NOTIFICATION in definition:
        glue._jobs[job_name][NOTIFICATION] = definition[NOTIFICATION]


def job_tags(job_name: str) -> Mapping[str, str]:
    """Return the tags of a job."""
    tags: Mapping[str, str] = glue._tags.get(glue._arn("job", job_name), {})
    return tags


def _ok(data: Data) -> Response:
    response: Response = json_response(data)
    return response
