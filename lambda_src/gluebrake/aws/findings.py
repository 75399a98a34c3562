"""Findings from Glue's responses, and from calls without a response."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from gluebrake.aws import glue_responses
from gluebrake.aws.call_budget import botocore_retries
from gluebrake.error_codes import DENIED, NO_ANSWER, NOT_FOUND
from gluebrake.grouping import grouped
from gluebrake.model import Finding, Observation, RunFacts

Group = list[Finding]
"""Findings of runs of one job."""


class CallError(Exception):
    """A failed call to Glue. `code` is Glue's error code, or the exception's name."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


def not_called(finding: Finding) -> Finding:
    """Return the finding of a run whose call was not started. A run that Glue refused before stays unknown."""
    observation = Observation.UNKNOWN if finding.code else Observation.NOT_CALLED
    return replace(finding, observation=observation)


def without_response(finding: Finding, error: str) -> Finding:
    """Return the finding of a run that the response does not name: the call may have stopped the run."""
    code, error = finding.code or NO_ANSWER, finding.error or error
    return replace(finding, observation=Observation.UNKNOWN, code=code, error=error, response_lost=True)


def read_response(group: Group, response: Mapping[str, Any]) -> Group:
    """Return the finding of each run of the group from the response of BatchStopJobRun."""
    submitted, refused = glue_responses.submissions(response)
    repeated = botocore_retries(response) > 0
    findings = [replace(finding, code="", error="", response_lost=repeated) for finding in group]
    return [_answered(finding, submitted, refused) for finding in findings]


def _answered(finding: Finding, submitted: frozenset[str], refused: Mapping[str, tuple[str, str]]) -> Finding:
    run_id = finding.target.run.run_id
    if run_id in refused:
        code, error = refused[run_id]
        observation = Observation.DENIED if code in DENIED else Observation.UNKNOWN
        return replace(finding, observation=observation, code=code, error=error)
    if run_id in submitted:
        return replace(finding, observation=Observation.SUBMITTED)
    return without_response(finding, "Glue's answer names the run neither as submitted nor as refused")


def unread(finding: Finding, error: CallError) -> Finding:
    """Return the finding of a run whose state could not be read."""
    observation = Observation.NOT_FOUND if error.code == NOT_FOUND else Observation.CALL_FAILED
    return replace(finding, observation=observation, code=error.code, error=error.text)


def with_state(finding: Finding, run: RunFacts | None) -> Finding:
    """Return the finding with the state that was read. Without a state, the finding does not change."""
    return replace(finding, observation=Observation.STATE, run=run) if run else finding


def split(findings: Group, observation: Observation) -> tuple[Group, Group]:
    """Return the findings with this observation, and all other findings."""
    matching = [finding for finding in findings if finding.observation is observation]
    return matching, [finding for finding in findings if finding.observation is not observation]


def by_job(findings: Group) -> list[Group]:
    """Return the findings in groups, one group for each job."""
    return list(grouped(findings, attrgetter("target.run.job_name")).values())
