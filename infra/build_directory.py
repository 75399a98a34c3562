"""Directories in build/ that are filled once and then reused."""

import tempfile
from collections.abc import Callable
from pathlib import Path


def filled(directory: Path, fill: Callable[[Path], None]) -> Path:
    """Return `directory`. If it does not exist, `fill` writes its content.

    Its name has a hash of everything that the content depends on. A failed build leaves nothing, and concurrent
    builds leave one complete directory.
    """
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix="unfinished-") as scratch:
            content = Path(scratch) / "content"
            content.mkdir()
            fill(content)
            _publish(content, directory)
    return directory


def _publish(content: Path, directory: Path) -> None:
    try:
        content.rename(directory)
    except OSError:
        # Another build may have published the same content first. It is used then.
        if not directory.exists():
            raise
