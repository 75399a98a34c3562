"""Runs inside the emulator's process: corrects ministack where it differs from AWS, then starts it.

Started by `local.emulator` alone, as the leader of a process group, with a pipe for standard input: when that
closes, however the parent ended, the whole group and the directory end with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final, NoReturn

MINISTACK: Final = "1.5.33"
CHILDREN_SECONDS: Final = 1.0
_ending = threading.Lock()


def run(directory: Path) -> None:
    """Correct ministack and serve until standard input closes."""
    _check()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_end_with_parent, args=[directory], daemon=True).start()
    try:
        _serve(directory)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(directory)


def _check() -> None:
    if (found := version("ministack")) != MINISTACK:
        raise SystemExit(
            f"local/shim.py corrects ministack {MINISTACK} from the inside, but {found} is installed: "
            f"install ministack=={MINISTACK}, or check each correction against {found} (tests/local)."
        )
    if os.getpgrp() != os.getpid():
        raise SystemExit("local/shim.py ends its whole process group: start it through local.emulator.")


def _serve(directory: Path) -> None:
    # These import ministack, whose version is checked first.
    from local import alarms, glue_runs, permissions, queue_batches, stubs  # noqa: PLC0415

    glue_runs.install(directory)
    queue_batches.install()
    alarms.install()
    permissions.install()
    stubs.install()
    os.environ["LOG_LEVEL"] = "WARNING"
    from ministack.app import main  # noqa: PLC0415

    # The functions inherit this environment, and their logger reads the same variable.
    del os.environ["LOG_LEVEL"]
    sys.argv = ["ministack"]
    main()


def _end_with_parent(directory: Path) -> NoReturn:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    _end(directory)


def _end(directory: Path) -> NoReturn:
    """End the process group, this process included: the second caller waits here for its own end."""
    with _ending:
        os.killpg(0, signal.SIGTERM)
        _reap(time.monotonic() + CHILDREN_SECONDS)
        shutil.rmtree(directory, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)
        raise SystemExit


def _reap(deadline: float) -> None:
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
