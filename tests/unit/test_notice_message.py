"""A notice fits SNS, the schema of chat clients, and a mail program. Untrusted text has no effect."""

from __future__ import annotations

import json
from typing import Any, Final

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.decisions.notice_message import notice_message
from gluebrake.decisions.notices import Item, Section
from gluebrake.model import AwsEnvironment, Notice
from gluebrake.parsing.notice import is_notice
from tests.support.fakes.aws_server import TOPIC_ARN
from tests.support.fakes.sns import Sns

pytestmark = pytest.mark.disable_socket

# https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html, "Event schema" and "OpenAPI schema"
_TEXT: Final = {"type": "string", "minLength": 1}
_TEXTS: Final = {"type": "array", "items": _TEXT, "minItems": 1}
CHAT_SCHEMA: Final = {
    "type": "object",
    "required": ["version", "source", "content"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": "1.0"},
        "source": {"const": "custom"},
        "id": _TEXT,
        "content": {
            "type": "object",
            "required": ["description"],
            "additionalProperties": False,
            "properties": {
                "textType": {"const": "client-markdown"},
                "title": _TEXT,
                "description": _TEXT,
                "nextSteps": _TEXTS,
                "keywords": _TEXTS,
            },
        },
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "threadId": _TEXT,
                "summary": _TEXT,
                "eventType": _TEXT,
                "relatedResources": _TEXTS,
                "additionalContext": {"type": "object", "additionalProperties": _TEXT},
            },
        },
    },
}

ITEM: Final = Item(
    "nightly-etl", "jr_0a1b", "stopped after 42 s", (("why", "over budget"), ("sender", "AROA:me"))
)
SECTIONS: Final = (
    Section("1 stopped", "Stopped: 1", (ITEM,), 1),
    Section("signal for all", "A signal for the policy all: it matches 2 runs and requested 2 stops"),
)


def _notice(*sections: Section) -> Notice:
    return notice_message(sections, AwsEnvironment("123456789012", "eu-west-1"))


def _forms(*sections: Section) -> dict[str, str]:
    """Publish a notice as SNS does, and return its form for each protocol."""
    notice = _notice(*sections)
    sns = Sns(TOPIC_ARN)
    sns.publish(
        {
            "TopicArn": TOPIC_ARN,
            "Subject": notice.subject,
            "Message": notice.message,
            "MessageStructure": "json",
        }
    )
    return dict(sns.published[0].forms)


def _description(*sections: Section) -> str:
    return str(json.loads(_forms(*sections)["default"])["content"]["description"])


def _section(*items: Item) -> Section:
    return Section(f"{len(items)} stopped", f"Stopped: {len(items)}", items[:20], len(items))


def test_chat_form_has_the_schema_of_chat_clients() -> None:
    """Chat clients drop any other message. Queues and web servers get the same form."""
    forms = _forms(*SECTIONS)
    jsonschema.validate(json.loads(forms["default"]), CHAT_SCHEMA)
    assert forms["https"] == forms["default"]
    assert json.loads(forms["default"])["content"] == {
        "textType": "client-markdown",
        "title": "Gluebrake: 1 stopped, signal for all (123456789012 eu-west-1)",
        "description": (
            "*Stopped: 1*\n"
            "• `nightly-etl` `jr_0a1b`: stopped after 42 s; why `over budget`; sender `AROA:me`\n"
            "*A signal for the policy all: it matches 2 runs and requested 2 stops*"
        ),
    }


def test_email_is_readable_on_a_phone() -> None:
    """Each fact has a line of its own."""
    assert _forms(*SECTIONS)["email"] == (
        "AWS account 123456789012, Region eu-west-1\n"
        "\n"
        "Stopped: 1\n"
        "- nightly-etl jr_0a1b\n"
        "  stopped after 42 s\n"
        "  why: over budget\n"
        "  sender: AROA:me\n"
        "\n"
        "A signal for the policy all: it matches 2 runs and requested 2 stops\n"
        "\n"
        "Dollars are estimates by the configured price of a DPU-hour.\n"
    )


def test_item_without_a_name_is_what_happened() -> None:
    """An error of a sweep belongs to no job."""
    section = _section(Item("", "", "a call failed", (("error", "throttled"),)))
    assert "• a call failed; error `throttled`" in _description(section)
    assert "- a call failed\n  error: throttled\n" in _forms(section)["email"]


def test_twenty_items_are_named_and_the_rest_is_counted() -> None:
    """The limit is that of the whole notice, and the first sections go first."""
    many = _section(*(Item("etl", f"jr_{n}", "stopped") for n in range(15)))
    more = _section(*(Item("load", f"jr_{n}", "stopped") for n in range(1000)))
    forms = _forms(many, more)
    for text in (forms["email"], _description(many, more)):
        assert text.count("etl") == 15
        assert text.count("load") == 5
        assert "and 995 more" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel>", "`&lt;!channel&gt;`"),
        ("<https://evil|click>", "`&lt;https://evil|click&gt;`"),
        ("a & b", "`a &amp; b`"),
        ("`*bold* _it_", "`'*bold* _it_`"),
        ("two\nlines\r\n• `etl`: stopped", "`two lines • 'etl': stopped`"),
        ("right\u202eto left\x07", "`right to left `"),
        ("x" * 500, "`" + "x" * 299 + "…`"),
    ],
)
def test_outside_text_is_escaped_for_chat(text: str, shown: str) -> None:
    """No mention, link or formatting of a job's name or a reason works, and no line can be forged."""
    section = _section(Item(text, "", "stopped", (("why", text),)))
    assert _description(section).split("\n")[1] == f"• {shown}: stopped; why {shown}"


def test_outside_text_cannot_forge_a_line_of_an_email() -> None:
    """A line break becomes a space."""
    section = _section(Item("etl", "jr_1", "stopped", (("why", "x\n\nStopped: 99\n- all"),)))
    assert "  why: x Stopped: 99 - all\n" in _forms(section)["email"]


TEXT: Final = st.text(max_size=1024)
ITEMS: Final = st.builds(
    Item,
    TEXT,
    TEXT,
    st.sampled_from(["stopped", "active for 3 h"]),
    st.lists(st.tuples(st.sampled_from(["why", "sender"]), TEXT), max_size=5).map(tuple),
)
LONGEST: Final = Item("\U0001f600" * 255, "\x00" * 255, "stopped", (("why", "\U0001f600" * 1024),) * 5)


@given(
    st.lists(
        st.builds(
            lambda brief, items, more: Section(brief, "Heading", tuple(items), len(items) + more),
            TEXT,
            st.lists(ITEMS, max_size=8),
            st.integers(0, 10_000),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_notice_is_accepted(sections: list[Section]) -> None:
    """SNS accepts every notice, its form for chat has the schema, and it is below 64 kB."""
    forms = _forms(*sections)
    chat = json.loads(forms["default"])
    jsonschema.validate(chat, CHAT_SCHEMA)
    assert is_notice(forms["default"].encode())
    assert len(_notice(*sections).message.encode()) <= 64_000


def test_longest_texts_fit() -> None:
    """Fewer items are named if 20 would need more than 64 kB."""
    forms = _forms(_section(*[LONGEST] * 1000))
    assert len(_notice(_section(*[LONGEST] * 1000)).message.encode()) <= 64_000
    named = forms["email"].count("- \U0001f600")
    assert 1 <= named < 20
    assert f"and {1000 - named} more" in forms["email"]


@pytest.mark.parametrize(
    "briefs", [["1 stopped"], ["123 over a-policy-with-quite-a-long-name"] * 9, ["été 🙂\n"]]
)
def test_subject_is_a_line_of_at_most_99_characters(briefs: list[str]) -> None:
    """It ends with the account and the Region, however long the rest is."""
    subject = _notice(*(Section(brief, "Heading") for brief in briefs)).subject
    assert subject.endswith(" (123456789012 eu-west-1)")
    assert len(subject) <= 99
    assert subject.isascii()
    assert subject.isprintable()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Gluebrake Notice",
        b'{"JobName": "etl", "JobRunIds": ["jr_1"], "Reason": "Gluebrake Notice"}',
        b'{"source": "custom", "metadata": {"eventType": "Another Notice of Gluebrake Notice"}}',
        b'{"source": "other", "metadata": {"eventType": "Gluebrake Notice"}}',
        b'{"source": "custom", "metadata": "Gluebrake Notice"}',
        b'{"Message": "Gluebrake Notice"}',
    ],
)
def test_other_bodies_are_no_notice(body: bytes) -> None:
    """A stop request may have any reason."""
    assert not is_notice(body)


def test_notification_of_a_notice_is_a_notice() -> None:
    """A queue that follows the topic gets it in the envelope of SNS."""
    envelope: dict[str, Any] = {"Type": "Notification", "Message": _forms(*SECTIONS)["default"]}
    assert is_notice(json.dumps(envelope).encode())
    assert not is_notice(json.dumps({"Message": "Gluebrake Notice \ud800"}).encode())
