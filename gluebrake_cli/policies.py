"""Compares the IAM policies of queues, topics and roles with the template's. Does not call AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from gluebrake.decisions import readable

Document = Mapping[str, Any]
"""A policy document. An absent policy is an empty one."""

_LISTS: Final = ("Action", "NotAction", "NotPrincipal", "NotResource", "Principal", "Resource")
_OLD_VERSION: Final = "2008-10-17"
"""The version of a document without a `Version`."""


class PolicyState(Struct, frozen=True, kw_only=True):
    """A policy in the template and in AWS, and the command that sets the template's policy."""

    owner: str
    """For example `queue Gluebrake-StopQueue`."""
    template: Document
    live: Document
    repair: tuple[str, ...]

    @property
    def difference(self) -> str:
        """How the effect of the policy differs from the template's, empty if the effects are equal."""
        template, live = _statements(self.template), _statements(self.live)
        lacks, has = len(template - live), len(live - template)
        if not lacks and not has:
            return ""
        statements = readable.count(len(template), "statement")
        return f"lacks {lacks} of the template's {statements}, and has {readable.count(has, 'other')}"


def _statements(document: Document) -> frozenset[bytes]:
    """Return the document's statements in a normal form, which is equal for documents with the same effect."""
    statements = document.get("Statement", [])
    version = document.get("Version", _OLD_VERSION)
    return frozenset(
        msgspec.json.encode([version, _normalised(statement)], order="sorted")
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def _normalised(statement: Mapping[str, Any]) -> dict[str, Any]:
    # AWS may return a list of one element as a text, lists in another order, and actions in another case.
    form: dict[str, Any] = {"Effect": statement.get("Effect")}
    for name in _LISTS:
        if name in statement:
            form[name] = _normalised_entry(name, statement[name])
    form["Condition"] = {
        operator: {key.lower(): _texts(values) for key, values in keys.items()}
        for operator, keys in statement.get("Condition", {}).items()
    }
    return form


def _normalised_entry(name: str, value: Any) -> Any:
    if "Principal" in name:
        principals = {"AWS": "*"} if value == "*" else value
        return {kind: _texts(names) for kind, names in principals.items()}
    texts = _texts(value)
    return sorted(text.lower() for text in texts) if "Action" in name else texts


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return sorted({item if isinstance(item, str) else msgspec.json.encode(item).decode() for item in values})
