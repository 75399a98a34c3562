"""Each handler builds its dependencies from the environment, once."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any, Final

import pytest
from msgspec.structs import replace

from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import Backoff
from gluebrake.handlers import confirm, stop
from gluebrake.handlers.confirm import ConfirmDependencies
from gluebrake.handlers.stop import StopDependencies
from gluebrake.lambda_event import Bookkeeping
from gluebrake.settings import SettingsError
from gluebrake.stages import Queue
from gluebrake.wiring import initialised_by_lambda
from tests.support.builders import AWS_ENVIRONMENT, record
from tests.support.fakes.aws_server import FakeAws

CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_500)
HANDLERS: Final = pytest.mark.parametrize("function", [stop, confirm], ids=["stop", "confirm"])


@pytest.fixture
def confirm_dependencies(environ: dict[str, str], new_loggers: None) -> ConfirmDependencies:  # noqa: ARG001 - set up before
    """Build CONFIRM's dependencies, with clients of the fake."""
    return confirm.build_dependencies(environ)


@HANDLERS
@pytest.mark.usefixtures("environ", "new_loggers")
def test_handler_builds_its_dependencies_once(
    aws: FakeAws, function: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lambda passes no dependencies. A handler builds them and keeps them for the next invocation."""
    function._dependencies.cache_clear()  # noqa: SLF001 - another test may have filled the cache
    answers = [function.handler({"Records": [record("{")]}, CONTEXT) for _ in range(2)]
    assert answers == [{"batchItemFailures": []}] * 2
    sent = [request["QueueUrl"].split("/")[-1] for request in aws.requests("SendMessageBatch")]
    assert sent == ["dead_letter", "dead_letter"]
    assert function._dependencies.cache_info().misses == 1  # noqa: SLF001 - the cache shows that it was built once
    function._dependencies.cache_clear()  # noqa: SLF001 - its clients are of this test's fake
    assert f'"service":"{function.__name__.split(".")[-1]}"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "by_lambda"),
    [({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, True), ({"AWS_LAMBDA_RUNTIME_API": "host"}, False)],
)
def test_lambda_is_recognised_by_its_environment(environ: dict[str, str], *, by_lambda: bool) -> None:
    """Lambda sets the variable for every kind of initialisation."""
    assert initialised_by_lambda(environ) is by_lambda


class TestStop:
    """The dependencies of STOP."""

    def test_settings_reach_the_dependencies(self, dependencies: StopDependencies) -> None:
        """Each setting is where it is used."""
        assert dependencies.limits == Limits(("etl*",), ("etl-prod",), 100)
        assert dependencies.max_attempts == 6
        assert dependencies.retry_policy.delays == {
            Queue.STOP: Backoff(5, 900, first_attempt=1),
            Queue.CONFIRM: Backoff(15, 300, first_attempt=0),
        }
        assert dependencies.retry_policy.deadline_seconds == 1800
        adapters = (dependencies.glue, dependencies.queues, dependencies.event_bus)
        assert {adapter.calls_at_once for adapter in adapters} == {4}
        assert dependencies.aws_environment == replace(
            AWS_ENVIRONMENT, alarm_namespaces=("Own/Jobs",), alarm_accounts=("210987654321",)
        )
        assert dependencies.glue.protect_tag == "gluebrake:protect"
        assert dependencies.glue.job_arn_prefix == "arn:aws:glue:eu-west-1:123456789012:job/"
        assert dependencies.bookkeeping == Bookkeeping("stop", 6, frozenset({"AROAGLUEBRAKE"}))
        assert dependencies.queue is Queue.STOP
        assert {queue: url.split("/")[-1] for queue, url in dependencies.queues.urls.items()} == {
            Queue.STOP: "stop",
            Queue.CONFIRM: "confirm",
            Queue.DEAD_LETTER: "dead_letter",
        }

    def test_a_message_of_gluebrake_never_names_too_many_runs(self, dependencies: StopDependencies) -> None:
        """A message that STOP sends names no more runs than a request may."""
        assert dependencies.retry_policy.ids_in_a_message == 100

    def test_calls_end_before_the_function_does(self, dependencies: StopDependencies) -> None:
        """There is a connection for each parallel call, and one call never takes the time of an invocation."""
        clients = (dependencies.glue.client, dependencies.queues.client, dependencies.event_bus.make_client())
        for client in clients:
            config: Any = client.meta.config
            assert config.max_pool_connections == 4
            tries = config.retries["total_max_attempts"]
            assert tries >= 2
            assert tries * (config.connect_timeout + config.read_timeout) < 30

    def test_client_for_events_is_made_once(self, dependencies: StopDependencies) -> None:
        """The client is made for the first event and kept for the next."""
        assert dependencies.event_bus.make_client() is dependencies.event_bus.make_client()

    def test_clock_and_jitter_have_defaults(self, dependencies: StopDependencies) -> None:
        """The clock has a time zone, and the jitter is between 0 and 1."""
        assert dependencies.clock().tzinfo is not None
        assert 0 <= dependencies.jitter() < 1


def test_settings_reach_the_dependencies_of_confirm(confirm_dependencies: ConfirmDependencies) -> None:
    """CONFIRM sends to no stop queue, reads no tags, and has no limit on polls besides its deadline."""
    assert confirm_dependencies.retry_policy.delays == {Queue.CONFIRM: Backoff(15, 300, first_attempt=0)}
    assert confirm_dependencies.retry_policy.deadline_seconds == 1800
    assert confirm_dependencies.retry_policy.ids_in_a_message == 100
    trusted = frozenset({"AROAGLUEBRAKE"})
    assert confirm_dependencies.bookkeeping == Bookkeeping("confirm", confirm.MAX_POLLS, trusted)
    assert confirm_dependencies.queue is Queue.CONFIRM
    assert confirm_dependencies.glue.protect_tag == ""
    assert {queue: url.split("/")[-1] for queue, url in confirm_dependencies.queues.urls.items()} == {
        Queue.CONFIRM: "confirm",
        Queue.DEAD_LETTER: "dead_letter",
    }


@HANDLERS
def test_missing_settings_are_refused(function: ModuleType) -> None:
    """A function without its settings does not start."""
    with pytest.raises(SettingsError, match="GLUEBRAKE_CONFIRM_QUEUE_URL: missing"):
        function.build_dependencies({})
