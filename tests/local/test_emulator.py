"""An emulator leaves no process or file, even if it is killed, and does not affect another emulator."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import emulator as module
from local import jobs
from local.emulator import ROOT, Emulator, EmulatorError, running
from tests.support.eventually import eventually

PARENT = """
import json, signal, time
from local import jobs
from local.emulator import running

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background jobs
with running() as emulator:
    jobs.create(emulator.aws, ["job"])
    jobs.start(emulator.aws, "job", 3)
    print(json.dumps([emulator.process.pid, str(emulator.directory)]), flush=True)
    time.sleep(600)
"""


def _running_processes(group: int) -> list[str]:
    """Return the processes of a group that are still running. Zombies have ended."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], check=True, capture_output=True, text=True)
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [args for pgid, stat, args in rows if int(pgid) == group and not stat.startswith("Z")]


@pytest.mark.parametrize("termination", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_everything_ends_with_the_parent(termination: signal.Signals) -> None:
    """When the parent ends, even by SIGKILL, the emulator and the runs end and the directory is removed."""
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        group, directory = json.loads(parent.stdout.readline())
        before = _running_processes(group)
        parent.send_signal(termination)
    assert len(before) == 4
    eventually(lambda: not _running_processes(group))
    assert not Path(directory).exists()


@pytest.mark.parametrize("termination", [signal.SIGKILL, signal.SIGTERM])
def test_everything_ends_with_a_killed_emulator(termination: signal.Signals) -> None:
    """When the emulator itself is killed, its runs and its directory are removed at the end of the block."""
    with running() as emulator:
        jobs.create(emulator.aws, ["job"])
        jobs.start(emulator.aws, "job", 1)
        os.kill(emulator.process.pid, termination)
    assert not _running_processes(emulator.process.pid)
    assert not emulator.directory.exists()


def test_two_emulators_are_independent(emulator: Emulator) -> None:
    """A job of one emulator does not exist in another, and the end of one does not end the other."""
    with running() as second:
        jobs.create(second.aws, ["only-here"])
        assert second.aws.endpoint != emulator.aws.endpoint
    names = [job["Name"] for job in emulator.aws.glue.get_jobs()["Jobs"]]
    assert "only-here" not in names


def test_it_listens_on_127_0_0_1_only(emulator: Emulator) -> None:
    """On another address of this machine, the emulator's port is closed."""
    port = int(emulator.aws.endpoint.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", port)) != 0


def test_failed_start_is_reported_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the emulator cannot start, the error has its output."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(module, "_free_port", lambda: taken.getsockname()[1])
        with pytest.raises(EmulatorError, match="already in use"), running():
            pass


def test_another_version_of_ministack_is_refused(tmp_path: Path) -> None:
    """The shim refuses a version of ministack that it does not support, and names the supported version."""
    code = f"from local import shim; shim.MINISTACK = '0.0'; shim.run({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "install ministack==0.0" in done.stderr


def test_no_credentials_reach_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that select an account are removed. Variables that other tools need are kept."""
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/a/bundle.pem")
    monkeypatch.setenv("NO_PROXY", "intranet")
    kept = module.inherited_environment()
    assert not {"AWS_PROFILE", "LOG_LEVEL"} & kept.keys()
    assert (kept["AWS_CA_BUNDLE"], kept["NO_PROXY"]) == ("/a/bundle.pem", "intranet,127.0.0.1")
