"""The table of stages gives the stack the names and the operations of each function."""

from __future__ import annotations

import pytest

from gluebrake.stages import STAGES, operations

pytestmark = pytest.mark.disable_socket


def test_title_starts_the_names_of_a_stages_resources() -> None:
    """The outputs of the stack, such as StopQueueUrl, begin with it."""
    assert [stage.title for stage in STAGES.values()] == ["Stop", "Confirm", "Sweep"]


def test_operations_of_several_stages_are_listed_once() -> None:
    """Services and operations are sorted, so that the package of a function is the same each time."""
    stop, confirm, both = operations(["stop"]), operations(["confirm"]), operations(["stop", "confirm"])
    assert list(both) == sorted(both)
    assert both["glue"] == tuple(sorted({*stop["glue"], *confirm["glue"]}))
    assert "BatchStopJobRun" not in confirm["glue"]
    assert {"ListJobs", *both["glue"]} <= {*operations()["glue"]}
