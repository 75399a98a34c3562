"""The options of a sweep by hand, in one deployment or in several environments."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from gluebrake.policies import Policy
from gluebrake_cli import deployed_policies
from gluebrake_cli.facts import DeploymentFacts
from gluebrake_cli.progress import OnProgress
from gluebrake_cli.sweep_result import SweepResult
from gluebrake_cli.sweep_stops import StopOptions, Stops

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment


class SweepPlan(NamedTuple):
    """The policy or the name of a policy of the stack, its due time, and the options of stopping.

    With `explain`, the report also has the active runs that the policy does not match.
    """

    policy: Policy | str
    due: datetime
    stop: StopOptions
    explain: bool

    def read(self, deployment: Deployment, on_progress: OnProgress) -> SweepResult:
        """Sweep all jobs of a deployment. With --stop, raise OperatorError if the stack only observes."""
        from gluebrake_cli.own_sweep import sweep_jobs  # noqa: PLC0415 - loads botocore, which help does not need

        if self.stop.stop:
            deployment.refuse_under_observe("leave out --stop")
        return sweep_jobs(deployment, self._policy(deployment), self.due, on_progress)

    def _policy(self, deployment: Deployment) -> Policy:
        if isinstance(self.policy, Policy):
            return self.policy
        return deployed_policies.find(DeploymentFacts(deployment).template, self.policy)

    def members(self, deployment: Deployment, result: SweepResult, stops: Stops) -> dict[str, Any]:
        """Return the members of the JSON output."""
        return {
            "stack": deployment.stack,
            "observes": deployment.observes,
            "policy": result.policy,
            "report": result.requested(stops.messages.keys()),
            "left": result.left_runs if self.explain else None,
            **stops.as_json(),
            "wrong": [*result.problems, *stops.problems],
        }
