"""Refuses known events that cannot be used. Each error says why, and what to send instead."""

from __future__ import annotations

from typing import Final, NoReturn

from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError

NAMES_NO_JOB: Final = "it names no Glue job; send a stop request that names the job instead"


def refuse_request_context(_body: bytes, _context: Context) -> NoReturn:
    """Refuse a Lambda destination's record and an HTTP request."""
    raise ParsingError(
        "requestContext: this is a Lambda destination's record or an HTTP request; send the stop request itself"
    )


def refuse_detail(_body: bytes, _context: Context) -> NoReturn:
    """Refuse the detail of an event of Glue or of an alarm: a detail does not name the sending account."""
    raise ParsingError(
        "the body: is the detail of an EventBridge event; send the whole event, from a rule without InputPath"
    )


def refuse_records(_body: bytes, _context: Context) -> NoReturn:
    """Refuse the records of S3, Kinesis, DynamoDB and similar services."""
    raise ParsingError(f"Records: these are records of another service; {NAMES_NO_JOB}")


def refuse_anomaly(_body: bytes, _context: Context) -> NoReturn:
    """Refuse a cost anomaly: anomalies arrive hours late and name services, not jobs."""
    raise ParsingError(f"anomalyId: this is a cost anomaly; {NAMES_NO_JOB}")
