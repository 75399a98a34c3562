"""The checks of `gluebrake doctor`: pure functions over facts of a deployed stack, one row each in CHECKS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

import msgspec
from msgspec import Struct

from gluebrake_cli.canary_state import DELETED, CanaryState
from gluebrake_cli.errors import explain
from gluebrake_cli.health import MappingState
from gluebrake_cli.policies import PolicyState
from gluebrake_cli.shell import Command
from gluebrake_cli.signal_alarms import SignalAlarms

F = TypeVar("F")

_REVERT_DRIFT: Final[Command] = ("make", "deploy", "CDK_OPTIONS=--revert-drift ...")
_DEPLOY: Final[Command] = ("make", "deploy", "CDK_OPTIONS=...")
_VERIFY: Final[Command] = ("gluebrake", "verify")


class Recursion(Struct, frozen=True):
    """The setting of Lambda's recursive loop detection for a function: `Allow` or `Terminate`."""

    function_name: str
    recursive_loop: str


class Subscription(Struct, frozen=True, kw_only=True):
    """A subscription of a topic, or a missing one that is in the template. `arn` is empty if it is missing."""

    topic_arn: str
    protocol: str
    endpoint: str
    arn: str = ""
    attributes: Mapping[str, str] = {}


class JobTag(Struct, frozen=True):
    """A tag of a Glue job."""

    job_arn: str
    key: str
    value: str


class JobTags(Struct, frozen=True):
    """The key of the protect tag, and the tags of all jobs."""

    protect_tag: str
    tags: Sequence[JobTag]


class Versions(Struct, frozen=True):
    """The versions of the stack and of this command. `stack` is empty if the stack has no such output."""

    stack: str
    command: str


class Facts(Protocol):
    """The source of the facts that the checks read. Each read may raise an error."""

    def mappings(self) -> Sequence[MappingState]:
        """Return the state of each event source mapping. A function without a mapping has an empty state."""

    def queue_policies(self) -> Sequence[PolicyState]:
        """Return the policy of each queue."""

    def topic_policies(self) -> Sequence[PolicyState]:
        """Return the policy of each topic."""

    def role_policies(self) -> Sequence[PolicyState]:
        """Return the inline policy of each role."""

    def recursion(self) -> Sequence[Recursion]:
        """Return the recursive loop setting of each function."""

    def subscriptions(self) -> Sequence[Subscription]:
        """Return the subscriptions of the stack's topics, and the missing subscriptions of the template."""

    def signal_alarms(self) -> SignalAlarms:
        """Return the alarms whose actions stop runs, and the deployed prefixes."""

    def job_tags(self) -> JobTags:
        """Return the tags of the jobs."""

    def canary(self) -> CanaryState:
        """Return the states of the canary's job, schedule and alarm."""

    def versions(self) -> Versions:
        """Return the versions."""


class Problem(Struct, frozen=True):
    """A fault, and the command that fixes it."""

    text: str
    fix: Command


@dataclass(frozen=True)
class Check(Generic[F]):
    """A check. `problems` finds faults in the facts from `read`. `right` is the sentence without a fault."""

    name: str
    right: str
    read: Callable[[Facts], F]
    problems: Callable[[F], Iterator[Problem]]


class CheckResult(Struct, frozen=True, kw_only=True):
    """The result of a check. `text` says what is right, or why the check was not made."""

    name: str
    state: Literal["right", "wrong", "not checked"]
    text: str = ""
    problems: tuple[Problem, ...] = ()


def disabled_mappings(mappings: Sequence[MappingState]) -> Iterator[Problem]:
    """Find the functions that do not consume their queue."""
    for mapping in mappings:
        if not mapping.state:
            yield Problem(f"the {mapping.function} function has no event source mapping", _REVERT_DRIFT)
        elif mapping.state not in ("Enabled", "Enabling"):
            fix = _aws("lambda", "update-event-source-mapping", "--uuid", mapping.uuid, "--enabled")
            yield Problem(f"the {mapping.function} function's mapping is {mapping.state}", fix)


def changed_policies(policies: Sequence[PolicyState]) -> Iterator[Problem]:
    """Find the policies that differ from the template's."""
    for policy in policies:
        if difference := policy.difference:
            yield Problem(f"the policy of {policy.owner} {difference}", policy.repair)


def terminated_loops(functions: Sequence[Recursion]) -> Iterator[Problem]:
    """Find the functions whose retries Lambda drops as a recursive loop."""
    for function in functions:
        if function.recursive_loop != "Allow":
            fix = _aws(
                *("lambda", "put-function-recursion-config"),
                *("--function-name", function.function_name, "--recursive-loop", "Allow"),
            )
            loop = f"RecursiveLoop of {function.function_name} is {function.recursive_loop}"
            yield Problem(f"{loop}, so Lambda drops retries", fix)


def unconfirmed_subscriptions(subscriptions: Sequence[Subscription]) -> Iterator[Problem]:
    """Find the subscriptions that are missing or not confirmed, so that they deliver nothing."""
    for subscription in subscriptions:
        topic = subscription.topic_arn.rpartition(":")[2]
        if not subscription.arn:
            text = f"{subscription.endpoint} is not subscribed to {topic}"
        elif not subscription.arn.startswith("arn:"):
            text = (
                f"{subscription.endpoint} has not confirmed its subscription to {topic}."
                " Open the link in the message from SNS, which the command sends again"
            )
        else:
            continue
        yield Problem(text, _subscribe(subscription))


def alarms_without_prefix(alarms: SignalAlarms) -> Iterator[Problem]:
    """Find the alarms whose actions fail, because no deployed prefix allows their names."""
    for alarm in alarms.not_allowed:
        prefix = alarm.longest_prefix
        remedy = f"add {_json(prefix)} or a shorter prefix to stopOnAlarms" if prefix else "rename it"
        text = f"{alarm.name} {alarm.action}, but no prefix in stopOnAlarms allows its name, so it stops no run"
        yield Problem(f"{text}. If it should, {remedy} and deploy", _DEPLOY)


def empty_protect_tags(jobs: JobTags) -> Iterator[Problem]:
    """Find the jobs whose protect tag has no value: IAM's Null condition may treat the tag as absent.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    for tag in jobs.tags:
        # IAM compares tag keys without regard to case.
        if tag.key.lower() == jobs.protect_tag.lower() and not tag.value:
            text = f"{tag.job_arn} has the tag {tag.key} without a value, so IAM may allow stopping its runs"
            tags = _json({tag.key: "true"})
            yield Problem(
                text, _aws("glue", "tag-resource", "--resource-arn", tag.job_arn, "--tags-to-add", tags)
            )


def silent_canary(canary: CanaryState) -> Iterator[Problem]:
    """Find the faults because of which the canary does not show that runs are stopped."""
    if not canary.has_job:
        yield Problem(f"the Glue job {canary.job_name} does not exist", _REVERT_DRIFT)
    if canary.schedule not in (None, "ENABLED"):
        yield Problem(f"the canary's schedule is {canary.schedule}", _REVERT_DRIFT)
    if canary.alarm == DELETED:
        yield Problem("the alarm CanarySilent is deleted", _REVERT_DRIFT)
    if canary.alarm == "ALARM":
        text = "the alarm CanarySilent is in ALARM: no run of the canary was confirmed STOPPED in time"
        yield Problem(text, _VERIFY)


def other_version(versions: Versions) -> Iterator[Problem]:
    """Find out whether the versions of the stack and of this command differ."""
    if versions.stack != versions.command:
        stack = versions.stack or "before 0.2"
        yield Problem(f"the stack's version is {stack}, and this command's is {versions.command}", _DEPLOY)


CHECKS: Final[Sequence[Check[Any]]] = (
    Check(
        "event source mappings",
        "each function consumes its queue",
        lambda facts: facts.mappings(),
        disabled_mappings,
    ),
    Check("queue policies", "equal to the template's", lambda facts: facts.queue_policies(), changed_policies),
    Check("topic policies", "equal to the template's", lambda facts: facts.topic_policies(), changed_policies),
    Check("role policies", "equal to the template's", lambda facts: facts.role_policies(), changed_policies),
    Check(
        "recursive loops",
        "Lambda allows each function's retries",
        lambda facts: facts.recursion(),
        terminated_loops,
    ),
    Check(
        "subscriptions",
        "each subscription of a topic exists and is confirmed",
        lambda facts: facts.subscriptions(),
        unconfirmed_subscriptions,
    ),
    Check(
        "alarms",
        "each alarm that acts on the signal topic or on STOP has a name that stopOnAlarms allows",
        lambda facts: facts.signal_alarms(),
        alarms_without_prefix,
    ),
    Check("protect tags", "no job's protect tag is empty", lambda facts: facts.job_tags(), empty_protect_tags),
    Check(
        "canary",
        "its job exists and, unless it is off, its schedule is enabled and its alarm is not in ALARM",
        lambda facts: facts.canary(),
        silent_canary,
    ),
    Check("version", "the stack and this command have the same", lambda facts: facts.versions(), other_version),
)
"""Every check. To add a check, add a row here, its function, and the read of its facts if they are new."""


def examine(facts: Facts) -> list[CheckResult]:
    """Make every check. If the facts of a check cannot be read, the check is reported as not checked."""
    return [_result(check, facts) for check in CHECKS]


def _result(check: Check[Any], facts: Facts) -> CheckResult:
    try:
        problems = tuple(check.problems(check.read(facts)))
    except Exception as error:  # noqa: BLE001 - an error of one check must not prevent the other checks
        return CheckResult(name=check.name, state="not checked", text=explain(error) or repr(error))
    if problems:
        return CheckResult(name=check.name, state="wrong", problems=problems)
    return CheckResult(name=check.name, state="right", text=check.right)


def _subscribe(subscription: Subscription) -> Command:
    attributes = _json(subscription.attributes)
    return _aws(
        *("sns", "subscribe", "--topic-arn", subscription.topic_arn),
        *("--protocol", subscription.protocol, "--notification-endpoint", subscription.endpoint),
        *(("--attributes", attributes) if subscription.attributes else ()),
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _aws(*arguments: str) -> Command:
    return ("aws", *arguments)
