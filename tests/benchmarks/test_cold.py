"""What the benchmark of cold starts makes of its measurements."""

from __future__ import annotations

import pytest

from benchmarks.cold import BARE, CONVENTIONAL, OURS, Spread, isolate_poison_pills, reported
from benchmarks.runtime import ColdStart, UnsupportedError, durations, emulator_for

LOG = """\
24 Nov 2026 11:27:22,196 [INFO] (rapid) INIT START(type: on-demand, phase: init)
24 Nov 2026 11:27:22,632 [INFO] (rapid) INIT RTDONE(status: success)
24 Nov 2026 11:27:22,632 [INFO] (rapid) INIT REPORT(durationMs: 436.167000)
{"level":"INFO","message":"StopSubmitted"}
24 Nov 2026 11:27:22 [INFO] (rapid) INVOKE RTDONE(status: success, produced bytes: 0, duration: 136.422000ms)
REPORT RequestId: a097f84d\tInit Duration: 0.02 ms\tDuration: 572.77 ms\tBilled Duration: 573 ms
"""


def _starts(*cpu_ms: float) -> list[ColdStart]:
    return [ColdStart(init_ms=300, first_ms=80, cpu_ms=ms, peak_mib=43, answer={}) for ms in cpu_ms]


def test_durations_are_the_runtimes_own() -> None:
    """Init and first call are read where the emulator tells them right, not in its REPORT line."""
    assert durations(LOG) == (436.167, 136.422)


def test_a_log_without_an_invocation_is_shown() -> None:
    """When a function did not start, what the emulator said is in the error."""
    with pytest.raises(RuntimeError, match="Unable to import module"):
        durations("[ERROR] Runtime.ImportModuleError: Unable to import module 'app'")


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64"), ("win32", "x86_64")]
)
def test_a_machine_without_an_emulator_is_told_which_have_one(system: str, machine: str) -> None:
    """What cannot be measured here is said, with where it can."""
    with pytest.raises(UnsupportedError, match=f"linux on x86_64 and aarch64, none for {system} on {machine}"):
        emulator_for(system, machine)


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "x86_64"), ("aarch64", "arm64")])
def test_the_emulator_is_the_machines_own(machine: str, name: str) -> None:
    """Functions start on this machine's processor."""
    assert emulator_for("linux", machine) == f"aws-lambda-rie-{name}"


def test_each_round_turns_the_order_round() -> None:
    """Every function runs once a round, and none always after the same one."""
    assert [list(isolate_poison_pills("abc", number)) for number in range(3)] == [
        list("abc"),
        list("cba"),
        list("abc"),
    ]


def test_the_spread_is_the_middle_half() -> None:
    """A single slow start moves the median little, and the quartiles tell how much."""
    assert Spread.of([4, 1, 2, 3, 100]) == (2, 3, 4)


@pytest.mark.parametrize(
    ("ours", "met"), [(110.0, [False, True]), (80.0, [True, True]), (111.0, [False, False])]
)
def test_targets_compare_starts_of_the_same_round(ours: float, met: list[bool]) -> None:
    """A ratio is the median of the rounds' ratios, so that what slowed a whole round down does not count."""
    starts = {OURS: _starts(ours, 2 * ours), CONVENTIONAL: _starts(200, 400), BARE: _starts(100, 200)}
    report = reported(starts, {OURS: 3_000_000, CONVENTIONAL: 20_000_000, BARE: 18_000_000})
    assert [target.met for target in report.targets[:2]] == met
    assert report.targets[1].measured.startswith(f"{ours / 100:.2f} ")


@pytest.mark.parametrize(("size", "met"), [(4_000_000, True), (4_000_001, False)])
def test_the_zip_has_a_limit(size: int, met: bool) -> None:  # noqa: FBT001
    """Four megabytes are allowed, and no byte more."""
    starts = dict.fromkeys((OURS, CONVENTIONAL, BARE), _starts(1, 1))
    report = reported(starts, dict.fromkeys(starts, size))
    assert report.targets[2].met is met
