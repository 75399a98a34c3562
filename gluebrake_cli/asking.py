"""What the operator types becomes a stop request, by the very rules of the function that will read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gluebrake.contract import StopRequest
from gluebrake.model import AwsEnvironment
from gluebrake.parsing import stop_request
from gluebrake.parsing.context import Context


def request(  # noqa: PLR0913 - what a stop request says, by name
    job_name: str,
    run_ids: Sequence[str],
    *,
    older_than_minutes: int | None,
    reason: str,
    requested_by: str,
    dry_run: bool,
    now: datetime,
) -> StopRequest:
    """Return the request; without run ids, for every active run that started before now.

    Raises ReadingError that names the field and the rule.
    """
    older = {} if older_than_minutes is None else {"OlderThanMinutes": older_than_minutes}
    notes = {"Reason": reason, "RequestedBy": requested_by}
    fields = {
        "JobName": job_name,
        **({"JobRunIds": list(dict.fromkeys(run_ids))} if run_ids else {"Select": older}),
        **{name: note for name, note in notes.items() if note},
        "DryRun": dry_run,
    }
    return stop_request.read(msgspec.json.encode(fields), Context(AwsEnvironment("", ""), now))
