"""Streams of stop requests as busy accounts send them: skewed, repeated, out of order, the same for a seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

RUNS_IN_A_CALL: Final = 25
"""Glue's limit, written down anew: what counts the fewest calls takes nothing from what is measured."""


class Request(NamedTuple):
    """Asks for runs of one job to be stopped."""

    job_name: str
    run_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a stream is like."""

    name: str
    messages: int
    jobs: int
    skew: float
    """Zipf's exponent: the k-th job is named as often as 1 / k ** skew."""
    most_runs: int = 1
    """In a message."""
    repeated: float = 0.2
    """The share of messages that name runs of an earlier one again."""
    displaced: int = 50
    """How many places late a message may come."""


def stream(kind: Kind, seed: int) -> list[Request]:
    """Make up a stream; a seed always leads to the same one."""
    random = Random(seed)  # noqa: S311 - nothing here is secret
    jobs = list(accumulate((place + 1) ** -kind.skew for place in range(kind.jobs)))
    sent: list[Request] = []
    for number in range(kind.messages):
        if sent and random.random() < kind.repeated:
            sent.append(_again(random.choice(sent), random))
        else:
            (job,) = random.choices(range(kind.jobs), cum_weights=jobs)
            runs = random.randint(1, kind.most_runs)
            sent.append(Request(f"job-{job}", tuple(f"jr_{number:06x}{run:058x}" for run in range(runs))))
    late = [(place + random.random() * kind.displaced, request) for place, request in enumerate(sent)]
    return [request for _, request in sorted(late)]


def fewest_calls(requests: Iterable[Request]) -> int:
    """Count the BatchStopJobRun calls that nobody can do without: of each job its distinct runs by 25."""
    distinct: dict[str, set[str]] = {}
    for request in requests:
        distinct.setdefault(request.job_name, set()).update(request.run_ids)
    return sum(-(-len(run_ids) // RUNS_IN_A_CALL) for run_ids in distinct.values())


def distinct_runs(requests: Iterable[Request]) -> set[tuple[str, str]]:
    """Return each run that is named, once."""
    return {(request.job_name, run_id) for request in requests for run_id in request.run_ids}


def _again(request: Request, random: Random) -> Request:
    runs = random.randint(1, len(request.run_ids))
    return request._replace(run_ids=tuple(random.sample(request.run_ids, runs)))
