"""Answers of AWS that hooks of botocore give in place of a service, and the log that a function would write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from typing import Any, NamedTuple

from gluebrake.telemetry import Telemetry


class Http(NamedTuple):
    """The part of an HTTP response that botocore reads of a response that a hook returns."""

    status_code: int = 200


Answered = tuple[Http, dict[str, Any]]
Answer = Callable[[Mapping[str, Any]], Answered]
"""Answers a call by its parameters."""


def answer_calls(answers: Iterable[tuple[Any, str, Answer]], refused: Mapping[str, str]) -> None:
    """Let each client get the answers of an operation. `refused` has codes by operation, also later ones."""
    for client, operation, answer in answers:
        client.meta.events.register("provide-client-params.*.*", _keep_parameters)
        client.meta.events.register(f"before-call.*.{operation}", _hook(operation, answer, refused))


def _keep_parameters(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["parameters"] = dict(params)


def _hook(operation: str, answer: Answer, refused: Mapping[str, str]) -> Callable[..., Answered]:
    def hook(context: Mapping[str, Any], **_: Any) -> Answered:
        if code := refused.get(operation):
            return Http(400), {"Error": {"Code": code, "Message": "no"}}
        return answer(context["parameters"])

    return hook


@contextmanager
def captured_telemetry(function: str) -> Iterator[tuple[Telemetry, StringIO]]:
    """Make a function's telemetry, whose log goes to a stream, and remove its logger at the end."""
    output, telemetry = StringIO(), Telemetry(function)
    for handler in logging.getLogger(function).handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(output)
    try:
        yield telemetry, output
    finally:
        logging.root.manager.loggerDict.pop(function, None)
