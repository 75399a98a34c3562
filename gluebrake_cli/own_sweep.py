"""A sweep in the process of the command: the code of SWEEP, with the operator's credentials."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from gluebrake.aws.job_reader import JobReader, Pace
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import IDS_IN_A_MESSAGE
from gluebrake.policies import DuePolicy, Policy, Trigger
from gluebrake.prices import Prices
from gluebrake.settings import PREFIX, SettingsError, load
from gluebrake.sweeping import sweep
from gluebrake_cli import interrupts
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.sweep_result import SweepResult

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment


class _Settings(Struct, frozen=True, rename=lambda name: PREFIX + name.upper()):
    """The settings of STOP that a sweep needs: which runs STOP may stop."""

    job_arn_prefix: str
    jobs: tuple[str, ...]
    protected_jobs: tuple[str, ...]
    protect_tag: str
    max_runs_per_request: Annotated[int, Meta(ge=1)]
    price_per_dpu_hour: Prices = Prices()


def sweep_jobs(
    deployment: Deployment, policy: Policy, due: datetime, progress: Callable[[int, int], None]
) -> SweepResult:
    """Sweep all jobs that the policy considers. `progress` gets the number of jobs read, and of all jobs."""
    settings = _settings(deployment)
    ids_in_a_request = min(IDS_IN_A_MESSAGE, settings.max_runs_per_request)
    swept = sweep(
        [DuePolicy(policy, due, Trigger.COMMAND)],
        _reader(deployment, settings),
        limits=Limits(settings.jobs, settings.protected_jobs, settings.max_runs_per_request),
        ids_in_a_request=ids_in_a_request,
        prices=settings.price_per_dpu_hour,
        shuffle=random.shuffle,
        progress=progress,
    )
    return SweepResult(
        policy=policy,
        report=swept.report(datetime.now(UTC)),
        left=swept.conclusion.left,
        ids_in_a_request=ids_in_a_request,
    )


def _reader(deployment: Deployment, settings: _Settings) -> JobReader:
    return JobReader(
        deployment.clients.glue,
        job_arn_prefix=settings.job_arn_prefix,
        protect_tag=settings.protect_tag,
        # Without a deadline: the operator can wait, or press Ctrl-C.
        pace=Pace(lambda: math.inf, interrupts.sleep),
        closing_pace=Pace(lambda: math.inf, interrupts.sleep),
    )


def _settings(deployment: Deployment) -> _Settings:
    variables = deployment.configuration("stop").get("Environment", {}).get("Variables", {})
    try:
        return load(_Settings, variables)
    except SettingsError as error:
        raise OperatorError(
            f"the stack is of another version than this command, and its settings cannot be read: {error}"
        ) from error
