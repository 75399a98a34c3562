"""A record of SQS becomes a message with its bookkeeping, even if its attributes are malformed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake import lambda_event
from gluebrake.contract import ATTEMPT, SENDER, STAGE, SUBMITTED_AT
from gluebrake.model import Message
from tests.support.builders import FUNCTION_SENDER_ID, NOON, SENDER_ID, bookkeeping, message, record

pytestmark = pytest.mark.disable_socket


def _received(sqs_record: dict[str, Any], *, max_attempts: int = 8) -> Message:
    return lambda_event.sqs_message(sqs_record, bookkeeping(max_attempts=max_attempts))


class TestSender:
    """Whose message it is."""

    def test_message_of_a_producer_is_a_first_message(self) -> None:
        """Without bookkeeping it is at attempt 0, and its sender is the one that SQS reports."""
        received = _received(record("{}"))
        assert received == message("{}")
        assert received.is_first

    def test_bookkeeping_of_a_retry_is_read(self) -> None:
        """Attempt, first sender and submission time are those of the attributes that Gluebrake wrote."""
        attributes = {ATTEMPT: "3", SENDER: "AIDAEXAMPLE:first", SUBMITTED_AT: "2026-11-24T11:00:00+00:00"}
        received = _received(record("{}", attributes, SenderId=FUNCTION_SENDER_ID))
        assert received == message(
            "{}",
            sender="AIDAEXAMPLE:first",
            is_retry=True,
            attempt=3,
            submitted_at=datetime(2026, 11, 24, 11, tzinfo=UTC),
        )
        assert not received.is_first

    @pytest.mark.parametrize(
        "sender_id",
        ["AROAANOTHER:stop", "AROAGLUEBRAK:stop", "xAROAGLUEBRAKE", "", ":AROAGLUEBRAKE", "123456789012"],
    )
    def test_only_the_functions_may_name_another_sender(self, sender_id: str) -> None:
        """The sender of a message that no function's role sent is the one that SQS reports."""
        attributes = {ATTEMPT: "3", SENDER: "AIDAEXAMPLE:another"}
        received = _received(record("{}", attributes, SenderId=sender_id))
        assert (received.sender, received.is_retry, received.is_first) == (sender_id, False, True)

    @given(name=st.text(max_size=8))
    def test_function_is_recognised_by_its_roles_id(self, name: str) -> None:
        """The session's name does not matter, with or without colons."""
        received = _received(record("{}", {SENDER: "first"}, SenderId=f"AROAGLUEBRAKE:{name}"))
        assert received.sender == "first"

    def test_role_id_ends_at_the_first_colon(self) -> None:
        """The rest is a session's name, which its sender chooses freely and which may look like a role's id."""
        forged = f"{SENDER_ID.partition(':')[0]}:{FUNCTION_SENDER_ID}"
        received = _received(record("{}", {SENDER: "another"}, SenderId=forged))
        assert (received.sender, received.is_retry) == (forged, False)
        from_function = f"{FUNCTION_SENDER_ID}:{SENDER_ID}"
        assert _received(record("{}", {SENDER: "guardrail"}, SenderId=from_function)).sender == "guardrail"

    def test_sender_may_be_absent(self) -> None:
        """A record without a sender is read."""
        sqs_record = record("{}")
        del sqs_record["attributes"]["SenderId"]
        assert _received(sqs_record).sender == ""


class TestAttempt:
    """The number of earlier attempts, and of deliveries."""

    @pytest.mark.parametrize("sender_id", [SENDER_ID, FUNCTION_SENDER_ID])
    def test_attempts_of_every_sender_count(self, sender_id: str) -> None:
        """A function whose role is not recognised does not retry without end."""
        attributes = {ATTEMPT: "3", SUBMITTED_AT: "2026-11-24T11:00:00+00:00"}
        received = _received(record("{}", attributes, SenderId=sender_id))
        assert (received.attempt, received.submitted_at) == (3, datetime(2026, 11, 24, 11, tzinfo=UTC))

    @pytest.mark.parametrize(("text", "attempt"), [("0", 0), ("1", 1), ("7", 7), ("8", 0), ("9", 0), ("10", 0)])
    def test_attempt_at_or_over_the_maximum_counts_as_0(self, text: str, attempt: int) -> None:
        """A message with no attempt left was redriven by an operator, so it has all attempts again."""
        assert _received(record("{}", {ATTEMPT: text})).attempt == attempt

    @pytest.mark.parametrize(
        "text", ["", "-1", "+1", "1.0", " 1", "1_0", "٣", "²", "one", "\0", "1" * 5000, "\ud800"]
    )
    def test_attempt_that_is_no_number_counts_as_0(self, text: str) -> None:
        """An unreadable attribute does not keep the message from being read."""
        assert _received(record("{}", {ATTEMPT: text}), max_attempts=100).attempt == 0

    @pytest.mark.parametrize(("stage", "attempt"), [("stop", 7), ("confirm", 0), ("", 7), ("another", 0)])
    def test_attempt_counts_for_its_stage_only(self, stage: str, attempt: int) -> None:
        """A message of the confirm queue that is redriven to the stop queue has all attempts again.

        A message of version 0.1 has no stage, and its attempt counts.
        """
        attributes = {ATTEMPT: "7", **({STAGE: stage} if stage else {})}
        assert _received(record("{}", attributes)).attempt == attempt

    def test_redelivery_is_no_first_message(self) -> None:
        """A message that SQS redelivers was counted before."""
        received = _received(record(ApproximateReceiveCount="2"))
        assert (received.receive_count, received.is_first) == (2, False)

    def test_number_of_deliveries_may_be_absent(self) -> None:
        """A record without the number counts as the first delivery."""
        sqs_record = record("{}")
        del sqs_record["attributes"]["ApproximateReceiveCount"]
        assert _received(sqs_record).is_first


class TestSubmissionTime:
    """When the run was submitted."""

    @pytest.mark.parametrize(
        "text",
        ["", "yesterday", "2026-11-24", "2026-11-24T11:00:00", "2026-13-01T00:00:00Z", "\ud800", "0" * 5000],
    )
    def test_time_that_cannot_be_read_is_unknown(self, text: str) -> None:
        """A time without an offset is not guessed, and other text is no time."""
        assert _received(record("{}", {SUBMITTED_AT: text})).submitted_at is None

    @pytest.mark.parametrize("text", ["2026-11-24T12:00:00.001+00:00", "9999-12-31T23:59:59-23:59"])
    def test_time_after_the_message_is_the_messages_own(self, text: str) -> None:
        """A run was submitted before the message about it was sent."""
        assert _received(record("{}", {SUBMITTED_AT: text})).submitted_at == NOON

    def test_ages_can_be_calculated_from_the_earliest_time(self) -> None:
        """The first time that Python can express causes no overflow."""
        received = _received(record("{}", {SUBMITTED_AT: "0001-01-01T00:00:00+23:59"}))
        assert received.submitted_at is not None
        assert NOON - received.submitted_at > timedelta(days=700_000)


class TestAttributes:
    """The message attributes as a whole."""

    @pytest.mark.parametrize("attributes", [None, {}])
    def test_attributes_may_be_absent(self, attributes: dict[str, Any] | None) -> None:
        """A record without any message attributes is read."""
        assert _received({**record("{}"), "messageAttributes": attributes}) == message("{}")

    def test_binary_attribute_is_ignored(self) -> None:
        """Only text attributes are read."""
        binary = {"dataType": "Binary", "binaryValue": "AA=="}
        attributes = {ATTEMPT: binary, SENDER: binary, SUBMITTED_AT: binary}
        assert _received({**record("{}"), "messageAttributes": attributes}) == message("{}")

    def test_binary_sender_of_a_function_is_ignored(self) -> None:
        """The sender is then the one that SQS reports."""
        sqs_record = record("{}", SenderId=FUNCTION_SENDER_ID)
        sqs_record["messageAttributes"] = {SENDER: {"dataType": "Binary", "binaryValue": "AA=="}}
        assert _received(sqs_record).sender == FUNCTION_SENDER_ID

    @given(st.text(), st.text(), st.text())
    def test_any_attributes_are_read(self, attempt: str, sender: str, submitted_at: str) -> None:
        """No attribute makes reading fail, and each value is within the limits that later code relies on."""
        received = _received(record("{}", {ATTEMPT: attempt, SENDER: sender, SUBMITTED_AT: submitted_at}))
        assert 0 <= received.attempt < 8
        assert received.sender == SENDER_ID
        assert received.submitted_at is None or received.submitted_at <= received.sent_at
