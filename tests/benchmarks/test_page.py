"""Tests of the page that the benchmarks write, and of the command that runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType

import pytest

from benchmarks import calls, cold, load_report, sweep_report, throughput_report
from benchmarks.__main__ import DOCS, NAMES, main
from benchmarks.page import INTRODUCTION, machine, page
from benchmarks.report import Plot, Report, Table, Target

Benchmark = Callable[[str, Report], None]

_MET = Target(figure="calls", limit="= 4", measured="4", met=True)
_MISSED = Target(figure="CPU", limit="≤ 1.10", measured="1.20", met=False)


def _report(targets: Sequence[Target] = ()) -> Report:
    table = Table(title="Figures", columns=("function", "ms"), rows=[("a|b", 12)], note="Medians.")
    details = Table(title="Quartiles", columns=("function",), rows=[("conventional",)])
    plot = Plot(name="cold", title="CPU", x_label="", y_label="ms", series={"Gluebrake": [(0, 12)]})
    return Report(
        title="Cold start",
        text="We compare.",
        tables=[table],
        details=[details],
        plots=[plot],
        targets=targets,
    )


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """Replace a benchmark by one that returns a report immediately."""

    def put(name: str, report: Report) -> None:
        module = ModuleType(f"benchmarks.{name}")
        module.run = lambda progress: (progress("running"), report)[1]  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


def test_page_starts_with_all_targets() -> None:
    """A reader sees every target and its result before the sections."""
    text = page([_report([_MET]), _report([_MISSED])], "A machine.")
    targets, _, sections = text.partition("## Cold start")
    assert "A machine." in targets
    assert "| calls | = 4 | 4 | yes |\n| CPU | ≤ 1.10 | 1.20 | no |" in targets
    assert sections.count("We compare.") == 2


def test_section_has_its_tables_and_pictures() -> None:
    """A bar in a cell is escaped, and the link to a picture is relative to the page."""
    text = page([_report()], machine())
    assert "**Figures**\n\n| function | ms |\n|---|---|\n| a\\|b | 12 |\n\nMedians." in text
    assert "![CPU](pictures/bench-cold.svg)" in text


def test_details_are_printed_and_not_on_the_page(
    benchmark: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page stays short, and the command prints every table."""
    benchmark("calls", _report())
    main(["calls"])
    assert "Quartiles" in capsys.readouterr().out
    assert "Quartiles" not in page([_report()], "A machine.")


def test_committed_page_is_short() -> None:
    """The page has at most 1,400 words, six tables besides the targets, and five pictures."""
    text = (DOCS / "performance.md").read_text()
    assert len(text.split()) <= 1_400
    assert text.count("\n|---|") == 7
    assert text.count("](pictures/bench-") == 5


@pytest.mark.parametrize(
    "text",
    [
        INTRODUCTION,
        load_report.TEXT,
        cold.TEXT.strip(),
        calls.TEXT,
        throughput_report.TEXT,
        sweep_report.TEXT,
    ],
)
def test_committed_page_has_the_current_text(text: str) -> None:
    """A change of a text changes the committed page as well."""
    assert f"{text}\n" in (DOCS / "performance.md").read_text()


@pytest.mark.parametrize(("targets", "code"), [([_MET], 0), ([_MET, _MISSED], 1), ([], 0)])
def test_missed_target_fails_the_command(benchmark: Benchmark, targets: list[Target], code: int) -> None:
    """The exit code shows whether all targets were met."""
    benchmark("calls", _report(targets))
    assert main(["calls"]) == code


def test_all_benchmarks_run_by_default(benchmark: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    """Without names, the command prints the figures of all benchmarks."""
    for name in NAMES:
        benchmark(name, _report([Target(figure=f"of {name}", limit="", measured="", met=True)]))
    assert main([]) == 0
    output = capsys.readouterr().out
    assert [name for name in NAMES if f"of {name}" not in output] == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(["cold", "--write"], "needs the figures of all benchmarks"), (["clod"], "choose from load, cold")],
)
def test_incomplete_page_and_unknown_benchmark_are_refused(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page needs a complete run, and an unknown name is answered with the known ones."""
    with pytest.raises(SystemExit):
        main(arguments)
    assert error in capsys.readouterr().err
