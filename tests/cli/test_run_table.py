"""The runs that a command has requested to stop, on the terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, RenderableType

from gluebrake.metrics import Measure
from gluebrake.model import AwsEnvironment
from gluebrake_cli import run_table
from gluebrake_cli.runs import RunStatus
from local.emulator import ROOT
from tests.docs.document import Document

ENVIRONMENT = AwsEnvironment("123456789012", "eu-west-1")
PLACE = "in eu-west-1 (account 123456789012)"


def _shown(value: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=300, force_terminal=True, color_system=None).print(value)
    return file.getvalue()


def _run(number: int, **changed: Any) -> RunStatus:
    return RunStatus(job_name="etl", job_run_id=f"jr_{number}", **changed)


def test_runs_that_may_be_running_are_first() -> None:
    """Of many runs a screenful is shown: first the active ones, then those that ended by themselves."""
    runs = [
        *(_run(number, state="STOPPED") for number in range(30)),
        _run(97, state="SUCCEEDED"),
        _run(98, outcome="AlreadyFinished"),
        _run(99, state="STOPPING"),
    ]
    shown = _shown(run_table.runs_table(runs, ENVIRONMENT, dry_run=False))
    assert f"30 of 33 stopped, 2 ended by themselves {PLACE}, 13 more not shown" in shown
    assert shown.index("jr_99") < shown.index("jr_97") < shown.index("jr_98") < shown.index("jr_0 ")


def test_a_dry_run_shows_what_would_stop() -> None:
    """A dry run does not call a run stopped, also not one that is over."""
    runs = [_run(1, outcome="WouldStop", state="RUNNING"), _run(2, outcome="AlreadyFinished", state="STOPPED")]
    shown = _shown(run_table.runs_table(runs, ENVIRONMENT, dry_run=True))
    assert "1 of 2 would stop, 1 ended before in eu-west-1" in shown


def test_runs_of_several_jobs_have_their_jobs() -> None:
    """Runs of one job have no column for its name."""
    of_other = RunStatus(job_name="other", job_run_id="jr_1", state="STOPPED")
    assert "other" in _shown(run_table.runs_table([_run(1), of_other], ENVIRONMENT, dry_run=False))
    assert "other" not in _shown(run_table.runs_table([of_other], ENVIRONMENT, dry_run=False))


def test_what_a_run_used_is_called_an_estimate() -> None:
    """The column has DPU-hours and dollars, and is absent where the log has neither."""
    measures = {Measure.DPU_HOURS_CONSUMED: 3.2, Measure.ESTIMATED_COST_USD: 1.408}
    used = [_run(1, state="STOPPED", outcome="Stopped", measures=measures)]
    header, row, _ = _shown(run_table.runs_table(used, ENVIRONMENT, dry_run=False)).splitlines()
    assert header.endswith("used (estimate)")
    assert row.endswith("3.2 DPU-hours, about $1.41")
    assert "estimate" not in _shown(run_table.runs_table([_run(1)], ENVIRONMENT, dry_run=False))


def test_the_screen_of_the_documents_is_the_real_one() -> None:
    """docs/command.md shows a run that `gluebrake stop` has followed to its end."""
    measures = {Measure.DPU_HOURS_CONSUMED: 3.2, Measure.ESTIMATED_COST_USD: 1.408}
    stopped = RunStatus(
        job_name="etl", job_run_id="jr_0a1b", state="STOPPED", outcome="Stopped", measures=measures
    )
    _, screen = Document(ROOT / "docs" / "command.md").fences("Stop")
    shown = _shown(run_table.runs_table([stopped], ENVIRONMENT, dry_run=False))
    assert [line.rstrip() for line in shown.splitlines()] == screen.splitlines()


def test_a_run_that_is_over_is_named() -> None:
    """The last line says that nothing was sent."""
    shown = _shown(run_table.over_table([_run(1, state="SUCCEEDED")], ENVIRONMENT))
    assert shown.splitlines()[-1] == f"1 run is over already {PLACE}: nothing was sent."
    assert "SUCCEEDED" in shown


def test_the_wait_for_outcomes_is_explained() -> None:
    """A run is STOPPED some seconds before CONFIRM logs it. The screen says why the command goes on."""
    for runs, awaits in (
        ([_run(1, state="STOPPED", outcome="StopSubmitted")], True),
        ([_run(1, state="STOPPED", outcome="Stopped")], False),
        ([_run(1, state="STOPPED", outcome="Stopped"), _run(2, state="STOPPING")], False),
    ):
        shown = _shown(run_table.live_table(runs, ENVIRONMENT, dry_run=False))
        assert ("No run is running any more. The outcomes in the log follow" in shown) is awaits
