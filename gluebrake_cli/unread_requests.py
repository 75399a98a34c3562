"""Stop requests of which no outcome is seen: a hint that STOP has not read them, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from gluebrake_cli import checks
from gluebrake_cli.facts import DeploymentFacts
from gluebrake_cli.runs import RunStatus
from gluebrake_cli.sections import Sections

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

# STOP logs an outcome within seconds, and CloudWatch Logs is a few seconds late.
_HINT_SECONDS: Final = 30.0
_STOP: Final = "stop"
_STATUS: Final = "`gluebrake status` shows what is wrong."


def with_hint(
    polls: Iterator[list[RunStatus]],
    hint: Callable[[], str],
    warn: Callable[[str], None],
    after_seconds: float = _HINT_SECONDS,
) -> Iterator[list[RunStatus]]:
    """Yield the polls. Warn once with the hint, if no outcome is seen after some seconds."""
    due = time.monotonic() + after_seconds
    for poll in polls:
        yield poll
        if time.monotonic() >= due and are_unread(poll):
            warn(hint())
            break
    yield from polls


def are_unread(statuses: Sequence[RunStatus]) -> bool:
    """Return whether nothing shows that STOP has read a request: no outcome, and no run in STOPPING."""
    is_read = any(status.outcome or status.state == "STOPPING" for status in statuses)
    return not is_read and not all(status.is_over for status in statuses)


def hint(deployment: Deployment) -> str:
    """Return a line that says that STOP has not read the request, why if that can be read, and what to do."""
    # Without the permission to read the mapping, the reason is not known.
    mappings = Sections().read("mappings", DeploymentFacts(deployment).mappings) or ()
    of_stop = [mapping for mapping in mappings if mapping.function == _STOP]
    for problem in checks.disabled_mappings(of_stop):
        return f"STOP has not read the request: {problem.text}. {_STATUS}"
    return f"No outcome of the request is seen, so STOP may not have read it. {_STATUS}"
