"""Measure cold starts: the cost of the first message in a new execution environment."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import botocore

from benchmarks.lambda_runtime import REQUIREMENTS, ColdStart, Runtime, UnsupportedError, install_requirements
from benchmarks.report import Plot, Report, Table, Target
from gluebrake.settings import environment
from infra import artifact, config
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import REGION, FakeAws
from tests.support.simulated_aws import stop_request

ROUNDS: Final = 12

GLUEBRAKE: Final = "Gluebrake"
CONVENTIONAL: Final = "conventional"
COMPILED: Final = "conventional, compiled"
BARE: Final = "bare boto3"
EMPTY: Final = "empty"

LIMITS: Final[Mapping[str, float]] = {CONVENTIONAL: 0.25, BARE: 0.80}
"""The highest ratio of Gluebrake's CPU time to another function's."""
MAX_ZIP_MB: Final = 4.0

_TITLE: Final = "Cold start"
_SOURCES: Final = Path(__file__).parent / "functions"
_QUEUES: Final = ("stop", "confirm", "dead_letter")
_JOB: Final = "nightly-etl"
_RUN: Final = "jr_" + "0" * 64

TEXT: Final = f"""\
Each start is a new process in Lambda's runtime client for Python. It receives a message that names one run,
and stops the run at a fake Glue behind TLS.

- **{GLUEBRAKE}**: STOP as deployed, which also sends to the confirm queue.
- **{CONVENTIONAL}**: Powertools and boto3 as `pip install` leaves them. Python recompiles them at each start,
  because deployment tools [change file dates](https://github.com/aws/aws-lambda-builders/issues/924).
- **{COMPILED}**: the same with valid bytecode.
- **{BARE}**: boto3 and one call, with bytecode.
- **{EMPTY}**: no work.
"""


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function's unpacked code, its handler and the size of its zip."""

    code: Path
    handler: str
    zip_bytes: int


class Quartiles(NamedTuple):
    """The quartiles of some values."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        """Return the quartiles of at least two values."""
        return cls(*quantiles(values, n=4, method="inclusive"))

    def __str__(self) -> str:
        return f"{self.median:.0f} ({self.low:.0f} to {self.high:.0f})"


def run(progress: Callable[[str], None]) -> Report:
    """Start every function cold, alternately. The report says so where the emulator is not available."""
    with TemporaryDirectory(prefix="gluebrake-cold-") as scratch:
        directory = Path(scratch)
        progress("installing the runtime client")
        try:
            runtime = Runtime.install(directory / "runtime")
        except UnsupportedError as error:
            return Report(title=_TITLE, text=f"Not measured: {error}", tables=())
        progress("building the functions")
        functions = _build_functions(directory)
        with _aws(directory) as (aws, environ):
            starts = _measure(runtime, functions, aws, environ, progress)
    return report(starts, {label: function.zip_bytes for label, function in functions.items()})


def _measure(
    runtime: Runtime,
    functions: Mapping[str, Function],
    aws: FakeAws,
    environ: Mapping[str, str],
    progress: Callable[[str], None],
) -> dict[str, list[ColdStart]]:
    starts: dict[str, list[ColdStart]] = {label: [] for label in functions}
    for number in range(ROUNDS + 1):
        progress(f"round {number} of {ROUNDS}")
        for label in order_of_round(list(functions), number):
            start = _start(runtime, functions[label], aws, environ, stops=label != EMPTY)
            # Round 0 reads the files from disk and later rounds from the page cache, so it does not count.
            starts[label] += [start] if number else []
    return starts


def order_of_round(labels: Sequence[str], number: int) -> Sequence[str]:
    """Reverse the order in every second round, so that no function always follows the same one."""
    return labels[::-1] if number % 2 else labels


def report(starts: Mapping[str, Sequence[ColdStart]], zips: Mapping[str, int]) -> Report:
    """Compare the functions' cold starts and the sizes of their zips."""
    cpu = {label: Quartiles.of([start.cpu_ms for start in group]) for label, group in starts.items()}
    return Report(
        title=_TITLE,
        text=TEXT,
        tables=[_summary(cpu, starts, zips)],
        details=[_costs(starts, zips)],
        plots=[
            Plot(
                name="cold",
                title="CPU time of a cold start and its first message (median and quartiles)",
                x_label="",
                y_label="milliseconds",
                series={label: [(0, quartiles.median)] for label, quartiles in cpu.items()},
                spread={label: [(quartiles.low, quartiles.high)] for label, quartiles in cpu.items()},
                kind="bar",
            )
        ],
        targets=[*_ratio_targets(starts), _zip_target(zips[GLUEBRAKE])],
    )


def _summary(
    cpu: Mapping[str, Quartiles], starts: Mapping[str, Sequence[ColdStart]], zips: Mapping[str, int]
) -> Table:
    rows = [
        (
            label,
            f"{cpu[label].median:,.0f}",
            f"{median(start.init_ms for start in group):,.0f}",
            f"{median(start.peak_mib for start in group):.0f}",
            f"{zips[label] / 1e6:.2f}",
        )
        for label, group in starts.items()
    ]
    return Table(
        title="A cold start and its first message",
        columns=("function", "CPU time, ms", "elapsed init, ms", "peak memory, MiB", "zip, MB"),
        rows=rows,
        note=f"Medians of {len(starts[GLUEBRAKE])} starts.",
    )


def _costs(starts: Mapping[str, Sequence[ColdStart]], zips: Mapping[str, int]) -> Table:
    columns = ("function", "CPU time, ms", "init, ms", "first invoke, ms", "peak memory, MiB", "zip, MB")
    measures = tuple(map(attrgetter, ("cpu_ms", "init_ms", "invoke_ms", "peak_mib")))
    rows = [
        (
            label,
            *(Quartiles.of([*map(measure, group)]) for measure in measures),
            f"{zips[label] / 1e6:.2f}",
        )
        for label, group in starts.items()
    ]
    note = f"Median (quartiles) of {len(starts[GLUEBRAKE])} starts. Init and first invoke are elapsed times."
    return Table(title="A cold start, with quartiles", columns=columns, rows=rows, note=note)


def _ratio_targets(starts: Mapping[str, Sequence[ColdStart]]) -> Iterator[Target]:
    for label, limit in LIMITS.items():
        pairs = zip(starts[GLUEBRAKE], starts[label], strict=True)
        ratio = Quartiles.of([start.cpu_ms / other.cpu_ms for start, other in pairs])
        yield Target(
            figure=f"CPU of a cold start, relative to {label}",
            limit=f"≤ {limit:.2f}",
            measured=f"{ratio.median:.2f}",
            met=ratio.median <= limit,
        )


def _zip_target(size: int) -> Target:
    return Target(
        figure="size of the functions' zip",
        limit=f"≤ {MAX_ZIP_MB:g} MB",
        measured=f"{size / 1e6:.2f} MB",
        met=size <= MAX_ZIP_MB * 1e6,
    )


def _start(
    runtime: Runtime, function: Function, aws: FakeAws, environ: Mapping[str, str], *, stops: bool
) -> ColdStart:
    """Start the function cold on one message, and check that it stopped the run."""
    run = aws.glue.add_run(_JOB, _RUN, stopping_seconds=None)
    message = aws.sqs.add_queue("stop").put(stop_request(_JOB, _RUN))
    start = runtime.cold_start(function.code, function.handler, {"Records": [message.record()]}, environ)
    if (run.state == "STOPPING") is not stops:
        raise RuntimeError(f"{function.handler} in {function.code} left the run {run.state}: {start.response}")
    return start


@contextmanager
def _aws(directory: Path) -> Iterator[tuple[FakeAws, Mapping[str, str]]]:
    """Run a fake AWS behind TLS. Yield it and the environment of a function that calls it."""
    import trustme  # noqa: PLC0415 - installed only for the benchmarks

    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    # botocore's own bundle and one more authority: reading the whole bundle is part of a cold start.
    bundle = directory / "authorities.pem"
    default = (Path(botocore.__file__).parent / "cacert.pem").read_bytes()
    bundle.write_bytes(default + authority.cert_pem.bytes())
    with FakeAws(tls=tls) as aws:
        urls = {f"{name}_queue_url": aws.sqs.add_queue(name).url for name in _QUEUES}
        yield aws, {**_aws_environment(aws, bundle), **environment({**urls, **SETTINGS})}


def _aws_environment(aws: FakeAws, bundle: Path) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "AWS_SESSION_TOKEN": "fake",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_CA_BUNDLE": str(bundle),
    }


def _build_functions(directory: Path) -> dict[str, Function]:
    gluebrake = artifact.build(config.load({"target": "local"}.get)).directory
    conventional, compiled, bare, empty = (directory / name for name in ("plain", "compiled", "bare", "empty"))
    _install("conventional", conventional)
    _install("bare", bare)
    shutil.copytree(conventional, compiled)
    empty.mkdir()
    (empty / "app.py").write_text("def handler(event, context):\n    return {}\n")
    for code in (compiled, bare, empty):
        _compile(code)
    return {
        GLUEBRAKE: _zipped(gluebrake, "gluebrake.handlers.stop.handler", directory / "zips" / "gluebrake"),
        CONVENTIONAL: _zipped(conventional, "app.handler", directory / "zips" / "conventional"),
        COMPILED: _zipped(compiled, "app.handler", directory / "zips" / "compiled"),
        BARE: _zipped(bare, "app.handler", directory / "zips" / "bare"),
        EMPTY: _zipped(empty, "app.handler", directory / "zips" / "empty"),
    }


def _install(name: str, code: Path) -> None:
    install_requirements(REQUIREMENTS / f"bench-{name}.txt", code, compiled=False)
    shutil.copy(_SOURCES / name / "app.py", code)


def _compile(code: Path) -> None:
    options = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([sys.executable, "-m", "compileall", *options, str(code)], check=True)


def _zipped(content: Path, handler: str, path: Path) -> Function:
    """Zip the code, and unpack the zip as Lambda does."""
    archive = Path(shutil.make_archive(str(path), "zip", content))
    shutil.unpack_archive(archive, path)
    return Function(code=path, handler=handler, zip_bytes=archive.stat().st_size)
