"""The emulator as a child process on a free port of the loopback interface. Its child processes end with it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from local.aws import HOST, REGION, Aws

ROOT: Final = Path(__file__).parents[1]
DROPPED_PREFIXES: Final = ("AWS_", "LAMBDA_", "LOCALSTACK_", "LOG_LEVEL", "MINISTACK_", "POWERTOOLS_")
CA_VARIABLES: Final = ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""Variables that name trusted CA certificates. With them, a process would not trust the emulator's CA."""

IAM_AND_TLS: Final = {"AUTH": "true", "USE_SSL": "1"}
START_SECONDS: Final = 120.0
END_SECONDS: Final = 5.0


class EmulatorError(RuntimeError):
    """The emulator did not start. The text is its output."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator. When it ends, its process group ends and its directory is removed."""

    aws: Aws
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def calls_file(self) -> Path:
        """The file of JSON lines to which the shim writes every Glue call."""
        return self.directory / "glue-calls.jsonl"

    def start(self, command: list[str], output: IO[bytes], **env: str) -> subprocess.Popen[bytes]:
        """Start a process in the emulator's process group, so that it ends with the emulator at the latest."""
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**inherited_environment(), **env, "TMPDIR": str(self.directory)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=self.process.pid,
        )

    def glue_calls(self, operation: str) -> list[dict[str, Any]]:
        """Return the request of every call of a Glue operation so far, oldest first."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        calls = [json.loads(line) for line in lines]
        return [call["request"] for call in calls if call["operation"] == operation]


@contextlib.contextmanager
def running(*, enforce_iam: bool = False, **environ: str) -> Iterator[Emulator]:
    """Start an emulator for the `with` block. With `enforce_iam` it enforces IAM policies and serves TLS.

    `environ` has further variables of its environment, such as the variables `GLUEBRAKE_LOCAL_…`. Its standard
    input is a pipe from this process. When the pipe closes, even by SIGKILL of this process, the emulator ends.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="gluebrake-") as name, tempfile.TemporaryFile() as output:
        directory = Path(name)
        certificate = directory / "ministack-tls" / "server.crt" if enforce_iam else None
        process = _start(directory, port, output, environ, enforce_iam=enforce_iam)
        try:
            _wait_until_healthy(process, port, output, certificate)
            scheme = "https" if enforce_iam else "http"
            yield Emulator(Aws(f"{scheme}://{HOST}:{port}", certificate), directory, process)
        finally:
            _stop(process)


def inherited_environment() -> dict[str, str]:
    """Return this environment without variables that select an account or configure the emulator or Lambda."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(DROPPED_PREFIXES) or k == "AWS_CA_BUNDLE"}
    return {**kept, **{name: f"{kept.get(name, '')},{HOST}".lstrip(",") for name in ("NO_PROXY", "no_proxy")}}


def _start(
    directory: Path, port: int, output: IO[bytes], environ: Mapping[str, str], *, enforce_iam: bool
) -> subprocess.Popen[bytes]:
    kept = {k: v for k, v in inherited_environment().items() if not enforce_iam or k not in CA_VARIABLES}
    env = {
        **kept,
        **(IAM_AND_TLS if enforce_iam else {}),
        **environ,
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(directory / "s3"),
        "STATE_DIR": str(directory / "state"),
        "TMPDIR": str(directory),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "local.shim", directory],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        process_group=0,
    )


def _wait_until_healthy(
    process: subprocess.Popen[bytes], port: int, output: IO[bytes], certificate: Path | None
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not healthy(port, certificate):
        if process.poll() is not None or time.monotonic() > deadline:
            output.seek(0)
            raise EmulatorError(f"the emulator did not start:\n{output.read().decode()}")
        time.sleep(0.02)


def healthy(port: int, certificate: Path | None = None) -> bool:
    """Return whether an emulator answers on a port of this machine, over TLS if it has a certificate."""
    try:
        with contextlib.closing(_connection(port, certificate)) as connection:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _connection(port: int, certificate: Path | None) -> http.client.HTTPConnection:
    if certificate is None:
        return http.client.HTTPConnection(HOST, port, timeout=2)
    context = ssl.create_default_context(cafile=certificate)
    return http.client.HTTPSConnection(HOST, port, timeout=2, context=context)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    # If the leader of the group was killed, the other processes of the group may still be running.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
