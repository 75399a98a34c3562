"""A notice is published at most once, and none of its errors has an effect."""

from __future__ import annotations

import boto3
import pytest

from gluebrake.aws.notice_topic import NoticeTopic
from gluebrake.model import Notice
from tests.support.fakes.aws_server import TOPIC_ARN, FakeAws
from tests.support.fakes.exchange import Ending, Reply

NOTICE = Notice("Gluebrake: 1 stopped", '{"default": "{}"}')


def _topic(aws: FakeAws, arn: str = TOPIC_ARN) -> NoticeTopic:
    return NoticeTopic(lambda: boto3.client("sns", **aws.client_options), arn)


def test_notice_is_published_with_a_form_for_each_protocol() -> None:
    """SNS gets the subject and all forms."""
    with FakeAws() as aws:
        assert _topic(aws).publish(NOTICE, 2.0) == ""
        ((subject, forms),) = aws.sns.published
    assert (subject, forms) == ("Gluebrake: 1 stopped", {"default": "{}"})


def test_refused_notice_is_lost_with_the_code() -> None:
    """SNS's code says why."""
    with FakeAws() as aws:
        assert _topic(aws, "arn:aws:sns:eu-west-1:123456789012:other").publish(NOTICE, 2.0) == "NotFound"


def test_notice_without_an_answer_is_lost() -> None:
    """The name of botocore's error says why."""
    with FakeAws() as aws:
        aws.faults.add(lambda _call, _answer: Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY))
        assert _topic(aws).publish(NOTICE, 2.0) == "ConnectionClosedError"


def test_client_that_cannot_be_made_loses_the_notice() -> None:
    """The client is made when the first notice is published."""

    def make_client() -> object:
        raise OSError("no certificates")

    assert NoticeTopic(make_client, TOPIC_ARN).publish(NOTICE, 2.0) == "OSError"  # type: ignore[arg-type]


def test_notice_is_not_waited_for_longer_than_the_time_that_is_left() -> None:
    """Lambda would end the function, and SQS would redeliver its messages."""
    with FakeAws() as aws:
        aws.faults.add(lambda call, answer: Reply(payload=answer(call).payload, delay=1.5))
        assert _topic(aws).publish(NOTICE, 1.0) == "NoTime"


@pytest.mark.parametrize("seconds", [-1.0, 0.99])
def test_without_time_no_call_is_made(seconds: float) -> None:
    """A call takes up to a second."""
    with FakeAws() as aws:
        assert _topic(aws).publish(NOTICE, seconds) == "NoTime"
        assert aws.calls == []
