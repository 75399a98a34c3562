"""Messages that Gluebrake refuses, as docs/recipes.md says. tests/e2e runs the recipes themselves."""

from __future__ import annotations

import base64
import json
import re
import zlib
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from docs.generate import DOCS
from gluebrake.contract import StopRequest
from gluebrake.model import AwsEnvironment
from gluebrake.parsing import dispatcher
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError
from tests.docs.document import Document

RECIPES: Final = Document(DOCS / "recipes.md")
POLICY: Final = {"name": "stop-jobs-without-owner", "resource": "aws.glue-job"}
# The payload of both actions of c7n 0.9.53:
# https://github.com/cloud-custodian/cloud-custodian/blob/main/c7n/actions/invoke.py
CUSTODIAN: Final[dict[str, Any]] = {
    "version": "0.9.53",
    "event": None,
    "account_id": "123456789012",
    "account": "data",
    "region": "eu-west-1",
    "action": {"type": "invoke-lambda", "function": "stop"},
    "policy": POLICY,
    "resources": [{"Name": "nightly-etl", "Role": "etl"}],
}


def _parse(body: str) -> list[StopRequest]:
    context = Context(AwsEnvironment("123456789012", "eu-west-1"), sent_at=datetime(2026, 11, 24, tzinfo=UTC))
    requests = dispatcher.parse(body.encode(), context)
    assert isinstance(requests, list)
    return requests


def _compressed(payload: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(payload).encode())).decode()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(_compressed(CUSTODIAN), "the body: is not JSON", id="notify"),
        pytest.param(json.dumps(CUSTODIAN), "version: unknown field", id="invoke-lambda"),
    ],
)
def test_payload_of_another_custodian_action_is_refused(body: str, error: str) -> None:
    """The payloads of `notify` and `invoke-lambda` are not stop requests."""
    with pytest.raises(ParsingError, match=error):
        _parse(body)


def test_template_with_a_quote_or_without_a_value_is_refused() -> None:
    """If EventBridge puts an unescaped quote or nothing into the rule's template, the message is not JSON."""
    (commands,) = RECIPES.fences("A rule of your own")
    (literal,) = re.findall(r'"InputTemplate": ("(?:\\.|[^"\\])*")', commands)
    template = json.loads(literal).replace("<run>", '"jr_1"')
    (request,) = _parse(template.replace("<job>", '"nightly-etl"'))
    assert (request.job_name, request.job_run_ids) == ("nightly-etl", ("jr_1",))
    for broken in ('"nightly "etl""', ""):
        with pytest.raises(ParsingError, match="is not JSON"):
            _parse(template.replace("<job>", broken))
