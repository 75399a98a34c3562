"""The stacks of a configuration: one for each environment, or a single stack without environments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gluebrake import environments
from gluebrake.environments import Environment, EnvironmentsError
from infra.config import Config, ConfigError, Layer, merge, read_layers
from infra.context import ENVIRONMENT
from infra.names import STACK, stack_id


class StackSpec(NamedTuple):
    """A stack and its id within the CDK's app. Without an environment, it can be deployed in any account."""

    id: str
    config: Config
    environment: Environment | None = None


def load_stacks(context: Callable[[str], Any]) -> list[StackSpec]:
    """Return the stacks of the environments that the context selects, by default of all.

    An empty selection gives one stack of the common keys, for any account. Raise ConfigError, whose text names
    every error of every environment, even of environments that are not selected.
    """
    layers = read_layers(context)
    declared, errors = _declared(layers)
    own = _override_layers(layers)
    errors += [error for layer in (*layers, *own.values()) for error in layer.errors()]
    # The command line is the last layer, and has priority over an environment.
    merged = {name: merge([*layers[:-1], layer, layers[-1]]) for name, layer in own.items()}
    common, broken = merge(layers)
    names = context(ENVIRONMENT)
    errors += _by_environments({name: broken for name, (_, broken) in merged.items()})
    if names == "" or not merged:
        errors += broken
    if errors:
        raise ConfigError.of(errors)
    chosen = select(declared, environments.ALL.split() if names is None else str(names).split())
    return [StackSpec(stack_id(e.name), merged[e.name][0], e) for e in chosen] or [StackSpec(STACK, common)]


def load_environments(context: Callable[[str], Any]) -> dict[str, Environment]:
    """Return the environments by their names, empty if the configuration has no environments."""
    declared, errors = _declared(read_layers(context))
    if errors:
        raise ConfigError.of(errors)
    return declared


def select(declared: Mapping[str, Environment], names: Sequence[str]) -> list[Environment]:
    """Return the environments with these names in the configuration's order. The name `all` selects all."""
    if unknown := [name for name in names if name not in declared and name != environments.ALL]:
        raise ConfigError(f"no environment {', '.join(unknown)}; {available(declared)}")
    return [declared[name] for name in declared if name in names or environments.ALL in names]


def available(declared: Mapping[str, Environment]) -> str:
    """Return which environments the configuration has, in words."""
    if not declared:
        return f"the configuration has no {environments.KEY}"
    return f"the environments are {', '.join(declared)}, and {environments.ALL} means every one"


def _declared(layers: Sequence[Layer]) -> tuple[dict[str, Environment], list[str]]:
    """Return the environments of the last source with environments, and mistakes in names and places."""
    for layer in reversed(layers):
        if environments.KEY in layer.values:
            try:
                return environments.decode(layer.values, layer.prefix), []
            except EnvironmentsError as error:
                return {}, [*error.mistakes]
    return {}, []


def _override_layers(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Return the overrides of each environment, including environments with an invalid name or place."""
    for layer in reversed(layers):
        if isinstance(values := layer.values.get(environments.KEY), Mapping):
            path = f"{layer.prefix}{environments.KEY}"
            return {
                name: Layer(f"{path}.{name}.", environments.overrides(value), environments.PLACE_KEYS)
                for name, value in values.items()
                if isinstance(value, Mapping)
            }
    return {}


def _by_environments(errors: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield each error once, with the names of the environments that have the error."""
    names: dict[str, list[str]] = {}
    for name, texts in errors.items():
        for text in texts:
            names.setdefault(text, []).append(name)
    yield from (f"{', '.join(of)}: {text}" for text, of in names.items())
