"""The guardrail policies of a deployment: those of docs/policies.md, and some for single tests.

The policies of a test have a schedule of their own, so that its message makes no other policy due. They match
jobs of their own. No schedule fires while the tests run.
"""

from __future__ import annotations

import json
from typing import Any, Final

from local.emulator import ROOT
from tests.docs.document import Document

PAGE: Final = Document(ROOT / "docs" / "policies.md")

Policy = dict[str, Any]

NEVER: Final = "cron(0 3 1 1 ? 2199)"
"""A schedule with an hour of the day, as a policy without a limit needs it, but in a year far away."""


def _policy(name: str, **fields: Any) -> Policy:
    return {"name": name, "mode": "stop", "maxRuns": 10, "reason": f"{name} says so", **fields}


OBSERVED: Final = _policy("observed", schedule=NEVER, jobs=["*-sweep-"])
"""The policy of a deployment with `observe: true`. It means the job of the test that sweeps."""

OF_TESTS: Final[tuple[Policy, ...]] = (
    _policy("overdue", schedule="rate(2 hours)", jobs=["five-*"], maxMinutes=60),
    _policy("costly", schedule="rate(2 hours)", jobs=["five-*"], maxDpuHours=0.1, mode="report"),
    _policy("nights", schedule=NEVER, jobs=["five-*"], tags={"env": "test"}),
    _policy("capped", schedule="rate(3 hours)", jobs=["cap-*"], maxMinutes=60, maxRuns=1),
    _policy("signal-a", onSignal=["budgets"], jobs=["signal-a-*"]),
    _policy("signal-b", onSignal=["costalerts"], jobs=["signal-b-*"]),
)


def of_the_page() -> list[Policy]:
    """Return the policies of the page, in its order."""
    fences = [block.text for block in PAGE.blocks if block.kind == "json"]
    return [policy for content in map(json.loads, fences) for policy in content.get("policies", [content])]


CONFIG: Final[dict[str, Any]] = {
    "dashboard": True,
    "policies": [*of_the_page(), *OF_TESTS],
    "protectedJobs": ["*-payroll"],
    "retrySeconds": [1, 900],
    "confirmSeconds": [1, 1],
}
