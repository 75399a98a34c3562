"""Tests of the events with which the benchmarks invoke the functions."""

from __future__ import annotations

import json

from benchmarks.lambda_events import CONFIRM, MAX_BATCH_SIZE, STOP, batches, one_run_requests, records
from benchmarks.streams import distinct_runs
from tests.benchmarks.conftest import MESSAGES, messages_of


def test_each_run_is_named_once() -> None:
    """Each message names a run of its own, so no work is saved by merging."""
    assert len(distinct_runs(one_run_requests(MESSAGES))) == MESSAGES


def test_stop_records_are_first_attempts() -> None:
    """The STOP function takes each record as a new message."""
    messages = messages_of(STOP)
    assert len({message.message_id for message in messages}) == MESSAGES
    assert all(message.is_first and message.submitted_at is None for message in messages)


def test_confirm_records_have_a_trusted_submission_time() -> None:
    """The CONFIRM function accepts the submission time, because the sender is the STOP function."""
    assert all(message.submitted_at for message in messages_of(CONFIRM))


def test_batch_has_at_most_the_allowed_bytes() -> None:
    """The records are in order, in as few batches as the limit allows."""
    ten_records = list(records(STOP, one_run_requests(10)))
    largest = max(len(json.dumps(record)) for record in ten_records) + 2
    split = list(batches(ten_records, max_bytes=4 * largest))
    assert [record for batch in split for record in batch] == ten_records
    assert [len(batch) for batch in split] == [4, 4, 2]


def test_batch_has_at_most_the_allowed_messages() -> None:
    """The number of small records is limited as well."""
    split = list(batches([{}] * (MAX_BATCH_SIZE + 1)))
    assert [len(batch) for batch in split] == [MAX_BATCH_SIZE, 1]
