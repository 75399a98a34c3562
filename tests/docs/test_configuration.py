"""docs/configuration.md has every key with its default, and its example is a configuration."""

from __future__ import annotations

import json
from typing import Final

import msgspec

from docs.config_keys import KEYS
from docs.generate import DOCS
from gluebrake import environments
from infra.config import Config, load
from tests.docs.document import Document, text_of

PAGE: Final = Document(DOCS / "configuration.md")
OWN_DEFAULT: Final = "python"
"""The key whose default depends on the machine that deploys."""


def _shown_defaults() -> dict[str, str]:
    """Return the text of each key's default, from the page. A row can have several keys."""
    rows = ([text_of(cell) for cell in row] for row in PAGE.rows("Keys"))
    return {
        name: default
        for keys, defaults, _ in rows
        for name, default in zip(keys.split(", "), defaults.split(", ", keys.count(", ")), strict=True)
    }


def test_each_key_is_documented_once() -> None:
    """The table has the fields of the configuration, and the key of the environments."""
    fields = {field.encode_name for field in msgspec.structs.fields(Config)}
    assert sorted(name for key in KEYS for name in key.names) == sorted(fields | {environments.KEY})
    assert _shown_defaults().keys() == fields | {environments.KEY}


def test_the_defaults_of_the_table_are_a_configuration() -> None:
    """A deployment with the documented defaults is one with no key at all."""
    shown = {
        name: value for name, value in _shown_defaults().items() if value != "none" and name != OWN_DEFAULT
    }
    config = load({"gluebrake": {name: json.loads(value) for name, value in shown.items()}}.get)
    assert config == Config()


def test_the_example_can_be_deployed() -> None:
    """It lets no run be stopped until its reader has seen what would be."""
    (example,) = [block.text for block in PAGE.blocks if block.kind == "json"]
    config = load({"gluebrake": json.loads(example)}.get)
    assert config.observe
    assert config.alarm_email
    assert config.notify_email
