"""The streams that the benchmarks work off, and the fewest calls that can do it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import pytest

from benchmarks.streams import Kind, Request, distinct_runs, fewest_calls, stream

KIND: Final = Kind(name="some", messages=2000, jobs=50, skew=1.0)


def _request(job_name: str, *numbers: int) -> Request:
    return Request(job_name, tuple(f"jr_{number}" for number in numbers))


class TestStreams:
    """Made up, and the same each time."""

    def test_seed_makes_the_stream(self) -> None:
        """Equal seeds lead to equal streams, different ones to different streams."""
        assert stream(KIND, 1) == stream(KIND, 1)
        assert stream(KIND, 1) != stream(KIND, 2)

    def test_jobs_are_skewed(self) -> None:
        """With an exponent of 1 the first job is named twice as often as the second, ten times as the tenth."""
        counts = Counter(request.job_name for request in stream(replace(KIND, repeated=0.0), 1))
        assert counts["job-0"] / counts["job-1"] == pytest.approx(2, rel=0.3)
        assert counts["job-0"] / counts["job-9"] == pytest.approx(10, rel=0.5)

    def test_messages_without_repeats_name_each_run_once(self) -> None:
        """Only a repeat names a run that was named before."""
        requests = stream(replace(KIND, repeated=0.0, most_runs=7), 1)
        assert len(distinct_runs(requests)) == sum(len(request.run_ids) for request in requests)

    def test_repeats_name_runs_of_earlier_messages(self) -> None:
        """The share of repeats leads to no new run, and to none under another job's name."""
        requests = stream(KIND, 1)
        runs = distinct_runs(requests)
        assert len(runs) / len(requests) == pytest.approx(1 - KIND.repeated, rel=0.1)
        assert len(runs) == len({run_id for _, run_id in runs})

    def test_requests_name_up_to_the_most_runs(self) -> None:
        """Each number of runs up to the most occurs."""
        sizes = {len(request.run_ids) for request in stream(replace(KIND, most_runs=5), 1)}
        assert sizes == {1, 2, 3, 4, 5}

    def test_messages_come_late_but_not_too_late(self) -> None:
        """The order is not that of sending, and no message is overtaken by more than may be."""
        kind = replace(KIND, repeated=0.0)
        sent = [request.run_ids for request in stream(replace(kind, displaced=0), 1)]
        came = [request.run_ids for request in stream(kind, 1)]
        late = [came.index(run_ids) - place for place, run_ids in enumerate(sent)]
        assert sorted(came) == sorted(sent)
        assert 0 < max(late) <= kind.displaced


@pytest.mark.parametrize(
    ("requests", "calls"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([_request("a", 1), _request("a", 2), _request("a", 1)], 1, id="one job"),
        pytest.param([_request("a", 1), _request("b", 1)], 2, id="two jobs"),
        pytest.param([_request("a", *range(25))], 1, id="a full call"),
        pytest.param([_request("a", *range(20)), _request("a", *range(15, 26))], 2, id="one too many"),
        pytest.param([_request("a", *range(25)), _request("a", *range(25))], 1, id="the same twice"),
    ],
)
def test_fewest_calls(requests: list[Request], calls: int) -> None:
    """Each job costs its distinct runs by 25, rounded up."""
    assert fewest_calls(requests) == calls
