"""Who requested a stop, from a log line: facts from SQS, and claims of the request."""

from __future__ import annotations

from typing import Final

from gluebrake_cli.runs import LogLine

_DIRECT: Final = "invocation"
"""The sender of a direct invocation, which is not reported by SQS."""


def labelled(line: LogLine) -> dict[str, str]:
    """Return sender, `via`, reason and, last, the claimed requester, by their labels."""
    sender = line.get("sender", "")
    texts = {
        "sender" if sender == _DIRECT else "sender (by SQS)": sender,
        "via": line.get("via", ""),
        "reason": line.get("reason", ""),
        "requested by (a claim)": line.get("requested_by", ""),
    }
    return {label: text for label, text in texts.items() if text}
