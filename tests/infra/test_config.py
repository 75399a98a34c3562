"""The configuration: its sources, its limits, and errors reported all at once."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gluebrake.prices import Prices
from gluebrake.settings import StopSettings, environment
from gluebrake.settings import load as load_settings
from infra.config import Config, ConfigError, load

_KEYS = sorted([*(field.encode_name for field in msgspec.structs.fields(Config)), "environments"])
_JOB = "a job name or a pattern without brackets, 1 to 255 characters"
_PREFIX = "a prefix of alarm names, 1 to 255 characters without *, ? and $, which are special in IAM"
_NAMESPACE = "a CloudWatch namespace: 1 to 255 ASCII characters, the first not a colon"
_PRICE = "US dollars for a DPU-hour, a number from 0 to 1000, or null for no estimates"
_RATE = 'null for off, or a rate from "rate(1 hour)" to "rate(4 days)" in hours or days'


def _errors(context: Mapping[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(context.get)
    return str(raised.value).splitlines()[1:]


def test_an_empty_context_gives_the_defaults() -> None:
    """Every key is optional."""
    assert load({"other": 1}.get) == load({"gluebrake": {}}.get) == Config()


def test_a_file_overrides_the_context(tmp_path: Path) -> None:
    """The keys of a file win. The other keys keep the context's values."""
    file = tmp_path / "production.json"
    file.write_text(json.dumps({"jobs": ["etl-*"], "memoryMb": 1024}))
    config = load({"gluebrake": {"memoryMb": 256, "callsAtOnce": 4}, "config": str(file)}.get)
    assert config == Config(jobs=("etl-*",), memory_mb=1024, calls_at_once=4)


def test_the_local_target_uses_this_interpreter_and_processor() -> None:
    """An artifact that is built for the local target can run on this machine."""
    config = load({"target": "local", "gluebrake": {"python": "3.14"}}.get)
    assert config.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert config.target == "local"


def test_all_errors_are_reported_at_once_with_their_paths(tmp_path: Path) -> None:
    """One attempt shows all errors to fix: in the context, in the file, and between keys."""
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({"memoryMb": True, "batchSize": 100}))
    context = {
        "jobs": ["ok", "", "[a]*"],
        "protectedJobs": "etl",
        "jobz": [],
        "python": 3.13,
        "retrySeconds": [0, 901],
        "protectTag": "a\n",
        "stopOnRunStatus": "nightly-*",
        "stopOnAlarms": ["glue-*", "", "glue-?", "${x}"],
        "alarmNamespaces": [":Glue", "Glue\n", "Gl\u00fce"],
        "alarmAccounts": ["12345678901", 123456789012],
        "alarmEmail": "on-call",
        "canary": "rate(30 minutes)",
        "notifyEmail": "",
        "notifyOn": ["stopped", "failed"],
        "pricePerDpuHour": {"standard": -1, "flex": "0.29", "memoryOptimized": True, "spot": 0.1},
    }
    assert _errors({"gluebrake": context, "config": str(file), "target": "mars"}) == [
        f'gluebrake.jobs[1]: "" should be {_JOB}',
        f'gluebrake.jobs[2]: "[a]*" should be {_JOB}',
        'gluebrake.protectedJobs: "etl" should be a list of jobs',
        f"gluebrake.jobz: unknown; the keys are {', '.join(_KEYS)}",
        'gluebrake.python: 3.13 should be "3.11", "3.12", "3.13" or "3.14", in quotes',
        "gluebrake.retrySeconds[0]: 0 should be a whole number from 1 to 900",
        "gluebrake.retrySeconds[1]: 901 should be a whole number from 1 to 900",
        'gluebrake.protectTag: "a\\n" should be a tag key: 1 to 128 letters, digits, spaces or _.:/=+@-',
        'gluebrake.stopOnRunStatus: "nightly-*" should be a list of jobs',
        f'gluebrake.stopOnAlarms[0]: "glue-*" should be {_PREFIX}',
        f'gluebrake.stopOnAlarms[1]: "" should be {_PREFIX}',
        f'gluebrake.stopOnAlarms[2]: "glue-?" should be {_PREFIX}',
        f'gluebrake.stopOnAlarms[3]: "${{x}}" should be {_PREFIX}',
        f'gluebrake.alarmNamespaces[0]: ":Glue" should be {_NAMESPACE}',
        f'gluebrake.alarmNamespaces[1]: "Glue\\n" should be {_NAMESPACE}',
        f'gluebrake.alarmNamespaces[2]: "Gl\u00fce" should be {_NAMESPACE}',
        'gluebrake.alarmAccounts[0]: "12345678901" should be an AWS account id: 12 digits, in quotes',
        "gluebrake.alarmAccounts[1]: 123456789012 should be an AWS account id: 12 digits, in quotes",
        'gluebrake.alarmEmail: "on-call" should be an e-mail address, or null for none',
        f'gluebrake.canary: "rate(30 minutes)" should be {_RATE}',
        'gluebrake.notifyEmail: "" should be an e-mail address, or null for none',
        'gluebrake.notifyOn[1]: "failed" should be "stopped", "notStopped" or "policies"',
        f"gluebrake.pricePerDpuHour.standard: -1 should be {_PRICE}",
        f'gluebrake.pricePerDpuHour.flex: "0.29" should be {_PRICE}',
        f"gluebrake.pricePerDpuHour.memoryOptimized: true should be {_PRICE}",
        "gluebrake.pricePerDpuHour.spot: unknown; the fields are flex, memoryOptimized, standard",
        f"{file}: memoryMb: true should be a whole number from 128 to 10240",
        '-c target: "mars" should be "aws" or "local"',
        "batchSize, batchWindowSeconds: a batchSize over 10 needs a batchWindowSeconds of at least 1",
    ]


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"batchSize": 11}, "batchSize, batchWindowSeconds"),
        ({"batchSize": 10_001, "batchWindowSeconds": 1}, "gluebrake.batchSize"),
        ({"batchWindowSeconds": 301}, "gluebrake.batchWindowSeconds"),
        ({"maxConcurrency": 1}, "gluebrake.maxConcurrency"),
        ({"logRetentionDays": 31}, "gluebrake.logRetentionDays"),
        ({"retrySeconds": [60, 30]}, "retrySeconds"),
        ({"confirmSeconds": [60, 30]}, "confirmSeconds"),
        ({"retrySeconds": [60]}, "gluebrake.retrySeconds"),
        ({"jobs": []}, "gluebrake.jobs"),
        ({"jobs": ["j" * 100] * 40}, "jobs, protectedJobs, alarmNamespaces, alarmAccounts"),
        ({"alarmNamespaces": ["n" * 200] * 15}, "jobs, protectedJobs, alarmNamespaces, alarmAccounts"),
        ({"jobs": [str(n) for n in range(100, 300)]}, "jobs, protectedJobs"),
        ({"stopOnRunStatus": ["j" * 256]}, "gluebrake.stopOnRunStatus[0]"),
        ({"stopOnRunStatus": ["j" * 100] * 16}, "stopOnRunStatus"),
        ({"stopOnRunStatus": ["\\" * 200] * 3}, "stopOnRunStatus"),
        ({"stopOnAlarms": ["a" * 100] * 14}, "stopOnAlarms, alarmAccounts"),
        ({"stopOnAlarms": ["a"] * 37}, "stopOnAlarms, alarmAccounts"),
        ({"stopOnAlarms": ["a"], "alarmAccounts": ["123456789012"] * 36}, "stopOnAlarms, alarmAccounts"),
        ({"canary": "rate(97 hours)"}, "gluebrake.canary"),
        ({"canary": "rate(5 days)"}, "gluebrake.canary"),
        ({"canary": "rate(0 hours)"}, "gluebrake.canary"),
        ({"canary": "rate(1 hours)"}, "gluebrake.canary"),
        ({"canary": "rate(1 day)\n"}, "gluebrake.canary"),
        ({"canary": "cron(0 3 * * ? *)"}, "gluebrake.canary"),
        ({"canary": 24}, "gluebrake.canary"),
        ({"canary": "rate(1 day)", "protectedJobs": ["x", "Glue*"]}, "canary, protectedJobs"),
        ({"notifyEmail": "team@"}, "gluebrake.notifyEmail"),
        ({"notifyOn": "stopped"}, "gluebrake.notifyOn"),
        ({"notifyOn": None}, "gluebrake.notifyOn"),
        ({"pricePerDpuHour": 0.44}, "gluebrake.pricePerDpuHour"),
        ({"pricePerDpuHour": {"flex": 1000.5}}, "gluebrake.pricePerDpuHour.flex"),
        ({"architecture": "arm"}, "gluebrake.architecture"),
        ({"maxAttempts": None}, "gluebrake.maxAttempts"),
    ],
)
def test_a_value_beyond_its_limit_is_rejected(values: dict[str, Any], path: str) -> None:
    """A value that AWS would reject at deployment, or a function at its start, is rejected at synthesis."""
    (error,) = _errors({"gluebrake": values})
    assert error.startswith(path + ": ")


def test_lists_about_alarms_are_accepted_up_to_their_limit() -> None:
    """A namespace may have spaces, slashes and inner colons, as CloudWatch allows."""
    lists = {
        "stopOnAlarms": ["glue-", "team [a]/b:"],
        "alarmNamespaces": ["GlueBasicMetrics", "Team/ETL: nightly", "n" * 255],
        "alarmAccounts": ["000000000001"] * 16,
    }
    config = load({"gluebrake": lists}.get)
    assert config.alarm_namespaces == tuple(lists["alarmNamespaces"])
    assert (config.stop_on_alarms, config.alarm_accounts) == (
        tuple(lists["stopOnAlarms"]),
        tuple(lists["alarmAccounts"]),
    )


def test_a_price_that_is_left_out_has_its_default() -> None:
    """An object may have any of the prices. Null means that nothing is estimated for these workers."""
    prices = {"flex": None, "memoryOptimized": 0.52}
    config = load({"gluebrake": {"pricePerDpuHour": prices}}.get)
    assert config.price_per_dpu_hour == Prices(standard=0.44, flex=None, memory_optimized=0.52)


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({}, ["stopped", "notStopped", "policies"]),
        ({"notifyOn": []}, []),
        ({"notifyOn": ["policies"]}, ["policies"]),
    ],
)
def test_notices_are_of_the_configured_kinds(values: dict[str, Any], kinds: list[str]) -> None:
    """By default they are of every kind. An empty list switches them off."""
    assert list(load({"gluebrake": values}.get).notify_on) == kinds


_RATES = {
    "rate(1 hour)": 1,
    **{f"rate({hours} hours)": hours for hours in range(2, 97)},
    "rate(1 day)": 24,
    **{f"rate({days} days)": 24 * days for days in range(2, 5)},
}


def test_the_canary_has_any_rate_from_an_hour_to_four_days() -> None:
    """A rate is in hours or days, as EventBridge Scheduler writes it."""
    configs = [load({"gluebrake": {"canary": rate}}.get) for rate in _RATES]
    assert {config.canary_rate: config.canary_hours for config in configs} == _RATES


@pytest.mark.parametrize(
    "values",
    [
        {"protectedJobs": ["*"]},
        {"canary": "rate(1 day)", "protectedJobs": ["Gluebrake-canar?", "gluebrake-*"]},
        {"canary": "rate(1 day)", "protectedJobs": ["*"], "observe": True},
    ],
)
def test_a_job_that_is_not_the_canarys_may_be_protected(values: dict[str, Any]) -> None:
    """Only a canary that is on must not be protected, and a pattern has no other wildcard than `*`."""
    assert load({"gluebrake": values}.get).protected_jobs == tuple(values["protectedJobs"])


@pytest.mark.parametrize("value", [[], "text", 1, False])
def test_a_configuration_that_is_not_an_object_is_rejected(value: Any) -> None:
    """A list, a string or a number is not read as an empty object."""
    with pytest.raises(ConfigError, match=r"gluebrake: .* should be an object"):
        load({"gluebrake": value}.get)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_an_unreadable_file_is_named(tmp_path: Path, content: str | None) -> None:
    """The error for a missing file, invalid JSON, or JSON that is not an object has the file's name."""
    file = tmp_path / "absent.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"absent\.json"):
        load({"config": str(file)}.get)


@pytest.mark.parametrize("bound", ["ge", "le"])
def test_functions_accept_every_number_that_the_configuration_allows(bound: str) -> None:
    """A number at either limit is within the limits of the functions' settings."""
    types = {field.name: field.type for field in msgspec.structs.fields(Config)}
    shared = types.keys() & {field.name for field in msgspec.structs.fields(StopSettings)}
    for name in shared:
        bounds = [getattr(meta, bound, None) for meta in types[name].__metadata__]
        if limits := [limit for limit in bounds if limit is not None]:
            variables = environment(_SETTINGS | {name: limits[0]})
            assert getattr(load_settings(StopSettings, variables), name) == limits[0]


_SETTINGS = {
    "stop_queue_url": "https://queue",
    "dead_letter_queue_url": "https://dead",
    "event_bus_name": "bus",
    "trusted_sender_ids": ["AROASTOP"],
    "job_arn_prefix": "arn:aws:glue:eu-west-1:123456789012:job/",
    "jobs": ["*"],
    "protected_jobs": [],
    "protect_tag": "tag",
    "max_runs_per_request": 1,
    "calls_at_once": 1,
    "max_attempts": 1,
    "retry_seconds": [1, 2],
    "confirm_queue_url": "https://confirm",
    "confirm_seconds": [1, 2],
    "confirm_deadline_seconds": 1,
}
