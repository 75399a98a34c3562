"""Environments: which stacks the configuration describes, and the template of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from infra.config import ConfigError
from infra.environments import load_environments, load_stacks
from infra.names import BUS, configuration_file
from tests.infra.conftest import POLICIES, ROLE, Synthesise
from tests.infra.template import Template, plain

PROD: Final = {"account": "123456789012", "region": "eu-west-1"}
DEV: Final = {"account": "210987654321", "region": "us-east-1"}
ENVIRONMENTS: Final = {"prod-eu": PROD, "dev-us": DEV}

EVERY_OPTION: Final[Mapping[str, Any]] = {
    "stopOnRunStatus": ["*"],
    "stopOnAlarms": ["glue-", "b"],
    "alarmAccounts": ["111122223333"],
    "alarmEmail": "a@b.cd",
    "notifyEmail": "a@b.cd",
    "jobs": ["etl-*", "x"],
    "protectedJobs": ["p-*"],
    "canary": "rate(1 day)",
    "policies": POLICIES,
    "centralBusArn": "arn:aws:events:eu-west-1:999999999999:event-bus/gluebrake-central",
}


def _errors(context: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_stacks(context.get)
    return str(raised.value).splitlines()


class TestConfiguration:
    """What each environment inherits, and what is reported before anything is built."""

    def test_without_environments(self) -> None:
        """There is one stack for the account and the Region of the credentials."""
        (spec,) = load_stacks({"gluebrake": {"batchSize": 5}}.get)
        assert (spec.id, spec.environment, spec.config.batch_size) == ("Gluebrake", None, 5)

    def test_keys_of_an_environment_replace_whole_keys(self, tmp_path: Path) -> None:
        """They have priority over `cdk.json` and over the file, and `-c target` over them."""
        file = tmp_path / "production.json"
        file.write_text(json.dumps({"jobs": ["a", "b"], "memoryMb": 1024, "batchSize": 3}))
        environments = {"prod-eu": {**PROD, "jobs": ["c"], "target": "aws"}, "dev-us": DEV}
        context = {
            "gluebrake": {"batchSize": 5, "environments": environments},
            "config": str(file),
            "target": "local",
        }
        prod, dev = load_stacks(context.get)
        assert (prod.id, prod.config.jobs, prod.config.memory_mb, prod.config.batch_size) == (
            "Gluebrake-prod-eu",
            ("c",),
            1024,
            3,
        )
        assert (dev.id, dev.config.jobs) == ("Gluebrake-dev-us", ("a", "b"))
        assert (prod.config.target, dev.config.target) == ("local", "local")
        assert dev.environment == load_environments(context.get)["dev-us"]

    def test_environments_of_the_file_replace_those_of_cdk_json(self, tmp_path: Path) -> None:
        """The key is replaced as a whole, as every other key is."""
        file = tmp_path / "other.json"
        file.write_text(json.dumps({"environments": {"test": DEV}}))
        context = {"gluebrake": {"environments": ENVIRONMENTS}, "config": str(file)}
        assert [spec.id for spec in load_stacks(context.get)] == ["Gluebrake-test"]

    @pytest.mark.parametrize(
        ("names", "ids"),
        [
            (None, ["Gluebrake-prod-eu", "Gluebrake-dev-us"]),
            ("all", ["Gluebrake-prod-eu", "Gluebrake-dev-us"]),
            ("dev-us", ["Gluebrake-dev-us"]),
            ("dev-us prod-eu", ["Gluebrake-prod-eu", "Gluebrake-dev-us"]),
        ],
    )
    def test_selection(self, names: str | None, ids: list[str]) -> None:
        """By default all environments are synthesised, in the configuration's order."""
        context = {"gluebrake": {"environments": ENVIRONMENTS}, "environment": names}
        assert [spec.id for spec in load_stacks(context.get)] == ids

    def test_common_part_alone(self) -> None:
        """An empty selection is a stack for any account, such as the emulator's or those of a StackSet."""
        context = {"gluebrake": {"batchSize": 5, "environments": ENVIRONMENTS}, "environment": ""}
        (spec,) = load_stacks(context.get)
        assert (spec.id, spec.environment, spec.config.batch_size) == ("Gluebrake", None, 5)
        context["gluebrake"] = {"batchSize": 100, "environments": {"a": {**PROD, "batchSize": 1}}}
        assert _errors(context)[1].startswith("batchSize, batchWindowSeconds: ")

    def test_unknown_environment(self) -> None:
        """The error has the environments that there are."""
        context = {"gluebrake": {"environments": ENVIRONMENTS}, "environment": "prod dev-us"}
        expected = "no environment prod; the environments are prod-eu, dev-us, and all means every one"
        assert _errors(context) == [expected]

    def test_environment_without_environments(self) -> None:
        """A name that is given for a configuration without environments is a mistake. `all` is none."""
        assert _errors({"environment": "prod"}) == [
            "no environment prod; the configuration has no environments"
        ]

    def test_all_mistakes_of_all_environments_are_reported_at_once(self) -> None:
        """Mistakes of the common part, of names and places, of overrides, and between keys."""
        environments = {
            "a": {**PROD, "account": "1", "memoryMb": 1, "batchSize": 100},
            "b": {**DEV, "batchSize": 100, "policies": [{}], "environments": {}},
            "c d": {**PROD, "batchsize": 1},
        }
        errors = _errors({"gluebrake": {"maxAttempts": 0, "environments": environments}, "environment": "b"})
        assert errors[0] == "The configuration cannot be used:"
        starts = (
            'gluebrake.environments.a.account: "1" should be an AWS account id',
            'gluebrake.environments: "c d" is no name of an environment',
            "gluebrake.maxAttempts: 0 should be",
            "gluebrake.environments.a.memoryMb: 1 should be",
            "gluebrake.environments.b.policies[0].name: missing",
            "gluebrake.environments.b.environments: unknown; the keys are account, alarmAccounts,",
            "gluebrake.environments.c d.batchsize: unknown",
            "a, b: batchSize, batchWindowSeconds: a batchSize over 10 needs",
        )
        for start in starts:
            assert [error for error in errors if error.startswith(start)], start

    def test_a_rule_holds_for_the_whole_of_an_environment(self) -> None:
        """A rule over several keys is checked with the environment's own values, not for the common part."""
        common = {"batchSize": 100, "environments": {"a": {**PROD, "batchWindowSeconds": 1}}}
        assert load_stacks({"gluebrake": common}.get)[0].config.batch_size == 100

    def test_wrong_environments_are_named(self) -> None:
        """`make deploy` reads the environments before it synthesises."""
        with pytest.raises(ConfigError, match=r"gluebrake\.environments: 1 should be an object"):
            load_environments({"gluebrake": {"environments": 1}}.get)

    @pytest.mark.parametrize(
        ("values", "error"),
        [
            ({"centralBusArn": "gluebrake-central"}, "gluebrake.centralBusArn: "),
            (
                {"centralBusArn": f"arn:aws:events:eu-west-1:999999999999:event-bus/{BUS}"},
                "centralBusArn: is the",
            ),
            (
                {"centralBusArn": EVERY_OPTION["centralBusArn"], "outcomeEvents": False},
                "centralBusArn, outcomeEvents: without",
            ),
        ],
    )
    def test_a_bus_that_collects_nothing_is_rejected(self, values: dict[str, Any], error: str) -> None:
        """Neither a name, nor a bus from which events would be forwarded again, nor a bus for no events."""
        (_, line) = _errors({"gluebrake": values})
        assert line.startswith(error)


@pytest.fixture(scope="module")
def fleet(synthesised: Synthesise) -> Mapping[str, Template]:
    """Return the templates of two environments with every option."""
    directory = synthesised(**EVERY_OPTION, environments=ENVIRONMENTS).directory
    return {name: Template(directory, f"Gluebrake-{name}") for name in ENVIRONMENTS}


@pytest.fixture(scope="module")
def single(synthesised: Synthesise) -> Template:
    """Return the template of the same options without environments."""
    return synthesised(**EVERY_OPTION)


def _artifact(template: Template) -> dict[str, Any]:
    manifest = json.loads((template.directory / "manifest.json").read_text())
    artifact: dict[str, Any] = manifest["artifacts"][template.stack]
    assert "missing" not in manifest, "a look-up would need credentials at synthesis"
    return artifact


class TestTemplates:
    """A stack for each environment, which differs from a single stack in its place only."""

    def test_template_is_that_of_a_single_stack(self, fleet: Mapping[str, Template], single: Template) -> None:
        """The environment of a deployed stack can be added without the change of any resource."""
        assert plain(fleet["prod-eu"].body) == plain(single.body)

    @pytest.mark.parametrize("name", ENVIRONMENTS)
    def test_logical_ids_are_those_of_a_single_stack(
        self, fleet: Mapping[str, Template], single: Template, name: str
    ) -> None:
        """They are compared with the recorded ones for a single stack."""
        assert fleet[name].body["Resources"].keys() == single.body["Resources"].keys()

    @pytest.mark.parametrize(("name", "place"), ENVIRONMENTS.items())
    def test_stack_has_the_same_name_everywhere(
        self, fleet: Mapping[str, Template], name: str, place: Mapping[str, str]
    ) -> None:
        """The account and the Region are explicit, and no look-up is needed."""
        artifact = _artifact(fleet[name])
        assert artifact["environment"] == f"aws://{place['account']}/{place['region']}"
        assert artifact["properties"]["stackName"] == "Gluebrake"

    def test_nothing_of_another_environment_is_in_a_template(self, fleet: Mapping[str, Template]) -> None:
        """No resource refers to another member's account."""
        texts = {name: json.dumps(template.body) for name, template in fleet.items()}
        assert DEV["account"] not in texts["prod-eu"]
        # A policy names this role.
        assert PROD["account"] not in texts["dev-us"].replace(ROLE, "")

    def test_zip_is_the_same_for_all_with_the_same_python_and_architecture(
        self, synthesised: Synthesise
    ) -> None:
        """The code is built once, and uploaded to each account as it is."""
        template = synthesised(
            environments={**ENVIRONMENTS, "third": {**DEV, "region": "eu-west-2", "jobs": ["x"]}}
        )
        zips = set()
        for name in (*ENVIRONMENTS, "third"):
            functions = Template(template.directory, f"Gluebrake-{name}").resources("AWS::Lambda::Function")
            zips |= {function["Properties"]["Code"]["S3Key"] for function in functions.values()}
        assert len(zips) == 1

    def test_findings_are_suppressed_in_every_environment(self, fleet: Mapping[str, Template]) -> None:
        """A finding that names the account is suppressed like that of a stack for any account."""
        assert not any(fleet["prod-eu"].validated("violations").values())
        assert any(
            DEV["account"] in rule for rule in fleet["dev-us"].validated("suppressedViolations")["AwsSolutions"]
        )

    @pytest.mark.parametrize("name", ENVIRONMENTS)
    def test_effective_configuration_is_kept_for_each(self, fleet: Mapping[str, Template], name: str) -> None:
        """`make deploy` shows it, and warns about alarms by it."""
        file = fleet[name].directory / configuration_file(f"Gluebrake-{name}")
        assert json.loads(file.read_text())["stopOnAlarms"] == EVERY_OPTION["stopOnAlarms"]
