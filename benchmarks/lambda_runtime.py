"""Start functions cold in Lambda's runtime client for Python and AWS's runtime interface emulator."""

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

REQUIREMENTS: Final = Path(__file__).parents[1] / "requirements"

_EMULATORS: Final = {"x86_64": "aws-lambda-rie-x86_64", "aarch64": "aws-lambda-rie-arm64"}
_TIMEOUT_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.01
_INIT: Final = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_INVOKE: Final = re.compile(r"INVOKE RTDONE\(.*duration: ([\d.]+)ms\)")


class UnsupportedError(RuntimeError):
    """The runtime emulator does not run on this machine."""


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """The cost of a function's first invocation."""

    init_ms: float
    invoke_ms: float
    cpu_ms: float
    """User and system time of the function's process, from its start to its first response."""
    peak_mib: float
    response: Any


@dataclass(frozen=True)
class Runtime:
    """A Python with only the runtime client installed, and the emulator that invokes it."""

    python: Path
    emulator: Path

    @classmethod
    def install(cls, directory: Path) -> Runtime:
        """Install both, at pinned versions, into the directory."""
        emulator = emulator_for(sys.platform, platform.machine())
        install_requirements(REQUIREMENTS / "bench-runtime.txt", directory / "runtime", compiled=True)
        venv.create(directory / "python", symlinks=True)
        path = directory / "runtime/samcli/local/rapid" / emulator
        path.chmod(0o755)
        return cls(directory / "python/bin/python", path)

    def cold_start(self, code: Path, handler: str, event: Any, environ: Mapping[str, str]) -> ColdStart:
        """Start the function in a new process, invoke it once, and kill it."""
        address, runtime_api = _free_address(), _free_address()
        options = ["--runtime-interface-emulator-address", address, "--runtime-api-address", runtime_api]
        command = [*options, str(self.python), "-m", "awslambdaric", handler]
        with TemporaryFile("w+") as log, self._emulator(command, code, environ, log) as emulator:
            response = _invoke(f"http://{address}/2015-03-31/functions/function/invocations", event, emulator)
            (function,) = _children(emulator.pid)
            cpu_ms, peak_mib = _cpu_ms(function), _peak_mib(function)
            log.seek(0)
            init_ms, invoke_ms = durations(log.read())
        return ColdStart(
            init_ms=init_ms, invoke_ms=invoke_ms, cpu_ms=cpu_ms, peak_mib=peak_mib, response=response
        )

    @contextmanager
    def _emulator(
        self, arguments: list[str], code: Path, environ: Mapping[str, str], log: IO[str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        defaults = {
            "PATH": os.environ["PATH"],
            "HOME": str(code),  # hides the user's AWS configuration
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
            env={**defaults, **environ},
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
    """Return the name of the emulator's binary for a machine."""
    if system == "linux" and machine in _EMULATORS:
        return _EMULATORS[machine]
    supported = " and ".join(_EMULATORS)
    raise UnsupportedError(
        f"AWS's runtime emulator supports linux on {supported}, but not {system} on {machine}."
    )


def install_requirements(requirements: Path, directory: Path, *, compiled: bool) -> None:
    """Install a requirements file into a directory, as `pip install --target` does."""
    options = ["--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    paths = ["--python", sys.executable, "--target", str(directory), "--requirements", str(requirements)]
    bytecode = ["--compile-bytecode"] if compiled else []
    subprocess.run([uv.find_uv_bin(), "pip", "install", *options, *paths, *bytecode], check=True)


def durations(log: str) -> tuple[float, float]:
    """Return the first invocation's init and invoke durations from the emulator's log, in milliseconds.

    The Init Duration in the emulator's REPORT line is not the duration of the init phase.
    """
    init, invoke = _INIT.search(log), _INVOKE.search(log)
    if not init or not invoke:
        raise RuntimeError(f"the emulator's log has no invocation:\n{log}")
    return float(init[1]), float(invoke[1])


def _free_address() -> str:
    """Return an unused loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _invoke(url: str, event: Any, emulator: subprocess.Popen[bytes]) -> Any:
    opener = build_opener(ProxyHandler({}))
    for _ in range(int(_TIMEOUT_SECONDS / _POLL_SECONDS)):
        try:
            with opener.open(url, json.dumps(event).encode(), timeout=_TIMEOUT_SECONDS) as response:
                return json.load(response)
        except URLError:
            if emulator.poll() is not None:
                raise
            time.sleep(_POLL_SECONDS)
    raise TimeoutError(f"no response from {url}")


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for file in Path(f"/proc/{pid}/task").glob("*/children")
        for child in file.read_text().split()
    ]


def _cpu_ms(pid: int) -> float:
    # clock_getcpuclockid(3) computes the id of a process's CPU clock in this way. /proc resolves only 10 ms.
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


def _peak_mib(pid: int) -> float:
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kib) / 1024
