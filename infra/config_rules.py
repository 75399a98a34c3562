"""Rules over several keys of the configuration, or over a whole list. AWS's limits decide most of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from gluebrake.patterns import matches_any
from infra.names import BUS, CANARY_JOB, topic_output

if TYPE_CHECKING:
    from infra.config import Config

# AWS limits a function's environment (4 kB), a role's policies (10 kB), a function's policy (20 kB) and an
# event pattern (2,048 characters). Each maximum leaves room for the other variables, statements and fields.
_MAX_LISTS_OF_STOP: Final = 2500
_MAX_LISTS_OF_SWEEP: Final = 3000
_MAX_JOBS_IN_POLICY: Final = 8000
_ARN_AROUND_A_JOB: Final = 60
_MAX_ALARMS_IN_POLICY: Final = 17_000
_STATEMENT_AROUND_A_PREFIX: Final = 470
_MAX_JOBS_IN_EVENT_PATTERN: Final = 1720
_MAX_ALARMS_IN_EVENT_PATTERN: Final = 1600
_FILTER_AROUND_A_NAME: Final = 16
_ACCOUNT_IN_EVENT_PATTERN: Final = 16
_MAX_BATCH_WITHOUT_WINDOW: Final = 10
_ARN_AROUND_A_POLICY: Final = 110
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-limits.html
_MAX_TOPICS: Final = 9


class Rule(NamedTuple):
    """A condition over configuration keys, and the message if it does not hold."""

    keys: tuple[str, ...]
    holds: Callable[[Config], bool]
    message: str


RULES: Final[Sequence[Rule]] = (
    Rule(
        ("batchSize", "batchWindowSeconds"),
        lambda config: config.batch_size <= _MAX_BATCH_WITHOUT_WINDOW or config.batch_window_seconds >= 1,
        "a batchSize over 10 needs a batchWindowSeconds of at least 1",
    ),
    Rule(
        ("retrySeconds",),
        lambda config: config.retry_seconds[0] <= config.retry_seconds[1],
        "the first delay must not be longer than the longest",
    ),
    Rule(
        ("confirmSeconds",),
        lambda config: config.confirm_seconds[0] <= config.confirm_seconds[1],
        "the first delay must not be longer than the longest",
    ),
    Rule(
        ("jobs", "protectedJobs"),
        lambda config: _job_arns(config) <= _MAX_JOBS_IN_POLICY,
        "too many for the role's policy (10 kB); use patterns",
    ),
    Rule(
        ("jobs", "protectedJobs", "alarmNamespaces", "alarmAccounts"),
        lambda config: _variables(config) <= _MAX_LISTS_OF_STOP,
        "too many for Lambda's environment (4 kB); use patterns of jobs",
    ),
    Rule(
        ("stopOnRunStatus",),
        lambda config: _filters(config.stop_on_run_status) <= _MAX_JOBS_IN_EVENT_PATTERN,
        "too many for a rule's event pattern (2,048 characters); use patterns",
    ),
    Rule(
        ("stopOnAlarms", "alarmAccounts"),
        lambda config: _alarm_filters(config) <= _MAX_ALARMS_IN_EVENT_PATTERN,
        "too many for a rule's event pattern (2,048 characters); use fewer or shorter prefixes",
    ),
    Rule(
        ("stopOnAlarms", "alarmAccounts"),
        lambda config: _alarm_statements(config) <= _MAX_ALARMS_IN_POLICY,
        "too many prefixes for so many accounts: the STOP function's policy (20 kB) has a statement for each"
        " prefix and account; use fewer prefixes",
    ),
    Rule(
        ("jobs", "protectedJobs", "policies"),
        lambda config: not _topics(config) or _sweep_variables(config) <= _MAX_LISTS_OF_SWEEP,
        "too many for Lambda's environment (4 kB), which has the topic of each policy with onSignal;"
        " use patterns of jobs, or fewer such policies",
    ),
    Rule(
        ("policies",),
        lambda config: len(_topics(config)) <= _MAX_TOPICS,
        "at most 9 policies can have onSignal: an alarm watches their topics, and it can have 10 metrics",
    ),
    Rule(
        ("policies",),
        lambda config: len({topic_output(name) for name in _topics(config)}) == len(_topics(config)),
        "the names of two policies with onSignal differ in hyphens only, so their topics would have one output;"
        " rename one of them",
    ),
    Rule(
        ("centralBusArn", "outcomeEvents"),
        lambda config: config.central_bus_arn is None or config.outcome_events,
        "without outcomeEvents there is nothing to forward to centralBusArn; remove one of them",
    ),
    Rule(
        ("centralBusArn",),
        # Two stacks whose buses forward to each other would forward each event for ever.
        lambda config: not (config.central_bus_arn or "").endswith(f":event-bus/{BUS}"),
        "is the bus of a Gluebrake stack; give the bus of GluebrakeCentral, or another bus that only collects",
    ),
    Rule(
        ("canary", "protectedJobs"),
        lambda config: config.canary_rate is None or not matches_any(config.protected_jobs, CANARY_JOB),
        f"the canary's job {CANARY_JOB} matches protectedJobs, so STOP could not stop it;"
        " use narrower patterns, or set canary to null",
    ),
)


def _job_arns(config: Config) -> int:
    return sum(_ARN_AROUND_A_JOB + len(job) for job in config.jobs + config.protected_jobs)


def _variables(config: Config) -> int:
    lists = (config.jobs, config.protected_jobs, config.alarm_namespaces, config.alarm_accounts)
    return sum(map(_length, lists))


def _length(names: Sequence[str]) -> int:
    # Lambda measures the variables as one JSON text, in which the quotes of a list are escaped:
    # https://github.com/github-aws-runners/terraform-aws-github-runner/issues/3594
    return len(_json(_json(names)).encode())


def _topics(config: Config) -> set[str]:
    """Return the names of the policies that have a topic."""
    return {policy.name for policy in config.policies if policy.on_signal}


def _sweep_variables(config: Config) -> int:
    # Each entry has the policy's name twice: once alone, and once in the topic's ARN.
    topics = sum(_ARN_AROUND_A_POLICY + 2 * len(name) for name in _topics(config))
    return _length(config.jobs) + _length(config.protected_jobs) + topics


def _filters(names: Sequence[str]) -> int:
    # Encoded twice, because the filter also escapes a backslash.
    return sum(_FILTER_AROUND_A_NAME + len(_json(_json(name))) for name in names)


def _alarm_filters(config: Config) -> int:
    return _filters(config.stop_on_alarms) + _ACCOUNT_IN_EVENT_PATTERN * len(config.alarm_accounts)


def _alarm_statements(config: Config) -> int:
    statements = sum(_STATEMENT_AROUND_A_PREFIX + len(_json(prefix)) for prefix in config.stop_on_alarms)
    return statements * (1 + len(config.alarm_accounts))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
