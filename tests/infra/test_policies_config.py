"""The key `policies`: every mistake at once, in words, and what AWS limits beyond single policies."""

from __future__ import annotations

import json
from typing import Any, Final

import jsonschema
import pytest

from docs.generate import DOCS
from gluebrake.policies import Policy
from infra.config import Config, ConfigError, load
from tests.infra.conftest import POLICIES

_VALID: Final = {"name": "a", "jobs": ["*"], "schedule": "rate(1 hour)", "maxRuns": 1, "reason": "r"}
_FIELDS: Final = (
    "except, executionClass, jobs, maxDpuHours, maxMinutes, maxRuns, maxTimesUsual, mode, name, onSignal,"
    " reason, schedule, states, tags, timeZone, types, warnAtPercent"
)
_NAME: Final = "a name of 1 to 64 lower-case letters, digits and hyphens"
_POLICY: Final = "a guardrail policy: an object as in docs/schemas/policies.json"


def _load(*policies: Any, **keys: Any) -> Config:
    return load({"gluebrake": {"policies": list(policies), **keys}}.get)


def _errors(*policies: Any, **keys: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        _load(*policies, **keys)
    return str(raised.value).splitlines()[1:]


def _signalled(name: str) -> dict[str, Any]:
    return {**_VALID, "name": name, "schedule": None, "onSignal": ["budgets"]}


def test_there_are_no_policies_by_default() -> None:
    """A configuration without the key has no guardrail policy."""
    assert Config().policies == ()
    assert _load() == Config()


def test_policies_are_read_with_their_defaults() -> None:
    """Each policy has the configured values, and those of the fields that it leaves out."""
    runaway, *_, bell = _load(*POLICIES).policies
    assert runaway == Policy(
        name="runaway",
        jobs=("*",),
        max_minutes=720,
        schedule="rate(1 hour)",
        mode="stop",
        max_runs=10,
        reason="ran longer than 12 hours",
    )
    assert (bell.mode, bell.time_zone, bell.types) == ("report", "UTC", ("glueetl", "pythonshell"))


def test_every_mistake_of_every_policy_is_reported_at_once() -> None:
    """A missing field, an unknown field and a wrong value each have their path and what is allowed."""
    without_name = {key: value for key, value in _VALID.items() if key != "name"}
    assert _errors({**without_name, "maxMinutess": 5}, {**_VALID, "jobs": [""], "mode": "kill"}, "text") == [
        f"gluebrake.policies[0].name: missing; it should be {_NAME}",
        f"gluebrake.policies[0].maxMinutess: unknown; the fields are {_FIELDS}",
        'gluebrake.policies[1].jobs[0]: "" should be a job name or a pattern, 1 to 255 characters',
        'gluebrake.policies[1].mode: "kill" should be "report" or "stop"',
        f'gluebrake.policies[2]: "text" should be {_POLICY}',
    ]


def test_mistakes_of_policies_are_reported_with_those_of_other_keys() -> None:
    """One attempt shows what to fix in the whole configuration."""
    assert [error.partition(": ")[0] for error in _errors({**_VALID, "maxRuns": 0}, memoryMb=1)] == [
        "gluebrake.policies[0].maxRuns",
        "gluebrake.memoryMb",
    ]


def test_rules_over_several_fields_are_checked() -> None:
    """A policy whose values have the right form can still be impossible."""
    stopping = {**_VALID, "name": "b", "mode": "stop"}
    assert [error.partition(": ")[0] for error in _errors({**_VALID, "timeZone": "Mars"}, stopping)] == [
        "policies[0].timeZone",
        "policies[1].mode",
    ]


@pytest.mark.parametrize("policies", [{}, "runaway", None, {"name": "a"}])
def test_policies_are_a_list(policies: Any) -> None:
    """An object or a text is not read as a policy."""
    with pytest.raises(ConfigError, match="should be a list of at most 100 guardrail policies"):
        load({"gluebrake": {"policies": policies}}.get)


def test_there_are_at_most_100_policies() -> None:
    """Each policy can need a schedule, and a template has a limit."""
    policies = [{**_VALID, "name": f"p{number}"} for number in range(101)]
    assert len(_load(*policies[:100]).policies) == 100
    (error,) = _errors(*policies)
    assert error.endswith("should be a list of at most 100 guardrail policies")


def test_at_most_nine_policies_have_a_topic() -> None:
    """One alarm watches the topics and the schedules, and CloudWatch allows it 10 metrics."""
    policies = [_signalled(f"p{number}") for number in range(10)]
    assert len(_load(*policies[:9], {**_VALID, "name": "scheduled"}).policies) == 10
    (error,) = _errors(*policies)
    assert error.startswith("policies: at most 9 policies can have onSignal: an alarm watches their topics")


def test_the_topics_fit_into_lambdas_environment() -> None:
    """The function's variables have the topic of each policy, beside the lists of jobs."""
    policies = [_signalled(f"{number}".zfill(64)) for number in range(9)]
    _load(*policies, jobs=["j" * 85] * 9)
    (error,) = _errors(*policies, jobs=["j" * 85] * 10)
    assert error.startswith("jobs, protectedJobs, policies: too many for Lambda's environment (4 kB)")


@pytest.mark.parametrize(("first", "second"), [("a-1", "a1"), ("dev-x", "dev--x"), ("dev", "-dev-")])
def test_two_topics_have_two_outputs(first: str, second: str) -> None:
    """An output's name has no hyphens, so names that differ in hyphens only would be one output."""
    _load(_signalled(first), {**_VALID, "name": second})
    (error,) = _errors(_signalled(first), _signalled(second))
    assert error.startswith("policies: the names of two policies with onSignal differ in hyphens only")


@pytest.mark.parametrize("pattern", ["role/*", "role/Fin?ps", "role/a b", "role/${aws:username}", "role/"])
def test_a_role_of_a_signal_has_no_wildcard(pattern: str) -> None:
    """IAM accepts no wildcard in a principal, and would match one in a condition."""
    (error,) = _errors({**_signalled("a"), "onSignal": [f"arn:aws:iam::123456789012:{pattern}"]})
    assert error.startswith("gluebrake.policies[0].onSignal[0]: ")


@pytest.mark.parametrize(
    ("schedules", "hours"),
    [
        ([], 0),
        (["cron(0 20 * * ? *)"], 0),
        (["rate(15 minutes)"], 1),
        (["rate(31 minutes)"], 2),
        (["rate(1 hour)"], 2),
        (["rate(2 days)", "rate(4 hours)", "cron(0 20 * * ? *)"], 8),
        (["rate(3 days)"], 144),
        (["rate(4 days)"], 168),
        (["rate(6 days)"], 168),
        (["rate(7 days)"], 0),
    ],
)
def test_sweeps_are_missing_after_two_periods_of_the_shortest_rate(schedules: list[str], hours: int) -> None:
    """They are whole hours, and at most the seven days that an alarm can look back on."""
    policies = [{**_VALID, "name": f"p{n}", "schedule": schedule} for n, schedule in enumerate(schedules)]
    assert _load(*policies).sweep_hours == hours


_SCHEMA: Final = jsonschema.Draft202012Validator(json.loads((DOCS / "schemas" / "policies.json").read_text()))


def test_the_schema_accepts_what_the_configuration_accepts() -> None:
    """An editor that knows the schema shows no error in valid policies."""
    assert _SCHEMA.is_valid(POLICIES)
    assert _SCHEMA.is_valid([_VALID])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "A"},
        {"jobs": []},
        {"maxMinutess": 5},
        {"maxRuns": 0},
        {"tags": {"env": 1}},
        {"reason": "a\x07"},
        {"onSignal": ["budget"]},
        {"onSignal": ["arn:aws:iam::123456789012:role/*"]},
        {"mode": "kill"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_configuration_refuses(change: dict[str, Any]) -> None:
    """An editor that knows the schema shows these mistakes before synthesis does."""
    assert not _SCHEMA.is_valid([{**_VALID, **change}])
    assert _errors({**_VALID, **change})


@pytest.mark.parametrize("field", ["name", "jobs", "maxRuns", "reason", "schedule"])
def test_the_schema_requires_what_the_configuration_requires(field: str) -> None:
    """A policy has a name, jobs, a cap, a reason and a trigger."""
    incomplete = {key: value for key, value in _VALID.items() if key != field}
    assert not _SCHEMA.is_valid([incomplete])
    assert _errors(incomplete)
