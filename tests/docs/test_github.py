"""Tests of the files in .github, because GitHub ignores an invalid one without an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from docs.generate import DOCS

GITHUB: Final = DOCS.parent / ".github"
FORMS: Final = sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml"))
WORKFLOWS: Final = sorted(GITHUB.glob("workflows/*.yml"))


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


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
    assert workflow["permissions"]
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    run = {target for step in steps for target in re.findall(r"make (\w+)", step.get("run", ""))}
    assert {"test"} <= run <= set(re.findall(r"^(\w+):", (DOCS.parent / "Makefile").read_text(), re.MULTILINE))


def test_dependabot_reads_all_pinned_requirements() -> None:
    """Each pinned requirements file is in a directory that Dependabot reads."""
    updates = _read(GITHUB / "dependabot.yml")["updates"]
    (pip,) = [update for update in updates if update["package-ecosystem"] == "pip"]
    patterns = ("requirements.txt", "lambda_src/requirements.txt", "requirements/*.txt")
    found = {file.parent for pattern in patterns for file in DOCS.parent.glob(pattern)}
    assert {DOCS.parent / directory.lstrip("/") for directory in pip["directories"]} == found
