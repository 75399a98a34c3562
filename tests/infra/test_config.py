"""The configuration: its sources, its limits, and errors reported all at once."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gluebrake.settings import StopSettings, environment
from gluebrake.settings import load as load_settings
from infra.config import Config, ConfigError, load

_KEYS = sorted(field.encode_name for field in msgspec.structs.fields(Config))
_JOB = "a job name or a pattern without brackets, 1 to 255 characters"
_PREFIX = "a prefix of alarm names without a wildcard, 1 to 255 characters"


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
        "stopOnAlarms": ["glue-*", ""],
        "alarmEmail": "on-call",
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
        'gluebrake.alarmEmail: "on-call" should be an e-mail address, or null for none',
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
        ({"jobs": ["j" * 100] * 40}, "jobs, protectedJobs"),
        ({"jobs": [str(n) for n in range(100, 300)]}, "jobs, protectedJobs"),
        ({"stopOnRunStatus": ["j" * 256]}, "gluebrake.stopOnRunStatus[0]"),
        ({"stopOnRunStatus": ["j" * 100] * 16}, "stopOnRunStatus"),
        ({"stopOnRunStatus": ["\\" * 200] * 3}, "stopOnRunStatus"),
        ({"stopOnAlarms": ["a" * 100] * 16}, "stopOnAlarms"),
        ({"architecture": "arm"}, "gluebrake.architecture"),
        ({"maxAttempts": None}, "gluebrake.maxAttempts"),
    ],
)
def test_a_value_beyond_its_limit_is_rejected(values: dict[str, Any], path: str) -> None:
    """A value that AWS would reject at deployment, or a function at its start, is rejected at synthesis."""
    (error,) = _errors({"gluebrake": values})
    assert error.startswith(path + ": ")


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
