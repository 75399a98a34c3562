"""What version 0.1 wrote: messages, outcome events, environment variables and logical ids.

The files are never generated again. A later version may find messages of 0.1 on a queue. A changed logical id
replaces a queue together with its messages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def golden(name: str) -> Any:
    """Return the content of a golden file."""
    return json.loads((Path(__file__).parent / name).read_text())
