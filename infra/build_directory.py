"""Directories in build/ that are filled once and then reused."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def filled(directory: Path, fill: Callable[[Path], None]) -> Path:
    """Return `directory`. If it does not exist, `fill` writes its content.

    The directory's name has a hash of everything that the content depends on. A failed or killed build leaves
    no incomplete directory. Of concurrent builds, the first writes the content and the others wait.
    """
    while not directory.exists():
        with _scratch(directory.with_name(f"unfinished-{directory.name}")) as scratch:
            if scratch and not directory.exists():
                content = scratch / "content"
                content.mkdir()
                fill(content)
                content.rename(directory)
    return directory


@contextmanager
def _scratch(path: Path) -> Iterator[Path | None]:
    """Create an empty directory for this process alone, and remove it at the end.

    Yield None if another process removed the directory before this process locked it. If a process is killed,
    the operating system releases its lock.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY)
    except (FileExistsError, FileNotFoundError):
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not _is_open_at(descriptor, path):
            yield None
            return
        _remove_content(path)
        try:
            yield path
        finally:
            shutil.rmtree(path)
    finally:
        os.close(descriptor)


def _is_open_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_content(directory: Path) -> None:
    """Remove the files that a killed build has left."""
    for path in directory.iterdir():
        shutil.rmtree(path)
