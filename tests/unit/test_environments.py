"""The environments of a configuration: what a name and a place can be, and errors reported all at once."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import pytest

from gluebrake.environments import Environment, EnvironmentsError, decode, decode_file

ACCOUNT: Final = "an AWS account id: 12 digits, in quotes"
REGION: Final = 'an AWS Region such as "eu-west-1"'
NAME: Final = '1 to 40 letters, digits and hyphens, and not "all"'
PLACE: Final = {"account": "111111111111", "region": "eu-west-1"}


def _mistakes(environments: Any) -> tuple[str, ...]:
    with pytest.raises(EnvironmentsError) as raised:
        decode({"environments": environments}, "gluebrake.")
    assert str(raised.value) == "\n".join(raised.value.mistakes)
    return raised.value.mistakes


@pytest.mark.parametrize("configuration", [{}, {"environments": None}, {"environments": {}, "jobs": ["*"]}])
def test_a_configuration_may_have_no_environments(configuration: dict[str, Any]) -> None:
    """Then there is a single stack, for the account of the credentials."""
    assert decode(configuration) == {}


def test_an_environment_has_a_place_and_what_differs_there() -> None:
    """Its other keys are configuration keys. The other keys of the configuration are ignored."""
    environments = {"prod-eu": {**PLACE, "jobs": ["etl-*"]}, "dev": {**PLACE, "region": "us-gov-west-1"}}
    assert decode({"jobz": 1, "environments": environments}) == {
        "prod-eu": Environment(
            name="prod-eu", account="111111111111", region="eu-west-1", overrides={"jobs": ["etl-*"]}
        ),
        "dev": Environment(name="dev", account="111111111111", region="us-gov-west-1"),
    }


def test_an_environment_in_words() -> None:
    """Messages name the environment with its place."""
    assert (
        str(decode({"environments": {"dev": PLACE}})["dev"]) == "dev (account 111111111111, Region eu-west-1)"
    )


def test_all_mistakes_of_all_environments_are_reported_at_once() -> None:
    """Each line has the path of the key, the value and what is allowed."""
    environments = {
        "all": PLACE,
        "a b": {"account": 222222222222, "region": "Frankfurt"},
        "": {"account": "123", "region": "eu-west-1\n"},
        "n" * 41: {},
        "list": [],
    }
    path = "gluebrake.environments"
    assert _mistakes(environments) == (
        f'{path}: "all" is no name of an environment; a name has {NAME}',
        f'{path}: "a b" is no name of an environment; a name has {NAME}',
        f"{path}.a b.account: 222222222222 should be {ACCOUNT}",
        f'{path}.a b.region: "Frankfurt" should be {REGION}',
        f'{path}: "" is no name of an environment; a name has {NAME}',
        f'{path}..account: "123" should be {ACCOUNT}',
        f'{path}..region: "eu-west-1\\n" should be {REGION}',
        f'{path}: "{"n" * 41}" is no name of an environment; a name has {NAME}',
        f"{path}.{'n' * 41}.account: missing; it should be {ACCOUNT}",
        f"{path}.{'n' * 41}.region: missing; it should be {REGION}",
        f"{path}.list: [] should be an object with account and region",
    )


@pytest.mark.parametrize("name", ["a", "n" * 40, "ALL", "all-eu", "1-", "-"])
def test_a_name_is_accepted_up_to_its_limit(name: str) -> None:
    """A name is an option of the command and a part of file names."""
    assert list(decode({"environments": {name: PLACE}})) == [name]


@pytest.mark.parametrize(
    "region", ["eu-west-1", "ap-southeast-12", "us-gov-west-1", "eu-isoe-west-1", "mx-central-1"]
)
def test_a_region_of_every_partition_is_accepted(region: str) -> None:
    """A new Region needs no new version."""
    assert decode({"environments": {"x": {**PLACE, "region": region}}})["x"].region == region


def test_two_environments_of_one_account_and_region_are_a_mistake() -> None:
    """Both stacks would have the same name, and each deployment would replace the other."""
    environments = {
        "a": PLACE,
        "b": {**PLACE, "region": "eu-west-2"},
        "c": PLACE,
        "d": {**PLACE, "account": "1"},
    }
    assert _mistakes(environments) == (
        f'gluebrake.environments.d.account: "1" should be {ACCOUNT}',
        "gluebrake.environments.c: a has the same account and Region; only one stack fits there",
    )


def test_names_that_differ_in_case_only_are_a_mistake() -> None:
    """On a file system that ignores case, one template would overwrite the other."""
    assert _mistakes({"Prod": PLACE, "prod": {**PLACE, "region": "eu-west-2"}}) == (
        "gluebrake.environments.prod: its name differs from that of Prod in case only; rename one of them",
    )


def test_environments_that_are_no_object_are_a_mistake() -> None:
    """A list has no names."""
    assert _mistakes(["prod"]) == (
        'gluebrake.environments: ["prod"] should be an object of names and environments',
    )


class TestFile:
    """A `cdk.json`, or a configuration file."""

    @pytest.mark.parametrize("values", [{"environments": {"dev": PLACE}}, {"jobs": ["*"]}])
    @pytest.mark.parametrize("in_cdk_json", [True, False])
    def test_both_kinds(self, values: dict[str, Any], *, in_cdk_json: bool) -> None:
        """The keys of `cdk.json` are in its context. Those of a configuration file are at the top."""
        document = {"app": "x", "context": {"gluebrake": values}} if in_cdk_json else values
        assert decode_file(json.dumps(document).encode()) == decode(values)

    def test_cdk_json_of_another_app(self) -> None:
        """A context without Gluebrake's object has no environments."""
        assert decode_file(b'{"context": {"other": 1}}') == {}

    @pytest.mark.parametrize("content", [b"{", b"[]", b'{"context": 1}', b'{"context": {"gluebrake": []}}'])
    def test_no_object(self, content: bytes) -> None:
        """A file that is no such JSON is refused."""
        with pytest.raises(msgspec.MsgspecError):
            decode_file(content)

    def test_mistake(self) -> None:
        """The path is that within the file."""
        with pytest.raises(EnvironmentsError, match=r"^gluebrake\.environments: 1 should be"):
            decode_file(b'{"context": {"gluebrake": {"environments": 1}}}')
