"""A fuzzer that parses mutated events for a number of minutes.

    PYTHONPATH=lambda_src python -m tests.adversarial.fuzz MINUTES [SEED]

Each event must be parsed without an exception, and request at most what a second parser allows. Events of muted
and foreign alarms must request nothing. The fuzzer prints the first event that violates this, with the seed.
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
from tests.unit.parsing.silenced import SILENCED, parse_silenced
from tests.unit.parsing.test_mutations import EVENTS, parse

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
"""The largest message that SQS accepts."""


def texts(random: Random) -> Iterator[str]:
    """Yield mutated events. The mutations add up: of values, of the text, and of its bytes."""
    while True:
        event: Any = random.choice(list(EVENTS.values()))
        for _ in range(random.choice((1, 1, 2, 8))):
            event = mutated(event, random)
            text = json.dumps(event, ensure_ascii=random.random() < 0.5)
            if len(text) > MESSAGE_BYTES:
                break
            yield text
            yield garbled(text, random)
            yield with_changed_bytes(text, random)
            yield with_repeated_member(text, random)


def with_changed_bytes(text: str, random: Random) -> str:
    """Return the text with some bytes replaced, decoded as SQS could deliver invalid UTF-8."""
    raw = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(random.choice((1, 4, 32))):
        at = random.randrange(len(raw) or 1)
        raw[at : at + random.choice((0, 1, 4))] = random.choice((*PIECES, bytes([random.randrange(256)])))
    return raw.decode(errors=random.choice(("replace", "surrogateescape", "ignore")))


def with_repeated_member(text: str, random: Random) -> str:
    """Return the text with a member of its object twice, mostly with two values."""
    try:
        members = json.loads(text)
    except ValueError:
        return text
    if not isinstance(members, dict) or not members:
        return text
    name, value = random.choice(list(members.items()))
    second_value = random.choice((value, members.get(random.choice(list(members))), True, "jr_other"))
    return f"{{{json.dumps(name)}: {json.dumps(second_value)}, {text.lstrip()[1:]}"


def main(minutes: float, seed: int) -> str | None:
    """Parse for so many minutes. Return the first error."""
    results: Counter[str] = Counter()
    silenced: Counter[str] = Counter()
    names, random = list(SILENCED), Random(seed)  # noqa: S311 - repeatable, and not a secret
    until = time.monotonic() + 60 * minutes
    for text in texts(Random(seed)):  # noqa: S311 - repeatable, and not a secret
        try:
            results[type(parse(text)).__name__] += 1
            silenced[type(parse_silenced(random.choice(names), random)).__name__] += 1
        except Exception as error:  # noqa: BLE001 - every exception is a result of the fuzzer
            return f"seed {seed}, after {results.total()}: {error!r}\n{text!r}"
        if time.monotonic() > until:
            break
    del silenced["NoneType"]
    sys.stdout.write(f"seed {seed}: {results.total()} bodies parsed: {dict(results)}\n")
    sys.stdout.write(f"{silenced.total()} mutations of silenced alarms: {dict(silenced)}\n")
    return None


if __name__ == "__main__":
    _, minutes, *seed = sys.argv
    sys.exit(main(float(minutes), int(*seed or ("0",))))
