"""The cold start: what the first message costs that a new function works on."""

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
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import botocore

from benchmarks.report import Plot, Report, Table, Target
from benchmarks.runtime import ColdStart, Runtime, UnsupportedError, install
from gluebrake.settings import environment
from infra import artifact, config
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import REGION, FakeAws
from tests.support.simulated_aws import stop_request

ROUNDS: Final = 12

OURS: Final = "Gluebrake"
CONVENTIONAL: Final = "conventional"
COMPILED: Final = "conventional, compiled"
BARE: Final = "bare boto3"
EMPTY: Final = "empty"

# What our processor time may be of another's, and how large the zip may be.
LIMITS: Final[Mapping[str, float]] = {CONVENTIONAL: 0.40, BARE: 1.10}
ZIP_MB: Final = 4.0

_TITLE: Final = "Cold start"
_SOURCES: Final = Path(__file__).parent / "functions"
_QUEUES: Final = ("stop", "confirm", "dead_letter")
_JOB: Final = "nightly-etl"
_RUN: Final = "jr_" + "0" * 64

_TEXT: Final = f"""\
Each start is a new process of the function's zip, unpacked, under Lambda's own runtime client for Python
(`awslambdaric`) and AWS's runtime interface emulator. It is given one SQS message that names one run, and
stops that run at a fake Glue behind TLS on this machine. Processor time is the user and system time of the
function's process from its start to its answer. The emulator does not scale it to a memory setting.

- **{OURS}**: the STOP function as it is deployed. Beside stopping the run it sends it on to the confirm
  queue, with a second client.
- **{CONVENTIONAL}**: Powertools' Logger, Metrics, Tracer, parser and BatchProcessor, boto3, a call for each
  record, all packages as `pip install` leaves them. It starts without bytecode, as such functions do: the
  dates that the CDK, SAM and Serverless give files in a zip make Python refuse what pip compiled
  ([aws-lambda-builders#924](https://github.com/aws/aws-lambda-builders/issues/924),
  [serverless#13889](https://github.com/serverless/serverless/issues/13889)). The emulator hands no trace on,
  which spares its Tracer the sending.
- **{COMPILED}**: the same with bytecode that Python accepts, to tell which part of the difference that is.
- **{BARE}**: boto3 and one call, with bytecode and the whole of botocore.
- **{EMPTY}**: a handler that does nothing: what Python and the runtime client cost by themselves.
"""


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function as Lambda unpacks it."""

    code: Path
    handler: str
    zip_bytes: int


class Spread(NamedTuple):
    """The middle half of some values."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Find the quartiles of at least two values."""
        return cls(*quantiles(values, n=4, method="inclusive"))


def run(progress: Callable[[str], None]) -> Report:
    """Start every function cold, by turns; on a machine where none can be started, say so."""
    with TemporaryDirectory(prefix="gluebrake-cold-") as scratch:
        directory = Path(scratch)
        progress("installs the runtime client")
        try:
            runtime = Runtime.installed(directory / "runtime")
        except UnsupportedError as error:
            return Report(title=_TITLE, text=f"Not measured: {error}", tables=())
        progress("builds the functions")
        functions = _built(directory)
        with _aws(directory) as (aws, environ):
            starts = _rounds(runtime, functions, aws, environ, progress)
    return reported(starts, {label: function.zip_bytes for label, function in functions.items()})


def _rounds(
    runtime: Runtime,
    functions: Mapping[str, Function],
    aws: FakeAws,
    environ: Mapping[str, str],
    progress: Callable[[str], None],
) -> dict[str, list[ColdStart]]:
    starts: dict[str, list[ColdStart]] = {label: [] for label in functions}
    for number in range(ROUNDS + 1):
        progress(f"round {number} of {ROUNDS}")
        for label in isolate_poison_pills(list(functions), number):
            start = _start(runtime, functions[label], aws, environ, stops=label != EMPTY)
            # The first round finds the files on the disk, all others in memory.
            starts[label] += [start] if number else []
    return starts


def isolate_poison_pills(labels: Sequence[str], number: int) -> Sequence[str]:
    """Turn the order round in every other round, so that nobody always comes after the same neighbour."""
    return labels[::-1] if number % 2 else labels


def reported(starts: Mapping[str, Sequence[ColdStart]], zips: Mapping[str, int]) -> Report:
    """Compare what was measured."""
    cpu = {label: Spread.of([start.cpu_ms for start in of_label]) for label, of_label in starts.items()}
    return Report(
        title=_TITLE,
        text=_TEXT,
        tables=[_costs(starts, zips)],
        plots=[
            Plot(
                name="cold",
                caption="Processor time from the process's start to its first answer; median and quartiles.",
                x_label="",
                y_label="processor time, ms",
                series={label: [(0, spread.median)] for label, spread in cpu.items()},
                spread={label: [(spread.low, spread.high)] for label, spread in cpu.items()},
                kind="bar",
            )
        ],
        targets=[*_ratio_targets(starts), _zip_target(zips[OURS])],
    )


def _costs(starts: Mapping[str, Sequence[ColdStart]], zips: Mapping[str, int]) -> Table:
    columns = ("function", "init, ms", "first call, ms", "processor, ms", "peak memory, MiB", "zip, MB")
    measures = tuple(map(attrgetter, ("init_ms", "first_ms", "cpu_ms", "peak_mib")))
    rows = [
        (
            label,
            *(_shown(Spread.of([*map(measure, of_label)])) for measure in measures),
            f"{zips[label] / 1e6:.2f}",
        )
        for label, of_label in starts.items()
    ]
    note = (
        f"Median (quartiles) of {len(starts[OURS])} starts each."
        " Init and first call are by the clock, which goes on while the machine does other things."
    )
    return Table(title="What the first message costs", columns=columns, rows=rows, note=note)


def _shown(spread: Spread) -> str:
    return f"{spread.median:.0f} ({spread.low:.0f} to {spread.high:.0f})"


def _ratio_targets(starts: Mapping[str, Sequence[ColdStart]]) -> Iterator[Target]:
    for label, limit in LIMITS.items():
        pairs = zip(starts[OURS], starts[label], strict=True)
        ratio = Spread.of([ours.cpu_ms / theirs.cpu_ms for ours, theirs in pairs])
        yield Target(
            what=f"cold start (init and first call, processor time) as a part of the {label} function's",
            limit=f"≤ {limit:.2f}",
            measured=f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
            met=ratio.median <= limit,
        )


def _zip_target(size: int) -> Target:
    return Target(
        what="the functions' zip, sources and bytecode",
        limit=f"≤ {ZIP_MB:g} MB",
        measured=f"{size / 1e6:.2f} MB",
        met=size <= ZIP_MB * 1e6,
    )


def _start(
    runtime: Runtime, function: Function, aws: FakeAws, environ: Mapping[str, str], *, stops: bool
) -> ColdStart:
    """Start the function cold on one message; one that does not do its work must not be measured."""
    run = aws.glue.add_run(_JOB, _RUN, stopping_seconds=None)
    message = aws.sqs.add_queue("stop").put(stop_request(_JOB, _RUN))
    start = runtime.cold_start(function.code, function.handler, {"Records": [message.record()]}, environ)
    if (run.state == "STOPPING") is not stops:
        raise RuntimeError(f"{function.handler} in {function.code} left the run {run.state}: {start.answer}")
    return start


@contextmanager
def _aws(directory: Path) -> Iterator[tuple[FakeAws, Mapping[str, str]]]:
    """Run an AWS behind TLS; yield it, and the environment of a function that speaks to it."""
    import trustme  # noqa: PLC0415 - it is there only where benchmarks run

    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    # What botocore reads by default, and one authority more: reading it is a part of a cold start.
    bundle = directory / "authorities.pem"
    known = (Path(botocore.__file__).parent / "cacert.pem").read_bytes()
    bundle.write_bytes(known + authority.cert_pem.bytes())
    with FakeAws(tls=tls) as aws:
        urls = {f"{name}_queue_url": aws.sqs.add_queue(name).url for name in _QUEUES}
        yield aws, {**_account(aws, bundle), **environment({**urls, **SETTINGS})}


def _account(aws: FakeAws, bundle: Path) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "AWS_SESSION_TOKEN": "fake",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_CA_BUNDLE": str(bundle),
    }


def _built(directory: Path) -> dict[str, Function]:
    ours = artifact.build(config.load({"target": "local"}.get)).directory
    conventional, compiled, bare, empty = (directory / name for name in ("plain", "compiled", "bare", "empty"))
    _installed(conventional, _SOURCES / "conventional")
    _installed(bare, _SOURCES / "bare")
    shutil.copytree(conventional, compiled)
    empty.mkdir()
    (empty / "app.py").write_text("def handler(event, context):\n    return {}\n")
    for code in (compiled, bare, empty):
        _compile(code)
    return {
        OURS: _unpacked(ours, "gluebrake.handlers.stop.handler", directory / "zips" / "ours"),
        CONVENTIONAL: _unpacked(conventional, "app.handler", directory / "zips" / "conventional"),
        COMPILED: _unpacked(compiled, "app.handler", directory / "zips" / "compiled"),
        BARE: _unpacked(bare, "app.handler", directory / "zips" / "bare"),
        EMPTY: _unpacked(empty, "app.handler", directory / "zips" / "empty"),
    }


def _installed(code: Path, source: Path) -> None:
    install(source / "requirements.txt", code, compiled=False)
    shutil.copy(source / "app.py", code)


def _compile(code: Path) -> None:
    how = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([sys.executable, "-m", "compileall", *how, str(code)], check=True)


def _unpacked(content: Path, handler: str, place: Path) -> Function:
    """Put what the function holds into a zip, and unpack that as Lambda does."""
    archive = Path(shutil.make_archive(str(place), "zip", content))
    shutil.unpack_archive(archive, place)
    return Function(code=place, handler=handler, zip_bytes=archive.stat().st_size)
