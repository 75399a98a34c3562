"""Parse messages. A message that cannot be used, or that requests nothing, becomes a result."""

from __future__ import annotations

from collections.abc import Iterable

from gluebrake.model import AwsEnvironment, Message, MessageResult, NotARequest
from gluebrake.outcomes import Outcome
from gluebrake.parsing import notice, provenance
from gluebrake.parsing.context import Context, Parser, R
from gluebrake.parsing.errors import ParsingError


def parse_messages(
    messages: Iterable[Message], parse: Parser[R], aws_environment: AwsEnvironment
) -> tuple[list[tuple[Message, R]], list[MessageResult]]:
    """Parse each message with `parse`. Return pairs of message and request, and the other messages' results."""
    requests: list[tuple[Message, R]] = []
    results: list[MessageResult] = []
    for received in messages:
        if received.rejection:
            results.append(MessageResult(received, Outcome.INVALID_REQUEST, received.rejection))
            continue
        message = provenance.with_via(received)
        try:
            parsed = parse_message(message, parse, aws_environment)
        except ParsingError as error:
            results.append(MessageResult(message, Outcome.INVALID_REQUEST, str(error)))
            continue
        if isinstance(parsed, NotARequest):
            results.append(MessageResult(message, Outcome.IGNORED, parsed.why))
        else:
            requests += [(message, request) for request in parsed]
    return requests, results


def parse_message(message: Message, parse: Parser[R], aws_environment: AwsEnvironment) -> list[R] | NotARequest:
    """Parse one message. The only exception is ParsingError, for a message that cannot be used."""
    try:
        body = message.body.encode()
        if notice.is_notice(body):
            return NotARequest("this is a notice of Gluebrake")
        return parse(body, Context(aws_environment, message.sent_at))
    except UnicodeEncodeError as error:
        raise ParsingError("the body: has half of a surrogate pair, so it is not Unicode text") from error
    except OverflowError as error:
        raise ParsingError("the body: has a time that is too early to calculate with") from error
    except RecursionError as error:
        raise ParsingError("the body: is nested too deeply") from error
