"""What version 0.1 wrote: messages, outcome events, environment and logical ids.

The files are never regenerated. Messages of 0.1 may still be on a queue when a later version reads them, and a
changed logical id replaces a queue together with its messages.
"""

import json
from pathlib import Path
from typing import Any


def golden(name: str) -> Any:
    """Return the content of a golden file."""
    return json.loads((Path(__file__).parent / name).read_text())
