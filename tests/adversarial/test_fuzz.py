"""A short run of the fuzzer, with the same cases each time."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from gluebrake.model import ParsedRequest
from tests.adversarial.fuzz import texts
from tests.unit.parsing.test_mutations import read

pytestmark = pytest.mark.disable_socket


def test_whatever_is_done_to_an_event_is_read_and_asks_for_what_it_says() -> None:
    """Values, text and bytes are changed ever further; none crashes the readers or stops another run."""
    became = [type(read(text)) for text in islice(texts(Random(0)), 3_000)]  # noqa: S311 - the same each time
    assert ParsedRequest in became
