"""An AWS account with guardrail policies, around the simulated SQS and Glue."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from gluebrake import settings
from gluebrake.policies import Policy
from gluebrake.sweep_contract import PolicyReport, SweepReport
from gluebrake_cli.stack import FUNCTIONS, Deployment
from tests.cli.canary_aws import SETTINGS
from tests.cli.hooked_calls import Answer, Answered, Http, answer_calls, captured_telemetry
from tests.support.sweeps import policy

GROUP: Final = "Gluebrake-Group"
SWEEP: Final = "sweeper"
"""The name of the SWEEP function."""


@dataclass
class PoliciesAws:
    """A stack with guardrail policies. A test changes it before it runs the command."""

    policies: Sequence[Policy] = (
        policy("runaway", max_minutes=60, schedule="rate(1 hour)"),
        policy("budget", on_signal=("budgets",), jobs=("dev-*",)),
    )
    settings: dict[str, Any] = field(default_factory=lambda: dict(SETTINGS))
    """The settings in the STOP function's environment."""
    mapping: str = "Enabled"
    """The state of SWEEP's event source mapping."""
    schedules: dict[str, str] = field(default_factory=dict)
    """The state of each policy's schedule, `ENABLED` by default. A schedule without a state does not exist."""
    log: list[tuple[datetime, str]] = field(default_factory=list)
    """The lines of SWEEP's log, each with its time."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further fields of each policy in the template."""
    refused: dict[str, str] = field(default_factory=dict)
    """By operation, the code with which the call is refused."""
    searches: list[Mapping[str, Any]] = field(default_factory=list)
    """The parameters of each search in the log."""

    def connect(self, deployment: Deployment) -> Deployment:
        """Return the deployment as it is with the policies."""
        clients = deployment.clients
        answers: list[tuple[Any, str, Answer]] = [
            (clients.cloudformation, "GetTemplate", self._get_template),
            (clients.cloudformation, "ListStackResources", self._list_stack_resources),
            (clients.lambda_, "GetFunctionConfiguration", self._get_function_configuration),
            (clients.lambda_, "ListEventSourceMappings", self._list_event_source_mappings),
            (clients.scheduler, "GetSchedule", self._get_schedule),
            (clients.logs, "FilterLogEvents", self._filter_log_events),
        ]
        answer_calls(answers, self.refused)
        return replace(deployment, outputs={**deployment.outputs, FUNCTIONS["sweep"]: SWEEP})

    def sweep(self, *reports: PolicyReport, ago: timedelta = timedelta(minutes=12), **changes: Any) -> None:
        """Let SWEEP log a report."""
        swept_at = datetime.now(UTC) - ago
        fields = {"complete": True, "jobs_not_read": (), "errors": (), "policies": reports, "runs": ()}
        report = SweepReport(swept_at=swept_at, **{**fields, **changes})
        with captured_telemetry("sweep") as (telemetry, output):
            telemetry.record_report(report, will_repeat=False)
        self.log += [(swept_at, line) for line in output.getvalue().splitlines()]

    def _get_template(self, _parameters: Mapping[str, Any]) -> Answered:
        described = [{**msgspec.to_builtins(p), **self.more, "hash": p.hash} for p in self.policies]
        body = {"Resources": self._resources(), "Metadata": {"Gluebrake::Policies": described}}
        return Http(), {"TemplateBody": body if described else {"Resources": {}}}

    def _resources(self) -> dict[str, Any]:
        target = {"Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}
        return {
            "Group": {"Type": "AWS::Scheduler::ScheduleGroup"},
            "CanarySchedule": {
                "Type": "AWS::Scheduler::Schedule",
                "Properties": {"Target": {**target, "Input": '{"JobName": "Gluebrake-canary"}'}},
            },
            **{
                f"Schedule{each.name}": {
                    "Type": "AWS::Scheduler::Schedule",
                    "Properties": {
                        "GroupName": {"Ref": "Group"},
                        "Target": {**target, "Input": json.dumps({"Policies": [each.name], "Due": "<time>"})},
                    },
                }
                for each in self.policies
                if each.schedule
            },
        }

    def _list_stack_resources(self, _parameters: Mapping[str, Any]) -> Answered:
        names = {"Group": GROUP, **{f"Schedule{each.name}": each.name for each in self.policies}}
        listed = [
            {"LogicalResourceId": logical_id, "PhysicalResourceId": name, "ResourceType": "x"}
            for logical_id, name in {**names, "CanarySchedule": "canary"}.items()
        ]
        return Http(), {"StackResourceSummaries": listed}

    def _get_function_configuration(self, parameters: Mapping[str, Any]) -> Answered:
        variables = settings.environment(self.settings)
        log_group = f"/{parameters['FunctionName']}"
        return Http(), {"Environment": {"Variables": variables}, "LoggingConfig": {"LogGroup": log_group}}

    def _list_event_source_mappings(self, parameters: Mapping[str, Any]) -> Answered:
        state = self.mapping if parameters["FunctionName"] == SWEEP else "Enabled"
        return Http(), {"EventSourceMappings": [{"State": state, "UUID": "x"}] if state else []}

    def _get_schedule(self, parameters: Mapping[str, Any]) -> Answered:
        assert parameters["GroupName"] == GROUP
        if state := self.schedules.get(parameters["Name"], "ENABLED"):
            return Http(), {"State": state}
        return Http(404), {"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}

    def _filter_log_events(self, parameters: Mapping[str, Any]) -> Answered:
        self.searches.append(parameters)
        since, until = parameters["startTime"], parameters.get("endTime", float("inf"))
        found = [line for time, line in self.log if since <= time.timestamp() * 1000 <= until]
        return Http(), {
            "events": [{"message": line} for line in found if parameters["logGroupName"] == f"/{SWEEP}"]
        }


def report(of: Policy, **changes: Any) -> PolicyReport:
    """Build what a sweep found for a policy: of 40 jobs, 3 runs that match, all of which it stops."""
    fields: dict[str, Any] = {
        "policy": of.name,
        "hash": of.hash,
        "mode": of.mode,
        "trigger": "schedule",
        "due": datetime.now(UTC),
        "jobs": 40,
        "jobs_not_read": 0,
        "matched": 3,
        "warned": 0,
        "stoppable": 3,
        "max_runs": of.max_runs,
        "over_cap": False,
        "stop_requested": 3,
        "not_matched": {},
    }
    return PolicyReport(**{**fields, **changes})
