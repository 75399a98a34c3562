"""The stack's canary job: its tags, its runs, and stop requests for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from gluebrake.aws import glue_responses
from gluebrake.contract import StopRequest
from gluebrake.decisions.planning import Limits
from gluebrake.settings import SettingsError, StopSettings, load
from gluebrake_cli.errors import DEPLOY, OperatorError
from gluebrake_cli.proofs import Answer, RunReading, is_emulator, parse_answer
from gluebrake_cli.tables import place

if TYPE_CHECKING:
    from gluebrake_cli.clients import Clients
    from gluebrake_cli.stack import Deployment

OUTPUT: Final = "CanaryJobName"
"""The stack's output with the name of the canary job."""


@dataclass(frozen=True)
class Canary:
    """The canary job of a deployment. A run lasts ten minutes unless it is stopped."""

    deployment: Deployment
    job_name: str
    settings: StopSettings
    """The settings of the STOP function."""
    requested_by: str

    @property
    def clients(self) -> Clients:
        """The deployment's clients."""
        return self.deployment.clients

    @property
    def on_emulator(self) -> bool:
        """Whether the deployment is on an emulator."""
        return is_emulator(self.deployment.aws_environment.account)

    @property
    def arn(self) -> str:
        """The ARN of the job."""
        return self.settings.job_arn_prefix + self.job_name

    def protect_tags(self) -> dict[str, str]:
        """Return the tags of the job that are the protect tag to IAM, which ignores the case of a key."""
        tags = self.clients.glue.get_tags(ResourceArn=self.arn)["Tags"]
        key = self.settings.protect_tag.casefold()
        return {name: value for name, value in tags.items() if name.casefold() == key}

    def set_protect_tags(self, tags: Mapping[str, str]) -> None:
        """Give the job these protect tags and no others."""
        if surplus := sorted(self.protect_tags().keys() - tags.keys()):
            self.clients.glue.untag_resource(ResourceArn=self.arn, TagsToRemove=surplus)
        if tags:
            self.clients.glue.tag_resource(ResourceArn=self.arn, TagsToAdd=tags)

    def active_run_ids(self) -> list[str]:
        """Return the ids of the job's active runs."""
        runs = self.deployment.active_runs(self.job_name, datetime.now(UTC))
        return [run.run_id for run in runs if run.is_active]

    def start(self) -> str:
        """Start a run and return its id, empty if the job has the most active runs that Glue allows."""
        try:
            return self.clients.glue.start_job_run(JobName=self.job_name)["JobRunId"]
        except self.clients.glue.exceptions.ConcurrentRunsExceededException:
            return ""

    def read(self, run_id: str) -> RunReading:
        """Read a run. Glue may not show a run that has just started."""
        try:
            run = self.clients.glue.get_job_run(JobName=self.job_name, RunId=run_id)["JobRun"]
        except self.clients.glue.exceptions.EntityNotFoundException:
            return RunReading()
        facts = glue_responses.run_facts(run)
        has_started_on = facts is not None and facts.started_on is not None
        return RunReading(run["JobRunState"], has_started_on, run.get("ErrorMessage", ""))

    def request(self, run_id: str, reason: str, *, dry_run: bool = False) -> StopRequest:
        """Return a stop request for a run."""
        return StopRequest(
            job_name=self.job_name,
            job_run_ids=(run_id,),
            reason=reason,
            requested_by=self.requested_by,
            dry_run=dry_run,
        )

    def ask(self, request: StopRequest) -> Answer:
        """Invoke STOP with a request for one run, and return the answer of STOP."""
        name = self.deployment.function_names["stop"]
        answer = self.clients.lambda_.invoke(FunctionName=name, Payload=msgspec.json.encode(request))
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise OperatorError(f"the STOP function failed: {payload}")
        return parse_answer(payload)

    def send(self, request: StopRequest) -> str:
        """Send a request to the stop queue. Return the message's id."""
        return self.deployment.stop_queue.send_one(msgspec.json.encode(request).decode())

    def stop(self, run_ids: Sequence[str]) -> None:
        """Stop runs with the operator's credentials. Raise OperatorError if Glue refuses to stop a run."""
        answer = self.clients.glue.batch_stop_job_run(JobName=self.job_name, JobRunIds=run_ids)
        for error in answer["Errors"]:
            detail = error["ErrorDetail"]
            raise OperatorError(f"{error['JobRunId']}: {detail['ErrorCode']}: {detail['ErrorMessage']}")


def find(deployment: Deployment) -> Canary:
    """Find the canary job. Raise OperatorError if it does not exist, or if STOP would never stop its runs."""
    name = deployment.outputs.get(OUTPUT, "")
    if not name:
        raise OperatorError(
            f"the stack {deployment.stack!r} {place(deployment.aws_environment)} has no output {OUTPUT}: "
            f"it is of an older version. Deploy this version {DEPLOY}"
        )
    variables = deployment.configuration("stop").get("Environment", {}).get("Variables", {})
    try:
        settings = load(StopSettings, variables)
    except SettingsError as error:
        raise OperatorError(
            f"the STOP function's settings are of another version ({error}). Deploy this version {DEPLOY}"
        ) from error
    if reason := _never_stopped(name, settings):
        raise OperatorError(
            f"STOP stops no run of the canary job {name}: {reason}. "
            f"Change the configuration and deploy {DEPLOY}"
        )
    return Canary(deployment, name, settings, deployment.caller())


def _never_stopped(job_name: str, settings: StopSettings) -> str:
    """Return why the settings prevent STOP from stopping the job's runs, empty if STOP can stop them."""
    if settings.observe:
        return "observe is true, so every request is a dry run"
    rejection = Limits(settings.jobs, settings.protected_jobs, settings.max_runs_per_request).rejection(
        job_name
    )
    return rejection[2] if rejection else ""
