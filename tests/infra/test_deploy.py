"""`make deploy`: which account and Region it deploys to, and what it refuses before anything is changed."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final, Never

import boto3
import pytest

from infra import cdk_cli, deploy
from infra.account import DeployError, Target, check_bootstrap, connect, identify, with_region
from infra.alarm_warning import alarm_warning
from infra.config import Config
from local.aws import ACCOUNT, KEY
from local.emulator import Emulator, running
from tests.infra.conftest import Synthesise
from tests.infra.template import Template
from tests.support.glue_alarms import ELAPSED_TIME

KEYS: Final = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY, "NO_PROXY": "127.0.0.1"}
PARAMETER: Final = "/cdk-bootstrap/{}/version"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Start an emulator. Each test uses a Region of its own."""
    with running() as emulator:
        yield emulator


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Return a function that sets variables, in an environment without account, Region and profile."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "CDK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CDK_VALIDATION", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    def environ(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return environ


def _bootstrap(emulator: Emulator, region: str, qualifier: str) -> None:
    ssm = boto3.client(
        "ssm",
        region_name=region,
        endpoint_url=emulator.aws.endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
    )
    ssm.put_parameter(Name=PARAMETER.format(qualifier), Value="30", Type="String")


def _error(assembly: Path) -> list[str]:
    """Return the lines of the error, after what `make deploy` does with the assembly and the environment."""
    with pytest.raises(DeployError) as raised:
        _check(assembly)
    return str(raised.value).splitlines()


def _check(assembly: Path) -> None:
    session = connect(None, os.environ)
    check_bootstrap(session, identify(session), assembly)


class TestRegion:
    """AWS_REGION comes first, then AWS_DEFAULT_REGION, then the profile."""

    @pytest.mark.parametrize(
        ("variables", "region"),
        [
            ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
            ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
            ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
            ({}, "eu-west-3"),
        ],
    )
    def test_order(self, environ: Callable[..., None], variables: dict[str, str], region: str) -> None:
        """The check and the CDK use the same Region, whichever variable each of them reads."""
        Path(os.environ["AWS_CONFIG_FILE"]).write_text("[default]\nregion = eu-west-3\n")
        environ(**variables)
        assert connect(None, os.environ).region_name == region
        passed = with_region(os.environ, region)
        assert (passed["AWS_REGION"], passed["AWS_DEFAULT_REGION"]) == (region, region)

    def test_profile_of_the_options(self, environ: Callable[..., None]) -> None:
        """`--profile` selects the profile, and the variable still has priority over its Region."""
        Path(os.environ["AWS_CONFIG_FILE"]).write_text("[profile other]\nregion = eu-north-1\n")
        assert connect("other", os.environ).region_name == "eu-north-1"
        environ(AWS_REGION="eu-west-1")
        assert connect("other", os.environ).region_name == "eu-west-1"


class TestBootstrap:
    """Whether the account and Region are bootstrapped for the assembly's qualifier."""

    def test_bootstrapped(self, emulator: Emulator, environ: Callable[..., None], template: Template) -> None:
        """Nothing is refused, and nothing is bootstrapped again."""
        _bootstrap(emulator, "eu-west-1", "hnb659fds")
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_REGION="eu-west-1")
        _check(template.directory)

    def test_not_bootstrapped(
        self, emulator: Emulator, environ: Callable[..., None], template: Template
    ) -> None:
        """The error has the qualifier, the account, the Region and the command."""
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_REGION="eu-west-2")
        assert _error(template.directory) == [
            (
                f"not bootstrapped for qualifier hnb659fds in account {ACCOUNT}, Region eu-west-2. "
                "Nothing was changed."
            ),
            (
                f"To bootstrap it: .venv/bin/python -m infra.cdk_cli bootstrap aws://{ACCOUNT}/eu-west-2 "
                "--qualifier hnb659fds"
            ),
        ]

    def test_bootstrapped_for_another_qualifier(
        self, emulator: Emulator, environ: Callable[..., None], template: Template
    ) -> None:
        """The error names the other one, and the command leaves its stack alone."""
        _bootstrap(emulator, "eu-west-3", "acme")
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_REGION="eu-west-3")
        assert _error(template.directory) == [
            (
                f"not bootstrapped for qualifier hnb659fds in account {ACCOUNT}, Region eu-west-3. "
                "Nothing was changed."
            ),
            (
                "It is bootstrapped for qualifier acme. To use that one, add to CDK_OPTIONS: "
                "-c @aws-cdk/core:bootstrapQualifier=acme"
            ),
            (
                f"To bootstrap it: .venv/bin/python -m infra.cdk_cli bootstrap aws://{ACCOUNT}/eu-west-3 "
                "--qualifier hnb659fds --toolkit-stack-name CDKToolkit-hnb659fds"
            ),
        ]

    def test_configured_qualifier(
        self, emulator: Emulator, environ: Callable[..., None], tmp_path: Path
    ) -> None:
        """The qualifier is that of the assembly, which has it from the context."""
        parameter = {"properties": {"bootstrapStackVersionSsmParameter": PARAMETER.format("acme")}}
        (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"Gluebrake": parameter, "Tree": {}}}))
        _bootstrap(emulator, "eu-south-1", "hnb659fds")
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_REGION="eu-south-1")
        first, *_, last = _error(tmp_path)
        assert "not bootstrapped for qualifier acme in" in first
        assert last.endswith("--qualifier acme --toolkit-stack-name CDKToolkit-acme")
        _bootstrap(emulator, "eu-south-1", "acme")
        _check(tmp_path)


IDENTITY: Final = (
    f"<R><GetCallerIdentityResult><Account>{ACCOUNT}</Account><Arn>arn</Arn></GetCallerIdentityResult></R>"
)
EXPIRED: Final = (
    "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>expired</Message></Error></ErrorResponse>"
)
DENIED: Final = json.dumps({"__type": "AccessDeniedException", "message": "not authorized\nto perform it"})


class _Handler(BaseHTTPRequestHandler):
    """STS says that the login has expired, or else SSM denies."""

    def do_POST(self) -> None:
        ssm = "X-Amz-Target" in self.headers
        fails = ssm or "eu-south-2" in self.headers["Authorization"]
        body = DENIED if ssm else EXPIRED if fails else IDENTITY
        self.send_response(400 if fails else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Write nothing to the terminal."""


@pytest.fixture
def failing() -> Iterator[str]:
    """Run an AWS on the loopback interface that denies SSM, and whose login has expired in one Region."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TestOtherFailures:
    """A failure that is not a missing bootstrap is one line, and does not advise to bootstrap."""

    def test_denied(self, failing: str, environ: Callable[..., None], template: Template) -> None:
        """Whether the parameter exists is unknown then."""
        environ(**KEYS, AWS_ENDPOINT_URL=failing, AWS_REGION="eu-west-1")
        (line,) = _error(template.directory)
        assert line.startswith(f"the bootstrap of account {ACCOUNT}, Region eu-west-1 cannot be read: ")
        assert line.endswith("when calling the GetParameter operation: not authorized to perform it")

    def test_expired(self, failing: str, environ: Callable[..., None], template: Template) -> None:
        """The line has AWS's own words."""
        environ(**KEYS, AWS_ENDPOINT_URL=failing, AWS_REGION="eu-south-2")
        (line,) = _error(template.directory)
        assert line.startswith("the account of the credentials cannot be read: ")
        assert line.endswith("(ExpiredToken) when calling the GetCallerIdentity operation: expired")

    @pytest.mark.parametrize(
        ("variables", "text"),
        [
            ({**KEYS}, "no Region: set AWS_REGION"),
            ({"AWS_REGION": "eu-west-1"}, "cannot be read: Unable to locate credentials"),
            (
                {**KEYS, "AWS_REGION": "eu-west-1", "AWS_PROFILE": "absent"},
                "profile (absent) could not be found",
            ),
            ({**KEYS, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "localhost"}, "Invalid endpoint"),
            (
                {**KEYS, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{_closed_port()}"},
                "Could not connect to the endpoint URL",
            ),
        ],
        ids=["no Region", "no credentials", "no such profile", "no URL", "dead endpoint"],
    )
    def test_no_account(
        self, environ: Callable[..., None], template: Template, variables: dict[str, str], text: str
    ) -> None:
        """The line says what is missing or wrong."""
        environ(**variables)
        (line,) = _error(template.directory)
        assert text in line


def test_summary_marks_what_is_not_the_default(synthesised: Synthesise) -> None:
    """Each key has a line, so that a configuration that was not read is noticed before the deployment."""
    assembly = synthesised(python=Config().python, batchSize=1000, batchWindowSeconds=5).directory
    target = Target("123456789012", "eu-west-1", "arn:aws:iam::123456789012:user/ops")
    head, _, *keys = deploy.summary(target, assembly)
    assert head == "Account 123456789012, Region eu-west-1, as arn:aws:iam::123456789012:user/ops"
    assert [key for key in keys if key.startswith("  *")] == [
        "  * batchSize = 1000",
        "  * batchWindowSeconds = 5",
    ]
    assert '    jobs = ["*"]' in keys


def _client(emulator: Emulator, service: str, region: str) -> Any:
    session: Any = boto3.Session(KEY, KEY, region_name=region)
    return session.client(service, endpoint_url=emulator.aws.endpoint)


def _deploy_stack(emulator: Emulator, region: str) -> dict[str, str]:
    """Create a stack with the two outputs that alarms act on, and return the ARNs of topic and function."""
    topic: Any = {"Topic": {"Type": "AWS::SNS::Topic"}}
    outputs = {"SignalTopicArn": {"Value": {"Ref": "Topic"}}, "StopFunctionName": {"Value": "stopper"}}
    client = _client(emulator, "cloudformation", region)
    client.create_stack(
        StackName="Gluebrake", TemplateBody=json.dumps({"Resources": topic, "Outputs": outputs})
    )
    client.get_waiter("stack_create_complete").wait(StackName="Gluebrake", WaiterConfig={"Delay": 1})
    (stack,) = client.describe_stacks(StackName="Gluebrake")["Stacks"]
    values = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return {
        "topic": values["SignalTopicArn"],
        "function": f"arn:aws:lambda:{region}:{ACCOUNT}:function:{values['StopFunctionName']}",
    }


def _put_alarm(emulator: Emulator, region: str, name: str, action: str) -> None:
    _client(emulator, "cloudwatch", region).put_metric_alarm(
        AlarmName=name,
        **ELAPSED_TIME,
        AlarmActions=[action],
    )


class TestAlarmWarning:
    """The alarms that the deployment disarms are named before it, and nothing blocks it."""

    def test_before_the_first_deployment(
        self, emulator: Emulator, environ: Callable[..., None], template: Template
    ) -> None:
        """Without a stack there is nothing that an alarm could act on."""
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_REGION="ap-south-1")
        assert [*alarm_warning(connect(None, os.environ), template.directory)] == []

    def test_alarms_without_a_prefix(
        self, emulator: Emulator, environ: Callable[..., None], synthesised: Synthesise
    ) -> None:
        """The lines name each alarm, and have the configuration that keeps all of them."""
        region = "ap-south-2"
        arns = _deploy_stack(emulator, region)
        for name, arn in {
            "glue-slow": arns["topic"],
            "nightly-slow": arns["topic"],
            "adhoc-slow": arns["function"],
            "unrelated": f"{arns['topic']}-other",
        }.items():
            _put_alarm(emulator, region, name, arn)
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_REGION=region)
        session = connect(None, os.environ)
        assembly = synthesised(stopOnAlarms=["glue-"]).directory
        assert [*alarm_warning(session, assembly)] == [
            "warning: no prefix in stopOnAlarms allows these alarms. After this deployment they stop no run:",
            "  adhoc-slow invokes the STOP function",
            "  nightly-slow notifies the signal topic",
            (
                "To keep them, deploy with these or shorter prefixes: "
                '"stopOnAlarms": ["glue-", "adhoc-slow", "nightly-slow"]'
            ),
        ]
        allowed = synthesised(stopOnAlarms=["glue-", "nightly", "adhoc-slow"]).directory
        assert [*alarm_warning(session, allowed)] == []

    @pytest.mark.parametrize(
        ("region", "reason"),
        [("eu-south-2", "the credentials have expired: log in again"), ("eu-west-1", "KeyError(")],
    )
    def test_unreadable_alarms(
        self, failing: str, environ: Callable[..., None], template: Template, region: str, reason: str
    ) -> None:
        """An error of AWS, or an answer without its members, is one line."""
        environ(**KEYS, AWS_ENDPOINT_URL=failing, AWS_REGION=region)
        (line,) = alarm_warning(connect(None, os.environ), template.directory)
        assert line.startswith(f"warning: the alarms that act on the stack cannot be read: {reason}")


class _Deployed(Exception):  # noqa: N818 - it is no error
    """The CDK would run now."""


@pytest.fixture
def cdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CDK's command line end the test with its arguments and its environment."""

    def run(arguments: Sequence[str], environ: Mapping[str, str]) -> Never:
        raise _Deployed(arguments, environ)

    monkeypatch.setattr(cdk_cli, "run", run)


@pytest.mark.usefixtures("cdk")
class TestMain:
    """The whole command, up to the CDK's command line."""

    def test_what_was_checked_is_deployed(
        self,
        emulator: Emulator,
        environ: Callable[..., None],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The CDK gets the assembly, the Region and the other options, and asks before it widens IAM."""
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_DEFAULT_REGION="eu-north-1")
        outdir = str(tmp_path / "cdk.out")
        options = ["-c", "target=local", "--outputs-file", "out.json", "-o", outdir]
        assert "Not deployed: not bootstrapped for qualifier hnb659fds" in str(deploy.main(options))
        assert capsys.readouterr().out == ""
        _bootstrap(emulator, "eu-north-1", "hnb659fds")
        with pytest.raises(_Deployed) as deployed:
            deploy.main(options)
        arguments, environment = deployed.value.args
        approval = ["--require-approval", "broadening"]
        assert arguments == ["deploy", "--app", outdir, *approval, "--outputs-file", "out.json"]
        assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "eu-north-1"
        head, _, *keys = capsys.readouterr().out.splitlines()
        assert head.startswith(f"Account {ACCOUNT}, Region eu-north-1, as arn:")
        assert '  * target = "local"' in keys

    def test_a_warning_blocks_no_deployment(
        self,
        emulator: Emulator,
        environ: Callable[..., None],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The alarms without a prefix are named on standard error, and the CDK runs."""
        region = "ap-east-1"
        _bootstrap(emulator, region, "hnb659fds")
        _put_alarm(emulator, region, "nightly-slow", _deploy_stack(emulator, region)["topic"])
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_REGION=region)
        with pytest.raises(_Deployed):
            deploy.main(["-c", "target=local", "-o", str(tmp_path / "cdk.out")])
        assert "  nightly-slow notifies the signal topic" in capsys.readouterr().err.splitlines()

    def test_wrong_configuration_is_not_deployed(
        self, emulator: Emulator, environ: Callable[..., None], tmp_path: Path
    ) -> None:
        """A misspelt option is reported, and an older assembly in the folder is not deployed instead."""
        environ(**KEYS, AWS_ENDPOINT_URL=emulator.aws.endpoint, AWS_REGION="eu-north-1")
        assert str(deploy.main(["-c", "confg=production.json", "-o", str(tmp_path)])).splitlines() == [
            "Not deployed: The configuration cannot be used:",
            "context key confg: unknown; did you mean config?",
        ]
