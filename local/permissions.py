"""What IAM is asked, where ministack asks of something else than AWS."""

# ruff: noqa: SLF001 - ministack has no public way in; the shim pins its version and tests/e2e/test_walls.py proves each patch

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions
from ministack.services import tagging


def install() -> None:
    """Ask as AWS does about batches and tags, and let policies see the tags of jobs and what events say."""
    iam_actions.extract_iam_action = _unbatched(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _named(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _with_events(iam_actions.request_tag_context)
    tagging._RESOURCE_TAG_COLLECTORS["glue"] = tagging._collect_glue


def _unbatched(theirs: Any) -> Any:
    """Leave the batch out of the action: SQS permits it with the single one.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
    """

    def action(service: str, *request: Any) -> str | None:
        found: str | None = theirs(service, *request)
        return found.removesuffix("Batch") if found and service == "sqs" else found

    return action


def _named(theirs: Any) -> Any:
    """Take the resource that GetTags and its like name by ARN; ministack looks for a `JobName`."""

    def resource_arn(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        named = json.loads(body or b"{}").get("ResourceArn") if service == "glue" else None
        return named or theirs(service, method, path, headers, body, *rest)

    return resource_arn


def _with_events(theirs: Any) -> Any:
    """Tell the source and the type of what is put on a bus, where all entries have the same.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
    """

    def keys(service: str, action: str, body: bytes, *rest: Any) -> dict[str, Any]:
        found: dict[str, Any] = theirs(service, action, body, *rest)
        if action != "events:PutEvents":
            return found
        entries = json.loads(body)["Entries"]
        for key, member in {"events:source": "Source", "events:detail-type": "DetailType"}.items():
            said = sorted({entry.get(member, "") for entry in entries})
            found = {**found, key: said[0] if len(said) == 1 else said}
        return found

    return keys
