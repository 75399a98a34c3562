"""`make deploy ENVIRONMENT=…`: all accounts are checked first, and a failure does not stop the rest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from gluebrake.environments import Environment, decode
from infra import cdk_cli, deploy, fleet
from infra.account import DeployError
from local.emulator import Emulator, running
from tests.infra.conftest import Synthesise

ENVIRONMENTS: Final[Mapping[str, Any]] = {
    "prod-eu": {"account": "111111111111", "region": "eu-west-1", "batchSize": 3},
    "prod-us": {"account": "111111111111", "region": "us-east-1"},
    "dev-us": {"account": "222222222222", "region": "us-east-1"},
}
DECLARED: Final = decode({"environments": ENVIRONMENTS})
ALL: Final = [*DECLARED.values()]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Start an emulator, in which every environment but `prod-us` is bootstrapped."""
    with running() as emulator:
        for name in ("prod-eu", "dev-us"):
            _bootstrap(emulator, DECLARED[name])
        yield emulator


def _bootstrap(emulator: Emulator, environment: Environment) -> None:
    # The emulator takes a key id of twelve digits as the account's id.
    session = boto3.Session(environment.account, "test", region_name=environment.region)
    ssm = session.client("ssm", endpoint_url=emulator.aws.endpoint)
    ssm.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")


@pytest.fixture
def profiles(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Mapping[str, str]], None]:
    """Return a function that writes profiles with the accounts of their credentials."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "CDK_"))]:
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    variables = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": emulator.aws.endpoint,
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def write(accounts: Mapping[str, str]) -> None:
        keys = "aws_access_key_id = {}\naws_secret_access_key = test\n"
        file.write_text("".join(f"[{name}]\n{keys.format(account)}" for name, account in accounts.items()))

    write({name: environment.account for name, environment in DECLARED.items()})
    return write


@pytest.fixture(scope="module")
def assembly(synthesised: Synthesise) -> Path:
    """Return the assembly with a stack for each environment."""
    return synthesised(environments=ENVIRONMENTS).directory


def _failures(environments: Sequence[Environment], profiles: Mapping[str, str], assembly: Path) -> list[str]:
    with pytest.raises(DeployError) as raised:
        fleet.check(environments, profiles, assembly)
    return str(raised.value).splitlines()


class TestCheck:
    """Whether each profile has credentials of the environment's account, and the account is bootstrapped."""

    @pytest.mark.usefixtures("profiles")
    def test_profile_has_the_name_of_the_environment(self, assembly: Path) -> None:
        """The Region is that of the environment, whatever variables and profiles say."""
        prod, dev = fleet.check([DECLARED["prod-eu"], DECLARED["dev-us"]], {}, assembly)
        assert (prod.profile, prod.target.account, prod.target.region) == ("prod-eu", "1" * 12, "eu-west-1")
        assert (dev.profile, dev.target.account, dev.target.region) == ("dev-us", "2" * 12, "us-east-1")

    def test_another_profile(self, profiles: Callable[[Mapping[str, str]], None], assembly: Path) -> None:
        """`--profile-for` selects it for one environment."""
        profiles({"admin": "1" * 12})
        (prod,) = fleet.check([DECLARED["prod-eu"]], {"prod-eu": "admin"}, assembly)
        assert (prod.profile, prod.target.account) == ("admin", "1" * 12)

    @pytest.mark.usefixtures("profiles")
    def test_credentials_of_the_variables(self, monkeypatch: pytest.MonkeyPatch, assembly: Path) -> None:
        """An empty profile suits a pipeline, whose credentials are in variables."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "2" * 12)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        (dev,) = fleet.check([DECLARED["dev-us"]], {"dev-us": ""}, assembly)
        assert (dev.profile, dev.target.account) == (None, "2" * 12)
        lines = _failures([DECLARED["prod-eu"]], {"prod-eu": ""}, assembly)
        assert "the environment variables have credentials of account 222222222222: arn:" in lines[1]

    def test_all_failures_are_reported_at_once(
        self, profiles: Callable[[Mapping[str, str]], None], assembly: Path
    ) -> None:
        """An absent profile, credentials of another account, and an account that is not bootstrapped."""
        profiles({"prod-us": "1" * 12, "dev-us": "3" * 12})
        head, absent, bootstrap, command, account = _failures(ALL, {}, assembly)
        assert head == "nothing was changed, because a check failed:"
        assert absent.startswith("prod-eu (account 111111111111, Region eu-west-1): ")
        assert absent.endswith("profile (prod-eu) could not be found")
        assert bootstrap.startswith("prod-us (account 111111111111, Region us-east-1): not bootstrapped for")
        assert command.endswith(
            "bootstrap aws://111111111111/us-east-1 --qualifier hnb659fds --profile prod-us"
        )
        assert account.startswith(
            "dev-us (account 222222222222, Region us-east-1): the profile dev-us has credentials of account"
            " 333333333333: arn:"
        )

    @pytest.mark.usefixtures("profiles")
    def test_summary(self, assembly: Path) -> None:
        """It has the place, the caller and the keys that are not at their default."""
        (prod,) = fleet.check([DECLARED["prod-eu"]], {}, assembly)
        head, *keys = fleet.summary(prod, assembly)
        assert head.startswith(
            "prod-eu (account 111111111111, Region eu-west-1), as arn:aws:iam::111111111111:"
        )
        assert "  * batchSize = 3" in keys
        assert all(key.startswith("  * ") for key in keys)


class _Cdk:
    """The CDK's command line, which ends with `codes` in turn, or is interrupted by None."""

    def __init__(self, *codes: int | None) -> None:
        self.codes = iter(codes)
        self.calls: list[tuple[list[str], str, str]] = []

    def __call__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
        self.calls.append(([*arguments], environ["AWS_REGION"], environ["AWS_DEFAULT_REGION"]))
        if (code := next(self.codes)) is None:
            raise KeyboardInterrupt
        return code


@pytest.fixture
def cdk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., _Cdk]:
    """Return a function that replaces the CDK's command line."""

    def cdk(*codes: int | None) -> _Cdk:
        monkeypatch.setattr(cdk_cli, "call", fake := _Cdk(*codes))
        return fake

    return cdk


@pytest.mark.usefixtures("profiles")
class TestDeploy:
    """One CDK process after another."""

    def test_each_has_its_stack_its_profile_and_its_region(
        self, cdk: Callable[..., _Cdk], assembly: Path
    ) -> None:
        """The other options are the same for all."""
        members = fleet.check([DECLARED["prod-eu"], DECLARED["dev-us"]], {"dev-us": "dev-us"}, assembly)
        fake = cdk(0, 0)
        assert fleet.deploy(members, ["--app", "cdk.out"]) == {"prod-eu": "deployed", "dev-us": "deployed"}
        assert fake.calls == [
            (
                ["deploy", f"Gluebrake-{name}", "--profile", name, "--app", "cdk.out"],
                *[ENVIRONMENTS[name]["region"]] * 2,
            )
            for name in ("prod-eu", "dev-us")
        ]

    def test_a_failure_does_not_stop_the_rest(self, cdk: Callable[..., _Cdk], assembly: Path) -> None:
        """The result of each is reported."""
        members = fleet.check([DECLARED["prod-eu"], DECLARED["dev-us"]], {}, assembly)
        cdk(1, 0)
        assert fleet.deploy(members, []) == {
            "prod-eu": "failed: the CDK ended with exit code 1",
            "dev-us": "deployed",
        }

    def test_an_interrupt_stops_the_rest(self, cdk: Callable[..., _Cdk], assembly: Path) -> None:
        """Ctrl-C is meant for the whole command."""
        members = fleet.check([DECLARED["prod-eu"], DECLARED["dev-us"]], {}, assembly)
        cdk(None)
        assert fleet.deploy(members, []) == {"prod-eu": "interrupted", "dev-us": "not started"}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            [],
            (
                "no environment is given; the environments are prod-eu, prod-us, dev-us, and all means every"
                " one: make deploy ENVIRONMENT=NAME"
            ),
        ),
        (
            ["--environment", "prod-eu", "--environment", "prod"],
            "no environment prod; the environments are prod-eu, prod-us, dev-us, and all means every one",
        ),
        (
            ["--environment", "all", "--profile-for", "prod=admin"],
            "--profile-for prod: the environments are prod-eu, prod-us, dev-us, and all means every one",
        ),
        (
            ["--environment", "prod-eu", "--profile", "admin"],
            "--profile: each environment has its own profile; use --profile-for NAME=PROFILE",
        ),
    ],
)
def test_a_wrong_selection_is_refused(tmp_path: Path, arguments: Sequence[str], error: str) -> None:
    """The error has the environments that there are."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"environments": ENVIRONMENTS}))
    assert deploy.main(["-c", f"config={file}", *arguments]) == f"Not deployed: {error}"


def test_an_environment_of_no_configuration_is_refused() -> None:
    """Without environments, the name has no meaning."""
    expected = "Not deployed: no environment prod; the configuration has no environments"
    assert deploy.main(["--environment", "prod"]) == expected


def test_a_profile_without_an_environment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """`--profile-for` needs the name of the environment."""
    with pytest.raises(SystemExit):
        deploy.main(["--profile-for", "admin"])
    assert "argument --profile-for: admin: should be NAME=PROFILE" in capsys.readouterr().err
