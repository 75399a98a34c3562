"""The environments of a configuration: the account and Region of each stack, and the keys that differ there.

The infrastructure deploys a stack for each environment. The operator's command reads the same environments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

KEY: Final = "environments"
"""The configuration key."""

ALL: Final = "all"
"""The name that selects every environment. So no environment can have this name."""


class EnvironmentsError(ValueError):
    """The environments cannot be used. `mistakes` has every mistake of every environment."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class Environment(Struct, frozen=True, kw_only=True):
    """An account and a Region with a stack of its own.

    `overrides` are the configuration keys that differ there. Each replaces the whole value of the common key.
    """

    name: str
    account: str
    region: str
    overrides: Mapping[str, Any] = {}

    def __str__(self) -> str:
        return f"{self.name} (account {self.account}, Region {self.region})"


class _Rule(NamedTuple):
    """A pattern that a text must match, and the pattern in words."""

    pattern: re.Pattern[str]
    allowed: str


_NAME: Final = _Rule(
    re.compile(rf"(?!{ALL}\Z)[A-Za-z0-9-]{{1,40}}"),
    f'1 to 40 letters, digits and hyphens, and not "{ALL}"',
)
_PLACE: Final = {
    "account": _Rule(re.compile(r"[0-9]{12}"), "an AWS account id: 12 digits, in quotes"),
    "region": _Rule(re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}"), 'an AWS Region such as "eu-west-1"'),
}

PLACE_KEYS: Final = tuple(_PLACE)
"""The keys of an environment that are not configuration keys."""


def decode(configuration: Mapping[str, Any], source: str = "") -> dict[str, Environment]:
    """Return the environments of a configuration by their names, empty without the key `environments`.

    Other keys are ignored. Raise EnvironmentsError, whose lines begin with `source` and the path of the key.
    """
    values = configuration.get(KEY)
    path = f"{source}{KEY}"
    if not isinstance(values, Mapping):
        if values is None:
            return {}
        raise EnvironmentsError([f"{path}: {_json(values)} should be an object of names and environments"])
    if mistakes := [*_mistakes(path, values), *_shared(path, values)]:
        raise EnvironmentsError(mistakes)
    return {name: _environment(name, value) for name, value in values.items()}


def decode_file(content: bytes) -> dict[str, Environment]:
    """Return the environments of a file: a `cdk.json`, or a configuration file for `-c config=FILE`.

    Raise msgspec.MsgspecError unless it is a JSON object, and EnvironmentsError for wrong environments.
    """
    document = msgspec.json.decode(content, type=dict[str, Any])
    if "context" not in document:
        return decode(document)
    context = msgspec.convert(document["context"], dict[str, Any])
    return decode(msgspec.convert(context.get("gluebrake", {}), dict[str, Any]), "gluebrake.")


def overrides(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration keys among the values of an environment."""
    return {key: value for key, value in values.items() if key not in PLACE_KEYS}


def _environment(name: str, values: Mapping[str, Any]) -> Environment:
    return Environment(
        name=name, account=values["account"], region=values["region"], overrides=overrides(values)
    )


def _mistakes(path: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the mistakes of each environment by itself."""
    for name, value in values.items():
        if not _NAME.pattern.fullmatch(name):
            yield f"{path}: {_json(name)} is no name of an environment; a name has {_NAME.allowed}"
        if not isinstance(value, Mapping):
            yield f"{path}.{name}: {_json(value)} should be an object with account and region"
            continue
        for key, rule in _PLACE.items():
            if key not in value:
                yield f"{path}.{name}.{key}: missing; it should be {rule.allowed}"
            elif not _matches(rule, value[key]):
                yield f"{path}.{name}.{key}: {_json(value[key])} should be {rule.allowed}"


def _shared(path: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the mistakes between environments: equal account and Region, or names that differ only in case."""
    places: dict[tuple[str, str], str] = {}
    names: dict[str, str] = {}
    for name, value in values.items():
        # Files of the cloud assembly have these names, and some file systems ignore case.
        if (other := names.setdefault(name.lower(), name)) != name:
            yield f"{path}.{name}: its name differs from that of {other} in case only; rename one of them"
        if (place := _place(value)) and (other := places.setdefault(place, name)) != name:
            yield f"{path}.{name}: {other} has the same account and Region; only one stack fits there"


def _place(value: Any) -> tuple[str, str] | None:
    """Return the account and the Region of an environment, if it has both and they are valid."""
    if isinstance(value, Mapping) and all(_matches(rule, value.get(key)) for key, rule in _PLACE.items()):
        return value["account"], value["region"]
    return None


def _matches(rule: _Rule, value: Any) -> bool:
    return isinstance(value, str) and rule.pattern.fullmatch(value) is not None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
