"""Who requested a stop, by a log line: what SQS reports, and what the request only claims."""

from __future__ import annotations

from typing import Final

from gluebrake_cli.runs import LogLine

_DIRECT: Final = "invocation"
"""The sender of a direct invocation, which no queue has seen."""


def labelled(line: LogLine) -> dict[str, str]:
    """Return by labels who requested it, for which reason, and last who it claims to be from."""
    sender = line.get("sender", "")
    texts = {
        "sender" if sender == _DIRECT else "sender (by SQS)": sender,
        "via": line.get("via", ""),
        "reason": line.get("reason", ""),
        "requested by (a claim)": line.get("requested_by", ""),
    }
    return {label: text for label, text in texts.items() if text}
