"""What GitHub reads: it drops a form or a workflow that it does not understand, and tells nobody."""

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
def test_form_asks_for_what_is_needed(file: Path) -> None:
    """A form has a name, says what it is for, and asks questions, at least one of which must be answered."""
    form = _read(file)
    assert form["name"]
    assert form["description"]
    questions = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in questions}) == len(questions)
    assert all(field["attributes"]["label"] for field in questions)
    assert any(field.get("validations", {}).get("required") for field in questions)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_runs_our_own_targets(file: Path) -> None:
    """A workflow says what it may do, and does it with the Makefile's targets, as a person would."""
    workflow = _read(file)
    assert workflow["permissions"]
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    run = {target for step in steps for target in re.findall(r"make (\w+)", step.get("run", ""))}
    assert {"test"} <= run <= set(re.findall(r"^(\w+):", (DOCS.parent / "Makefile").read_text(), re.MULTILINE))


def test_dependabot_looks_where_the_requirements_are() -> None:
    """Each file of pinned requirements stands in a directory that Dependabot looks at."""
    (pip,) = [one for one in _read(GITHUB / "dependabot.yml")["updates"] if one["package-ecosystem"] == "pip"]
    found = {file.parent for file in DOCS.parent.glob("*requirements*.txt")}
    found |= {file.parent for file in DOCS.parent.glob("lambda_src/requirements.txt")}
    assert {DOCS.parent / directory.lstrip("/") for directory in pip["directories"]} == found
