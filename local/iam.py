"""IAM actions, resources and condition keys as AWS evaluates them, where ministack differs."""

# ruff: noqa: SLF001 - ministack has no public hooks; the shim pins its version and tests/e2e/test_iam.py covers each patch

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions
from ministack.services import glue, tagging


def install() -> None:
    """Correct batch actions and the resources of Glue calls, and add the condition keys of jobs and events."""
    iam_actions.extract_iam_action = _single_action(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _resource_of_glue_call(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _add_event_keys(iam_actions.request_tag_context)
    tagging._RESOURCE_TAG_COLLECTORS["glue"] = tagging._collect_glue


def _single_action(original: Any) -> Any:
    """Map a batch operation of SQS to the action of its single operation, which also permits the batch.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
    """

    def iam_action(service: str, *request: Any) -> str | None:
        action: str | None = original(service, *request)
        return action.removesuffix("Batch") if action and service == "sqs" else action

    return iam_action


def _resource_of_glue_call(original: Any) -> Any:
    """Read the resource of Glue calls that have no `JobName`. ministack reads `JobName` only.

    Tag calls have a `ResourceArn`. BatchGetJobs has several jobs, of which only the first is checked, because
    ministack checks a single resource.
    """

    def resource_arn(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        request = json.loads(body or b"{}") if service == "glue" else {}
        if names := request.get("JobNames"):
            return glue._arn("job", names[0])
        return request.get("ResourceArn") or original(service, method, path, headers, body, *rest)

    return resource_arn


def _add_event_keys(original: Any) -> Any:
    """Add the condition keys `events:source` and `events:detail-type` of PutEvents.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
    """

    def condition_keys(service: str, action: str, body: bytes, *rest: Any) -> dict[str, Any]:
        keys: dict[str, Any] = original(service, action, body, *rest)
        if action != "events:PutEvents":
            return keys
        entries = json.loads(body)["Entries"]
        for key, member in {"events:source": "Source", "events:detail-type": "DetailType"}.items():
            values = sorted({entry.get(member, "") for entry in entries})
            keys = {**keys, key: values[0] if len(values) == 1 else values}
        return keys

    return condition_keys
