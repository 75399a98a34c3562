"""Tests of the files in .github, because GitHub ignores an invalid one without an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]

from docs.generate import DOCS

GITHUB: Final = DOCS.parent / ".github"
FORMS: Final = sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml"))
WORKFLOWS: Final = sorted(GITHUB.glob("workflows/*.yml"))


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


class Job(NamedTuple):
    """A job of a workflow, with the permissions that its token has."""

    name: str
    steps: list[dict[str, Any]]
    permissions: dict[str, str]


def _jobs(file: Path) -> Iterator[Job]:
    workflow = _read(file)
    for name, job in workflow["jobs"].items():
        yield Job(f"{file.stem}/{name}", job["steps"], job.get("permissions", workflow["permissions"]))


JOBS: Final = [job for file in WORKFLOWS for job in _jobs(file)]


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.stem)
def test_form_is_complete(file: Path) -> None:
    """A form has a name, a description and questions, at least one of which is required."""
    form = _read(file)
    assert form["name"]
    assert form["description"]
    questions = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in questions}) == len(questions)
    assert all(field["attributes"]["label"] for field in questions)
    assert any(field.get("validations", {}).get("required") for field in questions)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_runs_make_targets(file: Path) -> None:
    """A workflow declares its permissions and runs only targets of the Makefile."""
    workflow = _read(file)
    assert "permissions" in workflow
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    run = {target for step in steps for target in re.findall(r"make (\w+)", step.get("run", ""))}
    assert {"test"} <= run <= set(re.findall(r"^(\w+):", (DOCS.parent / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_by_commit(file: Path) -> None:
    """A tag can be moved to other code, a commit cannot. The version beside it is for people and Dependabot."""
    used = re.findall(r"\buses: (.*)", file.read_text())
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_job_that_runs_code_can_write_nothing(job: Job) -> None:
    """A release of another project that is malicious finds no token in the job that installs or runs it."""
    if any("make " in step.get("run", "") for step in job.steps):
        assert set(job.permissions.values()) <= {"read"}


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_checkout_leaves_no_token(job: Job) -> None:
    """By default, actions/checkout writes the token to the disk."""
    checkouts = [step for step in job.steps if step.get("uses", "").startswith("actions/checkout@")]
    assert [step for step in checkouts if step.get("with", {}).get("persist-credentials") is not False] == []


def test_upgrades_are_proposed_from_another_job() -> None:
    """The job that can write takes only the locked files from the job that ran `make lock`."""
    lock, propose = (job for job in JOBS if job.name.startswith("requirements/"))
    assert "make lock" in [step.get("run") for step in lock.steps]
    assert propose.permissions == {"contents": "write", "pull-requests": "write"}
    (upload,) = (step["with"] for step in lock.steps if "upload-artifact" in step.get("uses", ""))
    (copy,) = (step["run"] for step in propose.steps if "run" in step)
    (copied,) = re.findall(r"git ls-files (.*?) \|", copy)
    files = set(copied.replace("'", "").split())
    assert files == set(upload["path"].split())
    assert {file.relative_to(DOCS.parent).as_posix() for name in files for file in DOCS.parent.glob(name)} == {
        *re.findall(r" -o (\S+)", (DOCS.parent / "Makefile").read_text()),
        "package.json",
        "package-lock.json",
    }
    assert "--state open" in copy


def test_dependabot_reads_all_pinned_requirements() -> None:
    """Each pinned requirements file, and package-lock.json, is in a directory that Dependabot reads."""
    updates = _read(GITHUB / "dependabot.yml")["updates"]
    assert [update["directory"] for update in updates if update["package-ecosystem"] == "npm"] == ["/"]
    (pip,) = [update for update in updates if update["package-ecosystem"] == "pip"]
    patterns = ("requirements.txt", "lambda_src/requirements.txt", "requirements/*.txt")
    found = {file.parent for pattern in patterns for file in DOCS.parent.glob(pattern)}
    assert {DOCS.parent / directory.lstrip("/") for directory in pip["directories"]} == found
