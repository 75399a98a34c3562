"""The protect tag in another case: IAM compares tag keys without regard to case."""

from __future__ import annotations

import pytest

from tests.support.fakes.faults import Refused
from tests.support.simulated_aws import SimulatedAws


@pytest.mark.parametrize("key", ["gluebrake:protect", "Gluebrake:Protect", "GLUEBRAKE:pRoTeCt"])
def test_denied_job_is_protected_whatever_the_case_of_its_tag(simulation: SimulatedAws, key: str) -> None:
    """IAM denies the call because of the tag, so the outcome is Protected, without a dead letter."""
    simulation.aws.glue.add_job("etl", tags={"team": "a", key: ""})
    _deny(simulation)
    assert simulation.history("etl", "jr") == ["Protected"]
    assert not simulation.dead_letters()


@pytest.mark.parametrize("key", ["gluebrake:protected", "gluebrake", "protect", "gluebrake:protect ", ""])
def test_denied_job_with_another_tag_has_failed(simulation: SimulatedAws, key: str) -> None:
    """A tag with another key does not explain why IAM denies the call."""
    simulation.aws.glue.add_job("etl", tags={key: "gluebrake:protect"})
    _deny(simulation)
    assert simulation.history("etl", "jr") == ["Failed"]
    assert [code for _, code, *_ in simulation.dead_letters()] == ["AccessDeniedException"]


def _deny(simulation: SimulatedAws) -> None:
    simulation.aws.glue.add_run("etl", "jr")
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="BatchStopJobRun")
    simulation.request_stop("etl", "jr")
    simulation.run()
