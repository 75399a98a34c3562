"""The CDK's own template rules, which the other tests turn off because they take most of a synthesis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from infra import assemblies
from tests.infra.template import Template
from tests.infra.test_environments import DEV, EVERY_OPTION, PROD

ROOT: Final = Path(__file__).parents[2]
ENVIRONMENTS: Final[dict[str, dict[str, Any]]] = {
    "plain": DEV,
    "every-option": {**PROD, **EVERY_OPTION, "dashboard": True, "tracing": True},
    "observing": {**DEV, "region": "us-west-2", "observe": True},
}


@pytest.mark.parametrize(
    "context",
    [("environment=all", "target=local"), ("environment=", "organization=o-abcde12345")],
    ids=["members", "central"],
)
def test_no_template_breaks_a_rule(context: tuple[str, ...], tmp_path: Path) -> None:
    """The rules run in `python app.py`, as for a deployment, and neither they nor cdk-nag find anything."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"environments": ENVIRONMENTS}))
    options = [option for value in (*context, f"config={config}") for option in ("-c", value)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CDK_")}

    def write(directory: Path) -> None:
        subprocess.run(
            [sys.executable, "app.py", *options],
            cwd=ROOT,
            env={**environ, "CDK_OUTDIR": str(directory)},
            check=True,
        )

    key = f"rules {context} {config.read_text()}"
    reports = Template(assemblies.kept(key, write, at=assemblies.inputs())).validated("violations")
    assert reports
    assert not any(reports.values())
