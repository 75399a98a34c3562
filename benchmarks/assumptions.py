"""What the model of the stack takes for granted: each value with where it is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

from gluebrake.onward import IDS_IN_A_MESSAGE, Backoff, Policy
from infra.config import Config

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
WHOLE_PROCESSOR_MB: Final = 1769
"""The memory with which a function has one processor."""

_POLLING: Final = "docs.aws.amazon.com/lambda: services-sqs-scaling"


def _assumed(default: Any, what: str, source: str = "assumed") -> Any:
    return field(default=default, metadata={"what": what, "source": source})


class Limit(NamedTuple):
    """A token bucket of Glue's: so many calls a second, and so many at once after a rest."""

    per_second: float
    burst: float


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes of a message, as `benchmarks.agreement` measures them; what SQS and Lambda add is assumed."""

    record: int = _assumed(1200, "bytes of a record that names one run", "as seen in real ones")
    message: int = _assumed(201, "bytes of a message that names one run, with its reason", "measured")
    run_id: int = _assumed(71, "bytes of each further run id", "measured")


@dataclass(frozen=True, kw_only=True)
class Aws:
    """What AWS does around our code."""

    pollers: int = _assumed(5, "batches at a time when polling starts", _POLLING)
    pollers_per_second: float = _assumed(
        5.0, "more of them for each second of backlog (300 a minute)", _POLLING
    )
    long_poll_seconds: float = _assumed(
        20.0,
        "wait for a batch of fewer than ten messages, if there is a window",
        _POLLING + ", the worst of it",
    )
    payload_bytes: int = _assumed(6_000_000, "bytes of records in an invocation, at most", "Lambda's quota")
    dispatch_seconds: float = _assumed(0.02, "from a full batch to our code, s")
    cold_seconds: float = _assumed(0.7, "a cold start, s; its ratio to others is benchmark 1's")
    kept_warm_seconds: float = _assumed(600.0, "an idle environment is kept, s")
    timeout_seconds: float = _assumed(30.0, "the functions' timeout, s", "infra/functions.py")
    glue_seconds: float = _assumed(0.05, "a call to Glue, s")
    sqs_seconds: float = _assumed(0.015, "a SendMessageBatch call, s")
    events_seconds: float = _assumed(0.015, "a PutEvents call, s")
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """By operation; without one Glue answers every call. AWS publishes none."""
    tries: int = _assumed(2, "tries of a call by botocore, up to 1 s apart", "decision 0011")
    stopping_seconds: float = _assumed(11.0, "from STOPPING to STOPPED, median, s", "11 s were seen")
    stopping_spread: float = _assumed(0.6, "its spread (log-normal); 1 in 100 takes over 44 s")
    hanging_share: float = _assumed(0.0001, "of the runs hang in STOPPING")


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """Seconds for which our code has a whole processor. `benchmarks.agreement` measures them."""

    per_invocation: float = _assumed(0.002, "our CPU for each invocation, s", "measured")
    per_run: float = _assumed(0.00006, "our CPU for each run, s", "the target of benchmark 3")
    per_call: float = _assumed(0.001, "our CPU for each call to AWS, s", "measured")

    def at_share(self, share: float) -> Cpu:
        """Return how long it takes with that share of a processor."""
        return Cpu(
            per_invocation=self.per_invocation / share,
            per_run=self.per_run / share,
            per_call=self.per_call / share,
        )

    def in_lambda(self, memory_mb: int) -> Cpu:
        """Return how long it takes with the share of a processor that comes with so much memory."""
        return self.at_share(min(1.0, memory_mb / WHOLE_PROCESSOR_MB))


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that a run of the model depends on, but for the requests."""

    config: Config = field(default_factory=Config)
    aws: Aws = field(default_factory=Aws)
    cpu: Cpu = field(default_factory=lambda: Cpu().in_lambda(Config().memory_mb))
    """Seconds in Lambda, not on a whole processor."""
    sizes: Sizes = field(default_factory=Sizes)
    jitter: float | None = None
    """That of every delay; None draws it."""
    sample_seconds: float = 10.0
    seed: int = 20_261_124

    @property
    def policy(self) -> Policy:
        """The policy that the functions are wired with."""
        return Policy(
            retry=Backoff(*self.config.retry_seconds, first_attempt=1),
            look=Backoff(*self.config.confirm_seconds, first_attempt=0),
            deadline_seconds=self.config.confirm_deadline_seconds,
            ids_in_a_message=min(IDS_IN_A_MESSAGE, self.config.max_runs_per_request),
        )


def rows(*values: Any) -> Iterator[tuple[str, object, str]]:
    """Yield what is assumed, how much it is, and where it is from."""
    for one in values:
        for f in fields(one):
            if f.metadata:
                yield f.metadata["what"], getattr(one, f.name), f.metadata["source"]
