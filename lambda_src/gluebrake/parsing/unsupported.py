"""What reaches us and is of no use: each with the reason, and how to get what was meant."""

from __future__ import annotations

from typing import Final, NoReturn

from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ReadingError

NAMES_NO_JOB: Final = "it names no Glue job; send a stop request that names the job instead"


def refuse_request_context(_body: bytes, _context: Context) -> NoReturn:
    """Refuse a Lambda destination's record and an HTTP request: neither is to be carried out from a queue."""
    raise ReadingError(
        "requestContext: this is a Lambda destination's record or an HTTP request; send the stop request itself"
    )


def refuse_records(_body: bytes, _context: Context) -> NoReturn:
    """Refuse what S3, Kinesis, DynamoDB and their like deliver."""
    raise ReadingError(f"Records: these are records of another service; {NAMES_NO_JOB}")


def refuse_anomaly(_body: bytes, _context: Context) -> NoReturn:
    """Refuse a cost anomaly: it comes hours late and knows services, not jobs."""
    raise ReadingError(f"anomalyId: this is a cost anomaly; {NAMES_NO_JOB}")
