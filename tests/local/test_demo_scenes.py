"""The demo's story has the figures that were observed, and is legible on any terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console, RenderableType

from local import scenario, scenes
from local.display import Display
from local.emulator import ROOT
from local.expectations import comparisons
from local.observation import Observation
from tests.local.expected_observation import IDS, PROTECTED, RUNAWAY, observation

PICTURE: Final = ROOT / "docs" / "pictures" / "demo.svg"


def _text(*contents: RenderableType, width: int = 80) -> str:
    """Return what a terminal of that width shows, without colours."""
    output = io.StringIO()
    Console(file=output, width=width, highlight=False).print(*contents, sep="\n")
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())


def _story(observed: Observation) -> tuple[RenderableType, ...]:
    return (
        scenes.introduction(),
        scenes.heading(1, scenes.STORM),
        scenes.messages(),
        scenes.fleet(observed.runs),
        scenes.storm(observed, IDS),
        scenes.heading(2, scenes.RUNAWAY),
        scenes.policy(),
        scenes.swept(observed),
        scenes.heading(3, scenes.NOT_STOPPED),
        scenes.not_stopped(observed),
        scenes.dead_letters(observed),
        scenes.headline(observed),
        scenes.checks(comparisons(observed, IDS)),
        scenes.next_steps(),
    )


def _with_state(job: str, run_id: str, state: str) -> Observation:
    observed = observation()
    return replace(observed, runs={**observed.runs, job: {**observed.runs[job], run_id: state}})


def test_the_story_needs_80_columns() -> None:
    """No line of the story is broken at 80 columns: it is the same at 120."""
    story = _story(observation())
    assert _text(*story, width=80) == _text(*story, width=120)


def test_the_story_is_short() -> None:
    """The story fits on a screen of 40 lines."""
    assert len(_text(*_story(observation())).splitlines()) <= 40


def test_the_picture_shows_the_expected_story(tmp_path: Path) -> None:
    """The README's picture follows from the expectations alone, and is small."""
    display = Display(console=Console(file=io.StringIO()))
    display.show(*_story(observation()))
    display.draw(tmp_path / "demo.svg")
    assert (tmp_path / "demo.svg").read_text() == PICTURE.read_text()
    assert PICTURE.stat().st_size <= 40_000


def test_the_messages_are_counted_by_the_way_they_are_sent() -> None:
    """The first scene names each way that a request reaches Gluebrake."""
    assert _text(scenes.messages()).strip() == (
        "15 messages: 8 on the queue, 5 on the bus, 1 from an alarm, 1 on the topic"
    )


def test_each_run_is_a_square() -> None:
    """Without colours, the character of a square shows the run's state."""
    lines = _text(scenes.fleet(observation().runs)).splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["■" * 28, "28", "stopped"],
        ["■" * 8 + "□", "8", "stopped,", "1", "running"],
        ["■" * 4 + "▣", "4", "stopped,", "1", "stopping"],
    ]


def test_the_storm_counts_only_calls_that_stopped_runs() -> None:
    """The retry for an unknown run stopped nothing, and the sweep's run belongs to the next scene."""
    assert _text(scenes.storm(observation(), IDS)).strip() == (
        "They name 46 runs 72 times. 4 calls of BatchStopJobRun stopped 40 runs."
    )


def test_the_policy_shows_what_it_found() -> None:
    """A matched run has its age, its cost and its verdict. The protected run is not stopped."""
    runaway, protected = _text(scenes.swept(observation())).splitlines()
    assert runaway.split(maxsplit=2)[::2] == [
        "nightly-backfill",
        "13 h  cost ≤ $57  stopped: older than 12 hours",
    ]
    assert protected.split(maxsplit=2)[::2] == [
        "nightly-audit",
        "20 h  cost ≤ $88  not stopped: has the protect tag",
    ]


def test_a_run_is_stopped_only_if_glue_reports_it() -> None:
    """A matched run whose stop was requested is not shown as stopped before Glue reports it as STOPPED."""
    observed = _with_state("nightly-backfill", RUNAWAY, "STOPPING")
    runaway, _ = _text(scenes.swept(observed)).splitlines()
    assert runaway.endswith("not stopped: STOPPING")


def test_a_protected_run_that_is_stopped_is_shown_as_stopped() -> None:
    """The verdict follows from the run's state, so the demo cannot hide a wrong stop."""
    observed = _with_state("nightly-audit", PROTECTED, "STOPPED")
    _, protected = _text(scenes.swept(observed)).splitlines()
    assert "  stopped: " in protected


def test_each_request_that_stops_nothing_has_a_line() -> None:
    """The line has the job, or the message's text, and the outcome, the reason and what to do."""
    lines = _text(scenes.not_stopped(observation())).splitlines()
    assert [line.split("  ")[0] for line in map(str.strip, lines)] == [
        "job",
        *(request.job or f'"{request.text}"' for request in scenario.REQUESTS if request.not_stopped),
    ]
    assert lines[5].split(maxsplit=2) == ["ad-hoc", "StopTimedOut", "still STOPPING after 2 s  redrive it"]
    assert lines[-1].endswith("InvalidRequest   the body is not JSON      fix the sender")


def test_the_headline_has_the_measured_figures() -> None:
    """Runs, calls, DPUs and dollars are counted in what was observed."""
    expected = "41 runs stopped in 5 calls: 314 DPUs released, about $138 an hour."
    assert _text(scenes.headline(observation())).splitlines()[1] == expected
    first, *rest = observation().log
    fewer = replace(observation(), log=rest)
    released = 314 - first["DpusReleased"]
    assert f"{released} DPUs released, about ${released * 0.44:.0f} an hour" in _text(scenes.headline(fewer))


@pytest.mark.parametrize(
    "request_", [r for r in scenario.REQUESTS if r.not_stopped], ids=lambda r: r.not_stopped
)
def test_each_outcome_has_an_explanation(request_: scenario.Request) -> None:
    """Each outcome of a request that stops nothing has a reason and what to do."""
    (line,) = [line for line in observation().not_stopped if line["outcome"] == request_.not_stopped]
    assert all(scenes.explanation(line))
