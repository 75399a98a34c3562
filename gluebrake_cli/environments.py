"""The deployments that the global options select: a single deployment, or one for each environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import typer

from gluebrake.environments import ALL, KEY, Environment, EnvironmentsError, decode_file
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.named_values import named_values

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

OPTION: Final = "--environment"
DEFAULT_FILE: Final = Path("cdk.json")

_NOT_WITH_ENVIRONMENT: Final = {
    "--profile": "the profile is the environment's name, or give --profile-for NAME=PROFILE",
    "--region": "the environment has its Region",
}


class Connect(Protocol):
    """A function that finds a stack. With `account`, it checks that the credentials are of this account."""

    def __call__(
        self, *, stack: str, profile: str | None, region: str | None, account: str | None
    ) -> Deployment:
        """Return the deployed stack."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """An environment, and the profile for its stack. Without a profile, variables have the credentials."""

    environment: Environment
    profile: str | None
    stack: str
    connect: Connect

    def deployment(self) -> Deployment:
        """Find the stack. Raise OperatorError if the credentials are of another account."""
        deployment = self.connect(
            stack=self.stack,
            profile=self.profile,
            region=self.environment.region,
            account=self.environment.account,
        )
        return replace(deployment, environment=self.environment.name)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The selection by the global options. Without names of environments, it is one stack in any account."""

    connect: Connect
    stack: str
    profile: str | None = None
    region: str | None = None
    names: Sequence[str] = ()
    file: Path = DEFAULT_FILE
    profiles: Sequence[str] = ()
    """The texts `NAME=PROFILE` of --profile-for."""

    @property
    def has_several(self) -> bool:
        """Whether a command shows a line for each environment, because `all` or several names are given."""
        return ALL in self.names or len(set(self.names)) > 1

    @property
    def label(self) -> dict[str, str]:
        """The name of the only environment, for JSON. Empty without --environment."""
        return {} if self.has_several or not self.names else {"environment": self.names[0]}

    def deployment(self, command: str) -> Deployment:
        """Find the only stack. Raise BadParameter if the options select several stacks."""
        if self.has_several:
            raise typer.BadParameter(
                f"`{command}` acts on one environment: give {OPTION} NAME once, and not {ALL}."
                " Only status, sweep, history and doctor take several"
            )
        if self.names:
            (site,) = self.sites()
            return site.deployment()
        if self.profiles:
            raise typer.BadParameter(f"--profile-for requires {OPTION}")
        return self.connect(stack=self.stack, profile=self.profile, region=self.region, account=None)

    def sites(self) -> list[Site]:
        """Return the selected environments in the order of the file.

        Raise BadParameter for options that do not fit the file, and OperatorError if it cannot be used.
        """
        self._refuse_other_options()
        profiles = named_values(
            "--profile-for", self.profiles, form="NAME=PROFILE, such as --profile-for prod=admin"
        )
        declared = _declared(self.file)
        for option, names in ((OPTION, {*self.names} - {ALL}), ("--profile-for", profiles.keys())):
            if unknown := names - declared.keys():
                raise typer.BadParameter(
                    f"{option} {min(unknown)}: {self.file} has no such environment."
                    f" It has {', '.join(declared)}"
                )
        return [
            Site(
                environment=environment,
                profile=profiles.get(name, name) or None,
                stack=self.stack,
                connect=self.connect,
            )
            for name, environment in declared.items()
            if name in self.names or ALL in self.names
        ]

    def _refuse_other_options(self) -> None:
        given = {"--profile": self.profile, "--region": self.region}
        for option, instead in _NOT_WITH_ENVIRONMENT.items():
            if given[option]:
                raise typer.BadParameter(
                    f"{option} does not go with {OPTION} or GLUEBRAKE_ENVIRONMENT: {instead}"
                )


def _declared(file: Path) -> dict[str, Environment]:
    """Read the environments of a file. Raise OperatorError if the file has no valid environments."""
    try:
        declared = decode_file(file.read_bytes())
    except OSError as error:
        raise OperatorError(
            f"{OPTION} needs a file with `{KEY}`, and {file} cannot be read ({error.strerror}):"
            " give --config FILE, set GLUEBRAKE_CONFIG, or run the command in the clone"
        ) from error
    except msgspec.MsgspecError as error:
        raise OperatorError(f"{file} is not a configuration: {error}") from error
    except EnvironmentsError as error:
        raise OperatorError(f"{file}: {'; '.join(error.mistakes)}") from error
    if not declared:
        raise OperatorError(f"{file} has no `{KEY}`: give --config FILE. docs/fleet.md says how to write them")
    return declared
