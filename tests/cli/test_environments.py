"""`--environment` selects environments of a file, and each is reached by its profile, Region and account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gluebrake_cli.errors import OperatorError
from gluebrake_cli.stack import check_account
from tests.cli.fleet_aws import CONFIG, DEV, PROD, FleetAws, invoke, run, run_json
from tests.cli.stubbed import Stubbed


def _names(shown: dict[str, Any]) -> list[str]:
    return [each["environment"] for each in shown["environments"]]


def _error(fleet: FleetAws, *arguments: str) -> str:
    result = invoke(fleet, *arguments)
    assert isinstance(result.exception, OperatorError)
    return str(result.exception)


def _wrong(fleet: FleetAws, *arguments: str) -> str:
    """Return the error of a command line that is refused. No session is opened for it."""
    text = run(fleet, *arguments, code=2).stderr.replace("│", " ")
    assert fleet.connected == []
    return " ".join(text.split())


class TestSelection:
    """Which environments are meant."""

    def test_all_means_every_environment_in_the_order_of_the_file(self, fleet: FleetAws) -> None:
        """Each is reached by the profile with its name, in its own Region."""
        assert _names(run_json(fleet, "--environment", "all", "status", code=1)) == [*CONFIG["environments"]]
        assert sorted(map(str, fleet.connected)) == [
            "('dev', 'eu-west-1')",
            "('prod-eu', 'eu-west-1')",
            "('prod-us', 'us-east-1')",
        ]

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["dev", "prod-eu"], ["prod-eu", "dev"]),
            (["dev", "prod-eu", "dev"], ["prod-eu", "dev"]),
            (["dev", "all"], ["prod-eu", "prod-us", "dev"]),
        ],
    )
    def test_several_names_mean_these(self, fleet: FleetAws, arguments: list[str], expected: list[str]) -> None:
        """A repeated name is one environment, and `all` includes every name."""
        options = [word for name in arguments for word in ("--environment", name)]
        assert _names(run_json(fleet, *options, "status", code=1)) == expected

    def test_variable_can_name_environments(self, fleet: FleetAws, monkeypatch: pytest.MonkeyPatch) -> None:
        """A shell that is for one environment needs no option, and several names are separated by spaces."""
        monkeypatch.setenv("GLUEBRAKE_ENVIRONMENT", "dev prod-us")
        assert _names(run_json(fleet, "status", code=1)) == ["prod-us", "dev"]
        monkeypatch.setenv("GLUEBRAKE_ENVIRONMENT", "dev")
        assert run_json(fleet, "status", code=1)["environment"] == "dev"

    def test_without_an_environment_the_file_is_not_read(self, fleet: FleetAws) -> None:
        """The profile and the Region are those of the options, as they are, and no account is required."""
        Path("cdk.json").unlink()
        shown = run_json(fleet, "--profile", "dev", "--region", "eu-west-1", "status", code=1)
        assert (shown["account"], shown["region"]) == (DEV, "eu-west-1")
        assert "environment" not in shown
        assert fleet["dev"].calls == ["DescribeStacks"]

    def test_one_environment_has_the_screen_of_one_deployment(self, fleet: FleetAws) -> None:
        """Only the account is checked in addition, before anything is read."""
        shown = run(fleet, "--environment", "prod-us", "status", code=1).stdout
        assert shown.startswith(f"Gluebrake in us-east-1 (account {PROD}): ")
        assert fleet["prod-us"].calls == ["GetCallerIdentity", "DescribeStacks"]
        assert fleet["prod-eu"].is_untouched

    def test_unknown_environment_is_wrong_usage(self, fleet: FleetAws) -> None:
        """The error has the names that the file has."""
        error = _wrong(fleet, "--environment", "prod", "--environment", "all", "status")
        assert "--environment prod: cdk.json has no such environment. It has prod-eu, prod-us, dev" in error


class TestFile:
    """Where the environments are read."""

    @pytest.mark.parametrize("given", ["option", "variable"])
    def test_file_can_be_named(
        self, fleet: FleetAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
    ) -> None:
        """A configuration file has the key at its top. --config has priority over GLUEBRAKE_CONFIG."""
        file = tmp_path / "config.json"
        file.write_text(json.dumps({"jobs": ["*"], "environments": {"dev": CONFIG["environments"]["dev"]}}))
        monkeypatch.setenv("GLUEBRAKE_CONFIG", str(file) if given == "variable" else "missing.json")
        option = ["--config", str(file)] if given == "option" else []
        assert _names(run_json(fleet, *option, "--environment", "all", "status", code=1)) == ["dev"]

    def test_missing_file_is_an_error(self, fleet: FleetAws) -> None:
        """The error says how to name another file."""
        error = _error(fleet, "--config", "none.json", "--environment", "all", "status")
        assert "none.json cannot be read (No such file or directory): give --config FILE" in error
        assert "or run the command in the clone" in error

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("{", "cdk.json is not a configuration: "),
            ("[]", "cdk.json is not a configuration: "),
            ("{}", "cdk.json has no `environments`: give --config FILE. docs/fleet.md"),
            ('{"context": {"gluebrake": {}}}', "cdk.json has no `environments`"),
            ('{"environments": {"all": {"account": "1"}}}', 'cdk.json: environments: "all" is no name'),
            ('{"environments": {"all": {"account": "1"}}}', "; environments.all.region: missing"),
        ],
    )
    def test_file_that_cannot_be_used_is_an_error(self, fleet: FleetAws, content: str, expected: str) -> None:
        """All mistakes of all environments are in one line, and no session is opened."""
        Path("cdk.json").write_text(content)
        assert expected in _error(fleet, "--environment", "all", "status")
        assert fleet.connected == []


class TestProfiles:
    """Which credentials are used."""

    def test_profile_can_have_another_name(self, fleet: FleetAws) -> None:
        """Two environments of one account can share a profile. Those without one have that of their name."""
        fleet.profiles = {"admin": PROD, "dev": DEV}
        options = ("--profile-for", "prod-eu=admin", "--profile-for", "prod-us=admin")
        shown = run_json(fleet, *options, "--environment", "all", "status", code=1)
        assert [each["error"] for each in shown["environments"]] == [None] * 3
        assert ("admin", "us-east-1") in fleet.connected

    def test_empty_profile_means_the_variables(self, fleet: FleetAws) -> None:
        """A pipeline has credentials in environment variables, as for `make deploy`."""
        fleet.profiles[None] = DEV
        shown = run_json(fleet, "--profile-for", "dev=", "--environment", "dev", "status", code=1)
        assert (shown["account"], fleet.connected) == (DEV, [(None, "eu-west-1")])

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--environment", "dev", "--profile-for", "dev"], "--profile-for dev: must be NAME=PROFILE"),
            (["--environment", "dev", "--profile-for", "=x"], "--profile-for =x: must be NAME=PROFILE"),
            (
                ["--environment", "dev", "--profile-for", "prod=x"],
                "--profile-for prod: cdk.json has no such environment. It has prod-eu, prod-us, dev",
            ),
            (["--environment", "dev", "--profile-for", "all=x"], "--profile-for all: cdk.json has no such"),
            (
                ["--environment", "dev", "--profile-for", "dev=x", "--profile-for", "dev=y"],
                "--profile-for dev: is given twice",
            ),
            (["--profile-for", "dev=x"], "--profile-for requires --environment"),
            (
                ["--environment", "dev", "--profile", "x"],
                "--profile does not go with --environment or GLUEBRAKE_ENVIRONMENT: the profile is the",
            ),
            (
                ["--environment", "all", "--region", "eu-west-1"],
                "--region does not go with --environment or GLUEBRAKE_ENVIRONMENT: the environment has its",
            ),
        ],
    )
    def test_wrong_options_are_refused(self, fleet: FleetAws, options: list[str], expected: str) -> None:
        """The error names the option and what is allowed."""
        assert expected in _wrong(fleet, *options, "status")


class TestAccount:
    """The account of the credentials is checked before anything is read."""

    def test_another_account_is_an_error(self, fleet: FleetAws) -> None:
        """Nothing of either account is read."""
        fleet.profiles["prod-us"] = DEV
        error = _error(fleet, "--environment", "prod-us", "status")
        assert error == (
            f"the profile 'prod-us' has credentials of account {DEV}, and the environment is in account {PROD}:"
            " nothing was read. Give --profile-for NAME=PROFILE"
        )
        assert all(place.is_untouched for place in fleet.places.values())

    def test_credentials_of_variables_are_named_as_such(self, stubbed: Stubbed) -> None:
        """Without a profile, the error says where the credentials are."""
        stubbed.answer("sts", "get_caller_identity", {"Account": DEV})
        with pytest.raises(
            OperatorError, match=f"^the environment variables have credentials of account {DEV}"
        ):
            check_account(stubbed.clients, PROD, None)


@pytest.mark.parametrize(
    "command",
    [
        ["stop", "etl", "jr_1"],
        ["redrive"],
        ["drop"],
        ["dead-letters"],
        ["dead-letters", "show", "x"],
        ["env"],
        ["verify"],
        ["policies"],
    ],
)
def test_other_commands_act_on_one_environment(fleet: FleetAws, command: list[str]) -> None:
    """They refuse several before any session is opened. The name of one environment is accepted."""
    name = " ".join(word for word in command[:2] if word != "etl")
    error = _wrong(fleet, "--environment", "all", *command)
    assert f"`gluebrake {name}` acts on one environment: give --environment NAME once, and not all." in error
    assert "acts on one" in _wrong(fleet, "--environment", "dev", "--environment", "prod-eu", *command)
    invoke(fleet, "--environment", "dev", *command)
    assert fleet.connected == [("dev", "eu-west-1")]
    assert fleet["dev"].calls[:2] == ["GetCallerIdentity", "DescribeStacks"]
