"""An emulator leaves nothing behind, however it or its parent ends, and disturbs no other."""

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

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
with running() as emulator:
    jobs.create(emulator.aws, ["job"])
    jobs.start(emulator.aws, "job", 3)
    print(json.dumps([emulator.process.pid, str(emulator.directory)]), flush=True)
    time.sleep(600)
"""


def _living(group: int) -> list[str]:
    """Return the processes of a group that have not ended; one that nobody has waited for yet has."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], check=True, capture_output=True, text=True)
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [args for pgid, stat, args in rows if int(pgid) == group and not stat.startswith("Z")]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_its_parent(ending: signal.Signals) -> None:
    """When the parent ends, even by SIGKILL, the emulator, the runs and the directory are gone."""
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        group, directory = json.loads(parent.stdout.readline())
        before = _living(group)
        parent.send_signal(ending)
    assert len(before) == 4
    eventually(lambda: not _living(group))
    assert not Path(directory).exists()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_killed_emulator(ending: signal.Signals) -> None:
    """When the emulator itself is killed, its runs and its directory end with the block that started it."""
    with running() as emulator:
        jobs.create(emulator.aws, ["job"])
        jobs.start(emulator.aws, "job", 1)
        os.kill(emulator.process.pid, ending)
    assert not _living(emulator.process.pid)
    assert not emulator.directory.exists()


def test_two_do_not_disturb_each_other(emulator: Emulator) -> None:
    """What one emulator holds does not show in another, and its end does not end the other."""
    with running() as other:
        jobs.create(other.aws, ["only-here"])
        assert other.aws.endpoint != emulator.aws.endpoint
    names = [job["Name"] for job in emulator.aws.glue.get_jobs()["Jobs"]]
    assert "only-here" not in names


def test_it_listens_on_the_loopback_interface_alone(emulator: Emulator) -> None:
    """Another address of this machine has nothing at the emulator's port."""
    port = int(emulator.aws.endpoint.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", port)) != 0


def test_a_failed_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator that cannot start is an error with its output."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(module, "_free_port", lambda: taken.getsockname()[1])
        with pytest.raises(EmulatorError, match="already in use"), running():
            pass


def test_another_ministack_is_refused(tmp_path: Path) -> None:
    """The shim does not run with a version that it was not written for, and says which one it wants."""
    code = f"from local import shim; shim.MINISTACK = '0.0'; shim.run({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "install ministack==0.0" in done.stderr


def test_no_credentials_reach_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that lead to an account are dropped; those that other tools need stay."""
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/a/bundle.pem")
    monkeypatch.setenv("NO_PROXY", "intranet")
    kept = module.inherited()
    assert not {"AWS_PROFILE", "LOG_LEVEL"} & kept.keys()
    assert (kept["AWS_CA_BUNDLE"], kept["NO_PROXY"]) == ("/a/bundle.pem", "intranet,127.0.0.1")
