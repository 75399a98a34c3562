"""Tests of the generated streams, and of the fewest calls that stop their runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import pytest

from benchmarks.streams import Request, StreamShape, distinct_runs, fewest_calls, generate

SHAPE: Final = StreamShape(name="test", messages=2000, jobs=50, skew=1.0)


def _request(job_name: str, *numbers: int) -> Request:
    return Request(job_name, tuple(f"jr_{number}" for number in numbers))


class TestGenerate:
    """A stream is generated from its shape and a seed."""

    def test_seed_determines_stream(self) -> None:
        """Equal seeds give equal streams, and different seeds give different streams."""
        assert generate(SHAPE, 1) == generate(SHAPE, 1)
        assert generate(SHAPE, 1) != generate(SHAPE, 2)

    def test_jobs_are_skewed(self) -> None:
        """With an exponent of 1 the first job is named twice as often as the second, ten times as the tenth."""
        stream = generate(replace(SHAPE, repeat_share=0.0), 1)
        counts = Counter(request.job_name for request in stream)
        assert counts["job-0"] / counts["job-1"] == pytest.approx(2, rel=0.3)
        assert counts["job-0"] / counts["job-9"] == pytest.approx(10, rel=0.5)

    def test_messages_without_repeats_name_each_run_once(self) -> None:
        """Only a repeat names a run that an earlier message named."""
        requests = generate(replace(SHAPE, repeat_share=0.0, max_runs=7), 1)
        assert len(distinct_runs(requests)) == sum(len(request.run_ids) for request in requests)

    def test_repeats_name_runs_of_earlier_messages(self) -> None:
        """A repeat names no new run, and no run under another job's name."""
        requests = generate(SHAPE, 1)
        runs = distinct_runs(requests)
        assert len(runs) / len(requests) == pytest.approx(1 - SHAPE.repeat_share, rel=0.1)
        assert len(runs) == len({run_id for _, run_id in runs})

    def test_requests_name_up_to_max_runs(self) -> None:
        """Each number of runs up to the maximum occurs."""
        sizes = {len(request.run_ids) for request in generate(replace(SHAPE, max_runs=5), 1)}
        assert sizes == {1, 2, 3, 4, 5}

    def test_messages_are_late_by_at_most_max_delay(self) -> None:
        """Messages arrive in another order than they were sent, within the limit."""
        shape = replace(SHAPE, repeat_share=0.0)
        sent = [request.run_ids for request in generate(replace(shape, max_delay=0), 1)]
        received = [request.run_ids for request in generate(shape, 1)]
        delays = [received.index(run_ids) - place for place, run_ids in enumerate(sent)]
        assert sorted(received) == sorted(sent)
        assert 0 < max(delays) <= shape.max_delay


@pytest.mark.parametrize(
    ("requests", "calls"),
    [
        pytest.param([], 0, id="no request"),
        pytest.param([_request("a", 1), _request("a", 2), _request("a", 1)], 1, id="one job"),
        pytest.param([_request("a", 1), _request("b", 1)], 2, id="two jobs"),
        pytest.param([_request("a", *range(25))], 1, id="a full call"),
        pytest.param([_request("a", *range(20)), _request("a", *range(15, 26))], 2, id="one run too many"),
        pytest.param([_request("a", *range(25)), _request("a", *range(25))], 1, id="a repeated request"),
    ],
)
def test_fewest_calls(requests: list[Request], calls: int) -> None:
    """Each job needs a call for every 25 distinct runs, rounded up."""
    assert fewest_calls(requests) == calls
