"""Generate streams of stop requests as busy accounts send them: skewed, repeated and out of order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

RUNS_PER_CALL: Final = 25
"""Glue's limit, not imported from Gluebrake: `fewest_calls` must be independent of what it checks."""


class Request(NamedTuple):
    """A request to stop runs of one job."""

    job_name: str
    run_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StreamShape:
    """The parameters of a stream."""

    name: str
    messages: int
    jobs: int
    skew: float
    """Zipf's exponent: the k-th job is named as often as 1 / k ** skew."""
    max_runs: int = 1
    """The most runs that one message names."""
    repeat_share: float = 0.2
    """The share of messages that name runs of an earlier message again."""
    max_delay: int = 50
    """The most places by which a message arrives late."""


def generate(shape: StreamShape, seed: int) -> list[Request]:
    """Generate a stream. The same seed gives the same stream."""
    random = Random(seed)  # noqa: S311 - not used for security
    weights = list(accumulate((place + 1) ** -shape.skew for place in range(shape.jobs)))
    sent: list[Request] = []
    for number in range(shape.messages):
        if sent and random.random() < shape.repeat_share:
            sent.append(_repeat(random.choice(sent), random))
        else:
            (job,) = random.choices(range(shape.jobs), cum_weights=weights)
            runs = random.randint(1, shape.max_runs)
            sent.append(Request(f"job-{job}", tuple(f"jr_{number:06x}{run:058x}" for run in range(runs))))
    delayed = [(place + random.random() * shape.max_delay, request) for place, request in enumerate(sent)]
    return [request for _, request in sorted(delayed)]


def fewest_calls(requests: Iterable[Request]) -> int:
    """Count the BatchStopJobRun calls that are needed at least: ⌈distinct runs / 25⌉ for each job."""
    distinct: dict[str, set[str]] = {}
    for request in requests:
        distinct.setdefault(request.job_name, set()).update(request.run_ids)
    return sum(-(-len(run_ids) // RUNS_PER_CALL) for run_ids in distinct.values())


def distinct_runs(requests: Iterable[Request]) -> set[tuple[str, str]]:
    """Return each run that is named, once."""
    return {(request.job_name, run_id) for request in requests for run_id in request.run_ids}


def _repeat(request: Request, random: Random) -> Request:
    runs = random.randint(1, len(request.run_ids))
    return request._replace(run_ids=tuple(random.sample(request.run_ids, runs)))
