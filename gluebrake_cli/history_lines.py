"""Lines of a function's log that have an outcome, and who requested the stop."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from gluebrake.metrics import Measure
from gluebrake.outcomes import Outcome

_SWEEP: Final = re.compile(r"\w+ of policy (?P<name>\S+) ")
"""The start of the `via` that SWEEP gives its stop requests."""

_ORIGIN: Final = re.compile(r"^(?:notification|event) \S+ of |, due \S+$")
"""The part of `via` that differs between notifications of a topic, events of a source, or policy sweeps."""


class Requester(Struct, frozen=True, kw_only=True):
    """Who requested a stop, and why. A `sender` is a fact of SQS. `via` and `requested_by` are claims."""

    sender: str
    via: str
    requested_by: str
    reason: str

    @property
    def origin(self) -> tuple[str, str, str, str]:
        """The values that all requests of one origin share, without the ids of notifications and events."""
        return self.sender, _ORIGIN.sub("", self.via), self.requested_by, self.reason

    def policy(self, sweep_sender_ids: frozenset[str]) -> str:
        """Return the guardrail policy that requested the stop, empty unless the sender is SWEEP's role.

        SQS reports a role's id and, after a colon, the name of the session, which the user of the role chooses.
        The emulator reports one id for every sender. There, only `via` distinguishes SWEEP's requests.
        """
        found = _SWEEP.match(self.via)
        sender_id = self.sender.partition(":")[0]
        is_of_sweep = found and sender_id in sweep_sender_ids and self.requested_by == f"policy/{found['name']}"
        return found["name"] if found and is_of_sweep else ""


class Line(Struct, frozen=True, kw_only=True):
    """A log line about a run or, without `job_run_id`, about a whole request."""

    timestamp: datetime
    outcome: Outcome
    job_name: str
    job_run_id: str = ""
    error_code: str = ""
    error_message: str = ""
    state: str = ""
    attempt: int = 0
    dry_run: bool = False
    reason: str = ""
    requested_by: str = ""
    sender: str = ""
    via: str = ""
    will_redeliver: bool = False
    measures: Mapping[Measure, float] = field(default_factory=dict)

    @property
    def requester(self) -> Requester:
        """Who requested the stop."""
        return Requester(sender=self.sender, via=self.via, requested_by=self.requested_by, reason=self.reason)

    @property
    def ends(self) -> bool:
        """Whether the outcome is the last of its request."""
        return self.outcome.is_final and not self.dry_run and not self.will_redeliver


def parse(message: str) -> Line | None:
    """Parse the message of a log event. Return None if it is not a line with an outcome of this version."""
    try:
        fields = json.loads(message)
        return msgspec.convert({**fields, "measures": _measures(fields)}, Line)
    except (ValueError, TypeError):
        return None


def _measures(fields: Mapping[str, Any]) -> dict[str, float]:
    """Return the measures. The log has "unknown" for a value that AWS Glue does not report."""
    values = {measure.value: fields.get(measure.value) for measure in Measure}
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
