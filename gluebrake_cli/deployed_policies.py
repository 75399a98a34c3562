"""The guardrail policies of a stack: their conditions, whether each is on, and the last finding of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from msgspec import Struct

from gluebrake.decisions import readable
from gluebrake.policies import TEMPLATE_METADATA, Policy
from gluebrake.sweep_contract import PolicyReport
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.health import WINDOWS, MappingState
from gluebrake_cli.sections import Sections

if TYPE_CHECKING:
    from gluebrake_cli.clients import Clients
    from gluebrake_cli.stack_template import StackTemplate

DELETED: Final = "deleted"
"""The state of a schedule that is in the template but does not exist in AWS."""

SWEEP: Final = "sweep"
"""The name of the function that applies the policies."""

REPORT: Final = "SweepReport"
"""The message of SWEEP's log lines with the report of a policy."""

# The longest window is more than a week, because a policy may be due once a week.
_WINDOWS: Final = (*WINDOWS, timedelta(days=8))


class DeployedPolicy(Struct, frozen=True):
    """A policy of the configuration. `hash` changes with any field of the policy."""

    policy: Policy
    hash: str


class LastSweep(Struct, frozen=True, kw_only=True, rename="camel"):
    """The last report of a policy, and the end of its sweep. `complete` means that every job was read."""

    swept_at: datetime
    complete: bool
    report: PolicyReport


class PolicyStatus(Struct, frozen=True, kw_only=True):
    """A deployed policy, the state of its schedule, and its last sweep.

    `schedule` is `ENABLED`, `DISABLED` or `deleted`. It is None without a schedule, or if reading it failed.
    """

    deployed: DeployedPolicy
    schedule: str | None
    last: LastSweep | None

    @property
    def policy(self) -> Policy:
        """The policy."""
        return self.deployed.policy

    @property
    def is_current(self) -> bool:
        """Whether the last sweep used the deployed version of the policy."""
        return self.last is None or self.last.report.hash == self.deployed.hash

    @property
    def problems(self) -> list[str]:
        """The problems of the policy. Findings of an earlier version of the policy do not count."""
        return [*self._problems()]

    def _problems(self) -> Iterator[str]:
        if self.schedule not in {None, "ENABLED"}:
            yield f"its schedule is {self.schedule}"
        if self.last is None or not self.is_current:
            return
        report = self.last.report
        if not report.jobs:
            yield "its last sweep considered 0 jobs"
        if report.jobs_not_read:
            yield f"its last sweep did not read {report.jobs_not_read} of {report.jobs} jobs"
        if report.over_cap and report.mode == "stop":
            runs = readable.count(report.stoppable, "run")
            yield f"it would stop {runs} and stops none, because maxRuns is {report.max_runs}"


class PolicyList(Struct, frozen=True, kw_only=True):
    """The policies of a stack. If a section cannot be read, it is empty and `unknown` has the error."""

    policies: Sequence[PolicyStatus]
    mapping: str
    """Lambda's word for the state of SWEEP's event source mapping, empty if it cannot be read."""
    unknown: Mapping[str, str]

    @property
    def problems(self) -> list[str]:
        """The problems that need attention."""
        is_off = self.policies and self.mapping not in {"", "Enabled"}
        return [
            *([f"SWEEP's mapping is {self.mapping}, so no policy is applied"] if is_off else []),
            *(f"{status.policy.name}: {text}" for status in self.policies for text in status.problems),
            *(f"{section}: {error}" for section, error in self.unknown.items()),
        ]

    def is_on(self, status: PolicyStatus) -> bool:
        """Return whether the policy is applied when it is due, as far as that is known."""
        return self.mapping in {"", "Enabled"} and status.schedule in {None, "ENABLED"}


class Source(Protocol):
    """The source of the data about policies. Each call can fail without the others."""

    @property
    def clients(self) -> Clients:
        """Return the AWS clients."""

    def mappings(self) -> Sequence[MappingState]:
        """Return the state of each function's event source mapping."""

    def log_messages(
        self, function: str, pattern: str, since: datetime, until: datetime | None
    ) -> Iterator[str]:
        """Yield the messages in a function's log that match `pattern`, from `since` to before `until`."""


def deployed(template: StackTemplate) -> list[DeployedPolicy]:
    """Return the policies of a stack's template. Raise OperatorError if one has fields of another version."""
    return [_deployed(described) for described in template.body.get("Metadata", {}).get(TEMPLATE_METADATA, ())]


def find(template: StackTemplate, name: str) -> Policy:
    """Return a policy of the stack by its name. Raise OperatorError if it does not exist or cannot be used."""
    policies = {deployed.policy.name: deployed for deployed in deployed(template)}
    if name not in policies:
        names = ", ".join(policies)
        hint = (
            f"its policies are {names}"
            if names
            else "it has none. docs/policies.md has examples, or give --jobs"
        )
        raise OperatorError(f"the stack has no policy {name!r}: {hint}")
    if changed := _changed(policies[name]):
        raise OperatorError(
            f"CloudFormation does not return the policy {name!r} as it was deployed: {changed[0]!r} has other"
            " characters there, outside of ASCII. Give the conditions of the policy as options"
        )
    return policies[name].policy


def _changed(deployed: DeployedPolicy) -> list[str]:
    """Return the conditions that CloudFormation may have changed, if the hash shows that it changed any.

    GetTemplate returns a question mark for each character outside of ASCII:
    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1220
    """
    policy = deployed.policy
    if deployed.hash == policy.hash:
        return []
    conditions = (*policy.jobs, *policy.exclude, *policy.tags, *policy.tags.values())
    return [text for text in conditions if "?" in text]


def _deployed(described: Mapping[str, Any]) -> DeployedPolicy:
    fields = {name: value for name, value in described.items() if name != "hash"}
    try:
        policy = msgspec.convert(fields, Policy)
    except msgspec.ValidationError as error:
        raise OperatorError(
            f"the policy {described.get('name')!r} is of another version than this command: {error}"
        ) from error
    return DeployedPolicy(policy, described.get("hash", policy.hash))


def read(source: Source, template: StackTemplate, now: datetime) -> PolicyList:
    """Read the state and the last sweep of each policy. If one section fails, the others are still read."""
    policies = deployed(template)
    if not policies:
        return PolicyList(policies=(), mapping="", unknown={})
    sections, names = Sections(), {deployed.policy.name for deployed in policies}
    mapping = sections.read("mapping", lambda: _mapping(source)) or ""
    schedules = sections.read("schedules", lambda: _schedules(source.clients, template)) or {}
    sweeps = sections.read("last sweeps", lambda: _last_sweeps(source, names, now)) or {}
    return PolicyList(
        policies=[
            PolicyStatus(
                deployed=each, schedule=schedules.get(each.policy.name), last=sweeps.get(each.policy.name)
            )
            for each in policies
        ],
        mapping=mapping,
        unknown=sections.unknown,
    )


def _mapping(source: Source) -> str:
    return next((mapping.state for mapping in source.mappings() if mapping.function == SWEEP), DELETED)


def _schedules(clients: Clients, template: StackTemplate) -> dict[str, str]:
    """Return the state of each policy's schedule. Policies with equal expressions share a schedule."""
    states: dict[str, str] = {}
    for logical_id, resource in template.body["Resources"].items():
        if resource["Type"] != "AWS::Scheduler::Schedule":
            continue
        properties = resource["Properties"]
        group = template.resolve(properties.get("GroupName", "default"))
        if names := json.loads(template.resolve(properties["Target"]["Input"])).get("Policies", ()):
            states |= dict.fromkeys(names, _state(clients, template.physical_ids[logical_id], group))
    return states


def _state(clients: Clients, name: str, group: str) -> str:
    try:
        return str(clients.scheduler.get_schedule(Name=name, GroupName=group)["State"])
    except clients.scheduler.exceptions.ResourceNotFoundException:
        return DELETED


def _last_sweeps(source: Source, names: set[str], now: datetime) -> dict[str, LastSweep]:
    """Return the newest report of each policy. Search the log backwards until each policy has a report."""
    found: dict[str, LastSweep] = {}
    until = None  # this machine's clock may be behind AWS's
    for window in _WINDOWS:
        pattern = f'{{ $.message = "{REPORT}" }}'
        messages = source.log_messages(SWEEP, pattern, now - window, until)
        found = _newest(filter(None, map(_last_sweep, messages))) | found
        if names <= found.keys():
            break
        until = now - window
    return found


def _newest(sweeps: Iterator[LastSweep]) -> dict[str, LastSweep]:
    """Return the newest sweep of each policy. Lines of several log streams may not be in order."""
    return {each.report.policy: each for each in sorted(sweeps, key=lambda each: each.swept_at)}


def _last_sweep(message: str) -> LastSweep | None:
    """Parse a line of the log. Return None if it is not a report, because emulators ignore filter patterns."""
    try:
        line = json.loads(message)
        if line["message"] != REPORT:
            return None
        report = msgspec.convert(line, PolicyReport)
        return LastSweep(
            swept_at=datetime.fromisoformat(line["swept_at"]), complete=line["complete"], report=report
        )
    except (ValueError, TypeError, KeyError):
        return None  # the line is of another version, or not JSON
