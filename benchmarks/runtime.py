"""Lambda's own runtime client and AWS's emulator of the service behind it: functions start cold in them."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import uv

REQUIREMENTS: Final = Path(__file__).parent / "functions" / "runtime.txt"

_EMULATORS: Final = {"x86_64": "aws-lambda-rie-x86_64", "aarch64": "aws-lambda-rie-arm64"}
_PATIENCE: Final = 60
_INIT: Final = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_FIRST: Final = re.compile(r"INVOKE RTDONE\(.*duration: ([\d.]+)ms\)")


class UnsupportedError(RuntimeError):
    """What functions start in does not run on this machine."""


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """What a function's first invocation cost: both of its parts, and the process up to its answer."""

    init_ms: float
    first_ms: float
    cpu_ms: float
    """User and system time of the function's process, from its start to its first answer."""
    peak_mib: float
    answer: Any


@dataclass(frozen=True)
class Runtime:
    """A Python that has nothing but the runtime client, and the emulator that speaks to it."""

    python: Path
    emulator: Path

    @classmethod
    def installed(cls, directory: Path) -> Runtime:
        """Fetch both, pinned, into the directory."""
        emulator = emulator_for(sys.platform, platform.machine())
        install(REQUIREMENTS, directory / "runtime", compiled=True)
        venv.create(directory / "python", symlinks=True)
        path = directory / "runtime/samcli/local/rapid" / emulator
        path.chmod(0o755)
        return cls(directory / "python/bin/python", path)

    def cold_start(self, code: Path, handler: str, event: Any, environ: Mapping[str, str]) -> ColdStart:
        """Start the function in a new process, invoke it once, and end it."""
        url, client = _free_address(), _free_address()
        where = ["--runtime-interface-emulator-address", url, "--runtime-api-address", client]
        function = [str(self.python), "-m", "awslambdaric", handler]
        with TemporaryFile("w+") as log, self._running([*where, *function], code, environ, log) as emulator:
            answer = _invoke(f"http://{url}/2015-03-31/functions/function/invocations", event, emulator)
            process = _only_child(emulator.pid)
            cpu_ms, peak_mib = _cpu_ms(process), _peak_mib(process)
            log.seek(0)
            init_ms, first_ms = durations(log.read())
        return ColdStart(init_ms=init_ms, first_ms=first_ms, cpu_ms=cpu_ms, peak_mib=peak_mib, answer=answer)

    @contextmanager
    def _running(
        self, arguments: list[str], code: Path, environ: Mapping[str, str], log: IO[str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        lambdas = {
            "PATH": os.environ["PATH"],
            "HOME": str(code),  # no AWS configuration of this machine's user
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(code),
            "PYTHONPATH": str(self.emulator.parents[3]),
            "PYTHONDONTWRITEBYTECODE": "1",  # /var/task is read-only
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
        }
        with subprocess.Popen(
            [str(self.emulator), *arguments],
            cwd=code,
            env={**lambdas, **environ},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                functions = _children(process.pid)
                process.kill()
                for function in functions:
                    with suppress(ProcessLookupError):
                        os.kill(function, signal.SIGKILL)


def emulator_for(system: str, machine: str) -> str:
    """Name the emulator that runs on such a machine."""
    if system == "linux" and machine in _EMULATORS:
        return _EMULATORS[machine]
    known = " and ".join(_EMULATORS)
    raise UnsupportedError(f"AWS has a runtime emulator for linux on {known}, none for {system} on {machine}.")


def install(requirements: Path, directory: Path, *, compiled: bool) -> None:
    """Put what a requirements file pins into a directory, as `pip install --target` does."""
    how = ["--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    where = ["--python", sys.executable, "--target", str(directory), "--requirements", str(requirements)]
    compiling = ["--compile-bytecode"] if compiled else []
    subprocess.run([uv.find_uv_bin(), "pip", "install", *how, *where, *compiling], check=True)


def durations(log: str) -> tuple[float, float]:
    """Read from the emulator's log how long the first invocation's two parts took, in milliseconds.

    The Init Duration in its REPORT line counts something else.
    """
    found = [pattern.search(log) for pattern in (_INIT, _FIRST)]
    if None in found:
        raise RuntimeError(f"the emulator's log tells of no invocation:\n{log}")
    init, first = (float(match[1]) for match in found if match)
    return init, first


def _free_address() -> str:
    """Return a loopback address that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _invoke(url: str, event: Any, emulator: subprocess.Popen[bytes]) -> Any:
    opener = build_opener(ProxyHandler({}))
    for _ in range(_PATIENCE * 100):
        try:
            with opener.open(url, json.dumps(event).encode(), timeout=_PATIENCE) as answer:
                return json.load(answer)
        except URLError:
            if emulator.poll() is not None:
                raise
            time.sleep(0.01)
    raise TimeoutError(f"{url} does not answer")


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for file in Path(f"/proc/{pid}/task").glob("*/children")
        for child in file.read_text().split()
    ]


def _only_child(pid: int) -> int:
    (child,) = _children(pid)
    return child


def _cpu_ms(pid: int) -> float:
    # CPUCLOCK_SCHED of a whole process, as clock_getcpuclockid(3) gives it: /proc counts in ticks of 10 ms.
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


def _peak_mib(pid: int) -> float:
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kib) / 1024
