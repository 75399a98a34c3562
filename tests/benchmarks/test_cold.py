"""Tests of what the benchmark of cold starts computes from its measurements."""

from __future__ import annotations

import pytest

from benchmarks.cold import BARE, CONVENTIONAL, GLUEBRAKE, Quartiles, order_of_round, report
from benchmarks.lambda_runtime import ColdStart, UnsupportedError, durations, emulator_for

LOG = """\
24 Nov 2026 11:27:22,196 [INFO] (rapid) INIT START(type: on-demand, phase: init)
24 Nov 2026 11:27:22,632 [INFO] (rapid) INIT RTDONE(status: success)
24 Nov 2026 11:27:22,632 [INFO] (rapid) INIT REPORT(durationMs: 436.167000)
{"level":"INFO","message":"StopSubmitted"}
24 Nov 2026 11:27:22 [INFO] (rapid) INVOKE RTDONE(status: success, produced bytes: 0, duration: 136.422000ms)
REPORT RequestId: a097f84d\tInit Duration: 0.02 ms\tDuration: 572.77 ms\tBilled Duration: 573 ms
"""


def _starts(*cpu_ms: float) -> list[ColdStart]:
    return [ColdStart(init_ms=300, invoke_ms=80, cpu_ms=ms, peak_mib=43, response={}) for ms in cpu_ms]


def test_durations_are_those_of_the_runtime() -> None:
    """Init and invoke are read from the lines that have the right durations, not from the REPORT line."""
    assert durations(LOG) == (436.167, 136.422)


def test_log_without_invocation_is_in_the_error() -> None:
    """When a function does not start, the error shows the emulator's log."""
    with pytest.raises(RuntimeError, match="Unable to import module"):
        durations("[ERROR] Runtime.ImportModuleError: Unable to import module 'app'")


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64"), ("win32", "x86_64")]
)
def test_unsupported_machine_is_an_error_with_the_supported_ones(system: str, machine: str) -> None:
    """The error names the machines that have an emulator."""
    with pytest.raises(UnsupportedError, match=f"linux on x86_64 and aarch64, but not {system} on {machine}"):
        emulator_for(system, machine)


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "x86_64"), ("aarch64", "arm64")])
def test_emulator_matches_the_machine(machine: str, name: str) -> None:
    """Functions start on this machine's processor."""
    assert emulator_for("linux", machine) == f"aws-lambda-rie-{name}"


def test_every_second_round_reverses_the_order() -> None:
    """Every function runs once in a round, and none always follows the same one."""
    assert [list(order_of_round("abc", number)) for number in range(3)] == [
        list("abc"),
        list("cba"),
        list("abc"),
    ]


def test_quartiles_ignore_one_slow_start() -> None:
    """One slow start changes neither the median nor the quartiles."""
    assert Quartiles.of([4, 1, 2, 3, 100]) == (2, 3, 4)


@pytest.mark.parametrize(
    ("cpu_ms", "met"),
    [(80.0, [True, True]), (50.0, [True, True]), (81.0, [True, False]), (101.0, [False, False])],
)
def test_targets_compare_starts_of_the_same_round(cpu_ms: float, met: list[bool]) -> None:
    """A ratio is the median of the rounds' ratios, so a slow round does not change it."""
    starts = {GLUEBRAKE: _starts(cpu_ms, 2 * cpu_ms), CONVENTIONAL: _starts(400, 800), BARE: _starts(100, 200)}
    section = report(starts, {GLUEBRAKE: 3_000_000, CONVENTIONAL: 20_000_000, BARE: 18_000_000})
    assert [target.met for target in section.targets[:2]] == met
    assert section.targets[1].measured == f"{cpu_ms / 100:.2f}"


def test_page_has_medians_and_the_command_prints_quartiles() -> None:
    """The table of the page has one figure in a cell."""
    starts = dict.fromkeys((GLUEBRAKE, CONVENTIONAL, BARE), _starts(10, 20))
    section = report(starts, dict.fromkeys(starts, 3_000_000))
    assert section.tables[0].rows[0][:2] == (GLUEBRAKE, "15")
    assert "to" in str(section.details[0].rows[0][1])


@pytest.mark.parametrize(("size", "met"), [(4_000_000, True), (4_000_001, False)])
def test_zip_has_a_size_limit(size: int, met: bool) -> None:  # noqa: FBT001 - pytest passes parameters
    """A zip of four megabytes is allowed, and one more byte is not."""
    starts = dict.fromkeys((GLUEBRAKE, CONVENTIONAL, BARE), _starts(1, 1))
    section = report(starts, dict.fromkeys(starts, size))
    assert section.targets[2].met is met
