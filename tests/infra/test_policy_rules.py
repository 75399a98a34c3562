"""Rules over several fields of a guardrail policy, and over all policies: every mistake at once."""

from typing import Any

import pytest

from gluebrake.policies import Policy
from gluebrake.settings import mistakes
from infra import policy_rules
from tests.support.sweeps import policy

_LIMITED: dict[str, Any] = {"max_minutes": 600, "schedule": "rate(1 hour)"}
_NO_LIMIT = '"stop" without maxMinutes, maxTimesUsual or maxDpuHours would stop every run for ever; it needs a'
_WINDOW = "cron(0/30 20-23,0-5 ? * * *)"


def _errors(*policies: Policy) -> list[str]:
    return list(policy_rules.errors(policies))


@pytest.mark.parametrize(
    "values",
    [
        _LIMITED,
        {**_LIMITED, "mode": "report"},
        {**_LIMITED, "schedule": "rate(15 minutes)"},
        {"mode": "report", "schedule": "rate(1 minute)"},
        {"mode": "report", "schedule": "rate(1 hour)"},
        {"mode": "report", "schedule": "cron(0 * * * ? *)"},
        {"schedule": _WINDOW, "time_zone": "Europe/Berlin"},
        {"on_signal": ("budgets",)},
        {"on_signal": ("budgets",), "schedule": _WINDOW},
        {"max_times_usual": 2, "schedule": "cron(0 * * * ? *)"},
        {"max_dpu_hours": 2, "schedule": "rate(30 minutes)", "warn_at_percent": 99},
        {**_LIMITED, "warn_at_percent": 90},
        {**_LIMITED, "warn_at_percent": 90, "on_signal": ("costalerts",)},
        {"max_minutes": 75, "schedule": "rate(15 minutes)", "warn_at_percent": 80},
    ],
    ids=str,
)
def test_a_policy_that_does_what_it_says_is_accepted(values: dict[str, Any]) -> None:
    """These combinations have no mistake."""
    assert _errors(policy(**values)) == []


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"max_minutes": 1}, "schedule: missing; a policy needs a schedule, or onSignal, or both"),
        (
            {**_LIMITED, "schedule": "rate(14 minutes)"},
            "schedule: a policy that stops runs may have a rate of 15",
        ),
        ({**_LIMITED, "schedule": "every hour"}, 'schedule: should be "rate(1 hour)"'),
        ({"mode": "report", "schedule": "at(2026-11-24T20:00:00)"}, "schedule: should be"),
        ({"mode": "report", "schedule": f"rate({'9' * 200} days)"}, "schedule: should be"),
        ({**_LIMITED, "time_zone": "Berlin"}, 'timeZone: is no time zone; use a name such as "Europe/Berlin"'),
        ({"schedule": "rate(1 day)"}, f"mode: {_NO_LIMIT}"),
        ({"schedule": "cron(0 * * * ? *)"}, f"mode: {_NO_LIMIT}"),
        ({"schedule": "cron(0 0-23 * * ? *)"}, f"mode: {_NO_LIMIT}"),
        ({"schedule": "cron(0 0/12 * * ? *)"}, f"mode: {_NO_LIMIT}"),
        ({"schedule": "rate(1 day)", "on_signal": ("budgets",)}, f"mode: {_NO_LIMIT}"),
        (
            {"mode": "report", "schedule": "rate(1 hour)", "warn_at_percent": 80},
            "warnAtPercent: needs maxMinutes, maxTimesUsual or maxDpuHours",
        ),
        (
            {**_LIMITED, "schedule": "cron(0 * * * ? *)", "warn_at_percent": 80},
            "warnAtPercent: needs a rate(…) schedule",
        ),
        (
            {"max_minutes": 600, "on_signal": ("budgets",), "warn_at_percent": 80},
            "warnAtPercent: needs a rate(…) schedule",
        ),
        ({**_LIMITED, "warn_at_percent": 91}, "warnAtPercent: the warning could not come before the stop"),
        (
            {"max_minutes": 74, "schedule": "rate(15 minutes)", "warn_at_percent": 80},
            "warnAtPercent: the warning could not come before the stop",
        ),
    ],
    ids=str,
)
def test_a_policy_that_would_do_something_else_is_refused(values: dict[str, Any], error: str) -> None:
    """The error has the path of the field that is to blame, and what is allowed."""
    (found,) = _errors(policy("first", **_LIMITED), policy(**values))
    assert found.startswith(f"policies[1].{error}")


def test_all_mistakes_of_all_policies_are_named_at_once() -> None:
    """One synthesis shows everything to fix."""
    errors = _errors(
        policy("a", warn_at_percent=80),
        policy("b", **_LIMITED),
        policy("a", schedule="rate(5 minutes)", time_zone="Mars", warn_at_percent=1),
        policy("a", **_LIMITED),
    )
    assert [error.partition(": ")[0] for error in errors] == [
        "policies[0].schedule",
        "policies[0].warnAtPercent",
        "policies[0].warnAtPercent",
        "policies[2].name",
        "policies[2].timeZone",
        "policies[2].schedule",
        "policies[2].mode",
        "policies[2].warnAtPercent",
        "policies[3].name",
    ]
    assert errors[-1] == "policies[3].name: 'a' is the name of another policy"


@pytest.mark.parametrize(
    ("change", "path", "rule"),
    [
        ({"name": "Night"}, "name", "a name of 1 to 64 lower-case letters, digits and hyphens"),
        ({"name": "night\n"}, "name", "a name of 1 to 64 lower-case letters, digits and hyphens"),
        ({"name": ""}, "name", "a name of 1 to 64 lower-case letters, digits and hyphens"),
        ({"jobs": []}, "jobs", "a list of one or more jobs"),
        ({"jobs": ["*", ""]}, "jobs[1]", "a job name or a pattern, 1 to 255 characters"),
        ({"except": "etl"}, "except", "a list of jobs"),
        ({"except": [7]}, "except[0]", "a job name or a pattern, 1 to 255 characters"),
        ({"tags": {"env": 7}}, "tags", "an object of tag keys and values, which a job must all have"),
        ({"tags": {"": "dev"}}, "tags", "an object of tag keys and values, which a job must all have"),
        ({"types": ["spark"]}, "types[0]", '"glueetl", "pythonshell", "gluestreaming" or "glueray"'),
        ({"types": []}, "types", 'a list of "glueetl", "pythonshell", "gluestreaming", "glueray"'),
        ({"states": ["STOPPING"]}, "states[0]", '"STARTING", "RUNNING" or "WAITING"'),
        ({"states": []}, "states", 'a list of "STARTING", "RUNNING", "WAITING"'),
        ({"executionClass": "flex"}, "executionClass", '"STANDARD" or "FLEX", or null for both'),
        ({"maxMinutes": 0}, "maxMinutes", "a whole number of minutes from 1 to 21600"),
        ({"maxMinutes": 21_601}, "maxMinutes", "a whole number of minutes from 1 to 21600"),
        ({"maxMinutes": 1.5}, "maxMinutes", "a whole number of minutes from 1 to 21600"),
        ({"maxTimesUsual": 1}, "maxTimesUsual", "a number over 1, at most 1000"),
        ({"maxDpuHours": 0}, "maxDpuHours", "a number over 0, at most 1000000"),
        ({"warnAtPercent": 100}, "warnAtPercent", "a whole number from 1 to 99"),
        ({"mode": "Stop"}, "mode", '"report" or "stop"'),
        ({"maxRuns": 0}, "maxRuns", "a whole number from 1 to 10000"),
        ({"maxRuns": True}, "maxRuns", "a whole number from 1 to 10000"),
        ({"reason": ""}, "reason", "a text of 1 to 1024 characters without control characters"),
        ({"reason": "a\x07"}, "reason", "a text of 1 to 1024 characters without control characters"),
        ({"schedule": 60}, "schedule", '"rate(…)" or "cron(…)", as in EventBridge Scheduler'),
        ({"timeZone": None}, "timeZone", 'a time zone such as "Europe/Berlin"'),
        ({"onSignal": ["budget"]}, "onSignal[0]", '"budgets", "costalerts" or the ARN of a role'),
        (
            {"onSignal": ["arn:aws:iam::123456789012:user/eve"]},
            "onSignal[0]",
            '"budgets", "costalerts" or the ARN of a role',
        ),
        ({"onSignal": "budgets"}, "onSignal", 'a list of "budgets", "costalerts" and ARNs of roles'),
    ],
    ids=str,
)
def test_a_value_of_another_form_is_named_with_what_is_allowed(
    change: dict[str, Any], path: str, rule: str
) -> None:
    """Each field describes its rule in words, which the error shows."""
    valid = {"name": "a", "jobs": ["*"], "maxRuns": 1, "reason": "r"}
    (mistake,) = mistakes("policies", [valid, {**valid, **change}], tuple[Policy, ...])
    assert mistake.path == f"policies[1].{path}"
    assert next(meta.description for meta in reversed(mistake.kind.__metadata__) if meta.description) == rule


def test_each_mistake_of_a_policy_is_named() -> None:
    """A policy can have several mistakes, and the required fields can be missing."""
    found = mistakes("policies", [{"maxRuns": 0, "states": ["X", "Y"], "maxMinutess": 7}], tuple[Policy, ...])
    assert [mistake.path for mistake in found] == [
        "policies[0].name",
        "policies[0].jobs",
        "policies[0].states[0]",
        "policies[0].states[1]",
        "policies[0].maxRuns",
        "policies[0].reason",
        "policies[0].maxMinutess",
    ]


def test_no_policies_have_no_mistakes() -> None:
    """A configuration without policies is valid."""
    assert _errors() == []
