"""The page that the benchmarks write, and the command that runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType

import pytest

from benchmarks.__main__ import NAMES, main
from benchmarks.page import machine, page
from benchmarks.report import Plot, Report, Table, Target

Benchmark = Callable[[str, Report], None]

_MET = Target(what="calls", limit="= 4", measured="4", met=True)
_MISSED = Target(what="CPU", limit="≤ 1.10", measured="1.20", met=False)


def _report(targets: Sequence[Target] = ()) -> Report:
    table = Table(title="Figures", columns=("function", "ms"), rows=[("a|b", 12)], note="Medians.")
    plot = Plot(name="cold", caption="CPU", x_label="", y_label="ms", series={"ours": [(0, 12)]})
    return Report(title="Cold start", text="We compare.", tables=[table], plots=[plot], targets=targets)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """Put a benchmark that is over at once in place of a real one."""

    def put(name: str, report: Report) -> None:
        module = ModuleType(f"benchmarks.{name}")
        module.run = lambda progress: (progress("at work"), report)[1]  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


def test_the_page_begins_with_every_target() -> None:
    """Whoever opens the page sees first what was to be reached, and what was."""
    text = page([_report([_MET]), _report([_MISSED])], "A machine.")
    targets, _, sections = text.partition("## Cold start")
    assert "A machine." in targets
    assert "| calls | = 4 | 4 | yes |\n| CPU | ≤ 1.10 | 1.20 | no |" in targets
    assert sections.count("We compare.") == 2


def test_a_section_has_its_tables_and_pictures() -> None:
    """A cell's bar does not end the cell, and a picture is found beside the page."""
    text = page([_report()], machine())
    assert "**Figures**\n\n| function | ms |\n| --- | --- |\n| a\\|b | 12 |\n\nMedians." in text
    assert "![CPU](pictures/bench-cold.svg)" in text


@pytest.mark.parametrize(("targets", "code"), [([_MET], 0), ([_MET, _MISSED], 1), ([], 0)])
def test_a_missed_target_fails_the_command(benchmark: Benchmark, targets: list[Target], code: int) -> None:
    """The exit code says whether all that was to be reached was reached."""
    benchmark("calls", _report(targets))
    assert main(["calls"]) == code


def test_every_benchmark_runs_when_none_is_named(
    benchmark: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures of all of them are shown."""
    for name in NAMES:
        benchmark(name, _report([Target(what=f"of {name}", limit="", measured="", met=True)]))
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert [name for name in NAMES if f"of {name}" not in shown] == []


@pytest.mark.parametrize("arguments", [["cold", "--write"], ["clod"]])
def test_a_page_of_a_part_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The page tells of one whole run; what cannot be run is named with what can."""
    with pytest.raises(SystemExit):
        main(arguments)
    told = capsys.readouterr().err
    assert "all of them run" in told or "there are cold, calls" in told
