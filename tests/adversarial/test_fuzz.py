"""A short run of the fuzzer, with the same cases each time."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from gluebrake.model import ParsedRequest
from tests.adversarial.fuzz import texts
from tests.unit.parsing.test_mutations import parse

pytestmark = pytest.mark.disable_socket


def test_fuzzed_events_are_parsed_and_request_no_other_run() -> None:
    """Mutated values, text and bytes raise no exception, and request at most what a second parser allows."""
    results = [type(parse(text)) for text in islice(texts(Random(0)), 3_000)]  # noqa: S311 - repeatable
    assert ParsedRequest in results
