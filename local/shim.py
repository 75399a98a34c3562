"""The emulator's process: correct ministack where it differs from AWS, then start it.

`local.emulator` starts this process as the leader of a process group with a pipe as standard input. The pipe
closes when the parent process ends, even by SIGKILL. Then the shim ends the whole group and removes the
emulator's directory.
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
CHILD_EXIT_SECONDS: Final = 1.0
_shutdown_lock = threading.Lock()


def run(directory: Path) -> None:
    """Correct ministack and serve until standard input closes."""
    _check_environment()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_shut_down_with_parent, args=[directory], daemon=True).start()
    try:
        _serve(directory)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _shut_down(directory)


def _check_environment() -> None:
    if (found := version("ministack")) != MINISTACK:
        raise SystemExit(
            f"local/shim.py patches ministack {MINISTACK}, but version {found} is installed. "
            f"Run: pip install ministack=={MINISTACK}. To support {found}, run tests/local with it."
        )
    if os.getpgrp() != os.getpid():
        raise SystemExit("local/shim.py ends its whole process group. Start it through local.emulator.")


def _serve(directory: Path) -> None:
    from local import (  # noqa: PLC0415 - after the version check
        alarms,
        glue_jobs,
        glue_runs,
        iam,
        queue_batches,
        schedules,
        stubs,
    )

    glue_jobs.install()
    # `glue_runs` logs the calls of all operations, so it comes after `glue_jobs`, which adds operations.
    glue_runs.install(directory)
    queue_batches.install()
    alarms.install()
    schedules.install()
    iam.install()
    stubs.install()
    os.environ["LOG_LEVEL"] = "WARNING"
    from ministack.app import main  # noqa: PLC0415 - reads LOG_LEVEL on import

    # The functions inherit this environment, and their logger reads LOG_LEVEL too.
    del os.environ["LOG_LEVEL"]
    sys.argv = ["ministack"]
    main()


def _shut_down_with_parent(directory: Path) -> NoReturn:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    _shut_down(directory)


def _shut_down(directory: Path) -> NoReturn:
    """End the process group, including this process. A second caller waits on the lock until it is killed."""
    with _shutdown_lock:
        os.killpg(0, signal.SIGTERM)
        _wait_for_children(time.monotonic() + CHILD_EXIT_SECONDS)
        shutil.rmtree(directory, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)
        raise SystemExit


def _wait_for_children(deadline: float) -> None:
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
