"""The dependencies of a stage, and the AWS clients from which its handler builds them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import Session

from gluebrake.aws.event_bus import EventBus
from gluebrake.aws.glue import Glue
from gluebrake.aws.notice_topic import NoticeTopic
from gluebrake.aws.sqs import Queues
from gluebrake.aws.tls import share_certificates
from gluebrake.decisions.routing import RetryPolicy
from gluebrake.lambda_event import Bookkeeping
from gluebrake.model import AwsEnvironment
from gluebrake.outcomes import NoticeKind
from gluebrake.prices import Prices
from gluebrake.settings import Settings
from gluebrake.stages import Queue
from gluebrake.telemetry import Telemetry

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient


# `eq` and `repr` are off, as in `aws/`: nothing uses them, and each cold start would generate their code.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Dependencies:
    """The dependencies of every stage. `queue` is the queue that the stage consumes."""

    aws_environment: AwsEnvironment
    queues: Queues
    event_bus: EventBus
    telemetry: Telemetry
    retry_policy: RetryPolicy
    bookkeeping: Bookkeeping
    queue: Queue
    prices: Prices
    notice_topic: NoticeTopic
    notify_on: frozenset[NoticeKind]
    jitter: Callable[[], float] = random.random
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


def initialised_by_lambda(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether Lambda is importing the handler. During the import, the function has more CPU than later.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return "AWS_LAMBDA_INITIALIZATION_TYPE" in environ


def aws_environment(settings: Settings) -> AwsEnvironment:
    """Return the account and the Region of the jobs."""
    _, _, _, region, account, _ = settings.job_arn_prefix.split(":")
    return AwsEnvironment(account, region)


def glue_client(settings: Settings) -> GlueClient:
    """Create a client of Glue."""
    client: GlueClient = _client("glue", settings, attempts=2, read_timeout=10)
    return client


def glue(settings: Settings, *, protect_tag: str = "") -> Glue:
    """Return the part of Glue that a stage needs. Only STOP reads tags."""
    return Glue(
        glue_client(settings),
        calls_at_once=settings.calls_at_once,
        protect_tag=protect_tag,
        job_arn_prefix=settings.job_arn_prefix,
    )


def queues(settings: Settings, urls: Mapping[Queue, str]) -> Queues:
    """Return the queues to which a stage sends: the queues in `urls`, and the dead-letter queue."""
    return Queues(
        _client("sqs", settings, attempts=3, read_timeout=5),
        urls={Queue.DEAD_LETTER: settings.dead_letter_queue_url, **urls},
        calls_at_once=settings.calls_at_once,
    )


def event_bus(settings: Settings) -> EventBus:
    """Return the bus for events. Its client is created when the first event is published."""
    return EventBus(
        cache(lambda: _client("events", settings, attempts=2, read_timeout=5)),
        name=settings.event_bus_name,
        job_arn_prefix=settings.job_arn_prefix,
        calls_at_once=settings.calls_at_once,
    )


def notice_topic(settings: Settings) -> NoticeTopic:
    """Return the topic for notices. Its client is created when the first notice is published."""
    make_client = cache(lambda: _client("sns", settings, attempts=2, read_timeout=5))
    return NoticeTopic(make_client, arn=settings.notice_topic_arn)


@cache
def _session() -> Session:
    """Return a session of botocore. boto3's session would import modules that no function uses."""
    share_certificates(os.environ)
    return Session()


def _client(service: str, settings: Settings, *, attempts: int, read_timeout: float) -> Any:
    # After Lambda has frozen the function, a connection may be stale. One immediate retry then succeeds.
    config = Config(
        connect_timeout=2,
        read_timeout=read_timeout,
        max_pool_connections=settings.calls_at_once,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    return _session().create_client(service, config=config)
