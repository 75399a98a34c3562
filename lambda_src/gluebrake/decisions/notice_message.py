"""A notice in the form for SNS: a text for e-mail, and the schema of chat clients for all other subscribers.

Chat clients (Amazon Q Developer in chat applications: Slack, Microsoft Teams) drop a message of any other
schema: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from gluebrake.contract import NOTICE
from gluebrake.decisions.notices import MOST_ITEMS, Item, Section
from gluebrake.model import AwsEnvironment, Notice

# SNS accepts 256 kB. Chat clients and mail programs show far less.
_LARGEST_MESSAGE: Final = 64_000
_LONGEST_TEXT: Final = 300

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: printable ASCII, less than 100 characters.
_LONGEST_SUBJECT: Final = 99
_NOT_PRINTABLE_ASCII: Final = re.compile(r"[^ -~]")
_NOT_ONE_LINE: Final = re.compile(r"[\s\x00-\x1F\x7F-\x9F\u2028\u2029\u202A-\u202E\u2066-\u2069]+")


def notice_message(sections: Sequence[Section], environment: AwsEnvironment) -> Notice:
    """Write a notice. It names at most 20 items, and fewer if they need more than 64 kB."""
    subject = _subject(sections, environment)
    most_items = MOST_ITEMS
    while True:
        shown = [*_cut(sections, most_items)]
        message = _message(subject, shown, environment)
        if len(message.encode()) <= _LARGEST_MESSAGE or not most_items:
            return Notice(subject, message)
        most_items //= 2


def _subject(sections: Sequence[Section], environment: AwsEnvironment) -> str:
    place = f" ({environment.account} {environment.region})"
    briefs = _NOT_PRINTABLE_ASCII.sub("?", "Gluebrake: " + ", ".join(section.brief for section in sections))
    room = _LONGEST_SUBJECT - len(place)
    return (briefs if len(briefs) <= room else briefs[: room - 3] + "...") + place


def _cut(sections: Sequence[Section], most_items: int) -> Iterator[tuple[Section, int]]:
    """Yield each section with the items to name, and how many it leaves out. Cut the last sections first."""
    for section in sections:
        named = section.items[:most_items]
        most_items -= len(named)
        yield msgspec.structs.replace(section, items=named), section.total - len(named)


def _message(subject: str, sections: Sequence[tuple[Section, int]], environment: AwsEnvironment) -> str:
    chat = msgspec.json.encode(_chat_form(subject, sections)).decode()
    forms = {"default": chat, "https": chat, "email": _email_form(sections, environment)}
    return msgspec.json.encode(forms).decode()


def _chat_form(subject: str, sections: Sequence[tuple[Section, int]]) -> dict[str, Any]:
    return {
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": subject,
            "description": "\n".join(line for section in sections for line in _chat_lines(*section)),
        },
        "metadata": {"eventType": NOTICE, "summary": subject},
    }


def _chat_lines(section: Section, more: int) -> Iterator[str]:
    yield f"*{section.heading}*"
    for item in section.items:
        details = "".join(f"; {label} {_code(text)}" for label, text in item.details)
        name = " ".join(_code(text) for text in (item.job_name, item.job_run_id) if text)
        yield f"• {name}: {item.what}{details}" if name else f"• {item.what}{details}"
    if more:
        yield f"• and {more} more"


def _code(text: str) -> str:
    """Return untrusted text as code, in which chat clients apply no formatting, mentions or links."""
    text = _line(text).replace("`", "'")
    return "`" + text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") + "`"


def _email_form(sections: Sequence[tuple[Section, int]], environment: AwsEnvironment) -> str:
    lines = [f"AWS account {environment.account}, Region {environment.region}"]
    for section, more in sections:
        lines += ["", section.heading]
        lines += [line for item in section.items for line in _email_lines(item)]
        lines += [f"- and {more} more"] if more else []
    lines += ["", "Dollars are estimates by the configured price of a DPU-hour."]
    return "\n".join(lines) + "\n"


def _email_lines(item: Item) -> Iterator[str]:
    name = " ".join(_line(text) for text in (item.job_name, item.job_run_id) if text)
    yield f"- {name}" if name else f"- {item.what}"
    if name:
        yield f"  {item.what}"
    yield from (f"  {label}: {_line(text)}" for label, text in item.details)


def _line(text: str) -> str:
    """Return untrusted text as one line of limited length, without characters that change how text is shown."""
    text = _NOT_ONE_LINE.sub(" ", text)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
