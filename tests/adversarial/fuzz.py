"""Feeds the readers changed events for as long as it is told.

    PYTHONPATH=lambda_src python -m tests.adversarial.fuzz MINUTES [SEED]

Each must be read without an exception, and ask at most for what a second reader finds in it. The one that
breaks this is printed, with the seed.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from tests.unit.parsing.mutations import garbled, mutated
from tests.unit.parsing.test_mutations import EVENTS, read

PIECES: Final = (
    b"\\",
    b'"',
    b"\0",
    b"\xf0\x9f\x9b\x91",
    b"\xed\xa0\x80",
    b"\xff",
    b"{",
    b"}",
    b"[",
    b"1e999",
    b":",
)

MESSAGE_BYTES: Final = 1_048_576
"""The most that SQS takes."""


def texts(random: Random) -> Iterator[str]:
    """Yield events that were changed ever further: as values, as text, and as bytes."""
    while True:
        event: Any = random.choice(list(EVENTS.values()))
        for _ in range(random.choice((1, 1, 2, 8))):
            event = mutated(event, random)
            text = json.dumps(event, ensure_ascii=random.random() < 0.5)
            if len(text) > MESSAGE_BYTES:
                break
            yield text
            yield garbled(text, random)
            yield smashed(text, random)
            yield doubled(text, random)


def smashed(text: str, random: Random) -> str:
    """Return the text with bytes in it replaced, as SQS would deliver what is no UTF-8."""
    raw = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(random.choice((1, 4, 32))):
        at = random.randrange(len(raw) or 1)
        raw[at : at + random.choice((0, 1, 4))] = random.choice((*PIECES, bytes([random.randrange(256)])))
    return raw.decode(errors=random.choice(("replace", "surrogateescape", "ignore")))


def doubled(text: str, random: Random) -> str:
    """Return the text with a member of one of its objects written twice, with two values."""
    try:
        members = json.loads(text)
    except ValueError:
        return text
    if not isinstance(members, dict) or not members:
        return text
    name, value = random.choice(list(members.items()))
    other = random.choice((value, members.get(random.choice(list(members))), True, "jr_other"))
    return f"{{{json.dumps(name)}: {json.dumps(other)}, {text.lstrip()[1:]}"


def main(minutes: float, seed: int) -> str | None:
    """Read for so many minutes; return what is wrong."""
    became: Counter[str] = Counter()
    until = time.monotonic() + 60 * minutes
    for text in texts(Random(seed)):  # noqa: S311 - no secret, and to be had again
        try:
            became[type(read(text)).__name__] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
            return f"seed {seed}, after {became.total()}: {error!r}\n{text!r}"
        if time.monotonic() > until:
            break
    sys.stdout.write(f"seed {seed}: {became.total()} bodies read: {dict(became)}\n")
    return None


if __name__ == "__main__":
    _, minutes, *seed = sys.argv
    sys.exit(main(float(minutes), int(*seed or ("0",))))
