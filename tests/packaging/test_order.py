"""The tests begin with the slow files, and coverage does not measure generated examples."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from tests.conftest import SLOW, pytest_collection_modifyitems, pytest_runtest_call

TESTS: Final = Path(__file__).parents[1]


def test_each_slow_file_exists() -> None:
    """A file that was renamed would no longer be among the first."""
    assert [name for name in SLOW if not (TESTS / name).is_file()] == []
    assert len(set(SLOW)) == len(SLOW)


def test_slow_files_are_first_and_the_rest_keeps_its_order() -> None:
    """The order is the same in each worker, as xdist requires."""
    names = ["cli/test_app.py", SLOW[2], "unit/test_glue.py", SLOW[0], SLOW[2]]
    items: Any = [SimpleNamespace(path=TESTS / name) for name in names]
    pytest_collection_modifyitems(items)
    assert [item.path.relative_to(TESTS).as_posix() for item in items] == [
        SLOW[0],
        SLOW[2],
        SLOW[2],
        "cli/test_app.py",
        "unit/test_glue.py",
    ]


@pytest.mark.parametrize("is_marked", [True, False])
def test_unmeasured_test_has_no_tracer(*, is_marked: bool) -> None:
    """The tracer is suspended during the test, and installed again after it."""
    item: Any = SimpleNamespace(get_closest_marker=lambda name: is_marked and name == "unmeasured")
    previous = sys.gettrace()

    def tracer(*_: object) -> None:
        """Trace nothing."""

    sys.settrace(tracer)
    try:
        seen = [sys.gettrace() for _ in pytest_runtest_call(item)]
        seen.append(sys.gettrace())
    finally:
        sys.settrace(previous)
    assert seen == [None if is_marked else tracer, tracer]
