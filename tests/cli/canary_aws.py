"""An AWS account with the canary job, around the simulated SQS, Glue and Lambda functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Final

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from gluebrake import settings
from gluebrake_cli.stack import Deployment
from tests.support.fakes.aws_server import ACCOUNT
from tests.support.fakes.exchange import Call
from tests.support.fakes.faults import Refused
from tests.support.fakes.sqs import FUNCTION_ROLE_ID
from tests.support.simulated_aws import CONFIRM, JOB_ARN_PREFIX, STOP, SimulatedAws

JOB: Final = "Gluebrake-canary"
ARN: Final = JOB_ARN_PREFIX + JOB
TAG: Final = "gluebrake:protect"
SETTINGS: Final[Mapping[str, Any]] = {
    "confirm_queue_url": "https://sqs/1/confirm",
    "dead_letter_queue_url": "https://sqs/1/dead",
    "stop_queue_url": "https://sqs/1/stop",
    "event_bus_name": "bus",
    "trusted_sender_ids": [FUNCTION_ROLE_ID],
    "job_arn_prefix": JOB_ARN_PREFIX,
    "max_runs_per_request": 1000,
    "calls_at_once": 8,
    "confirm_seconds": [15, 300],
    "confirm_deadline_seconds": 1800,
    "jobs": ["*"],
    "protected_jobs": [],
    "protect_tag": TAG,
    "max_attempts": 8,
    "retry_seconds": [5, 900],
}


@dataclass
class CanaryAws:
    """What the canary job, the functions and their logs do. A test changes it before it runs the command."""

    simulation: SimulatedAws
    settings: dict[str, Any] = field(default_factory=lambda: dict(SETTINGS))
    """The settings in the STOP function's environment."""
    consumers: frozenset[str] = frozenset({STOP, CONFIRM})
    """The functions whose event source mapping is enabled."""
    denies: Callable[[str], bool] = lambda _value: True
    """Whether IAM denies STOP the runs of the job, by the value of its protect tag."""
    after_starting: str = "RUNNING"
    """The state of a run after STARTING."""
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    """By operation, what happens before the command makes its next call."""

    def __post_init__(self) -> None:
        self.simulation.aws.glue.add_job(JOB)
        denied = Refused("AccessDeniedException", "with an explicit deny")
        self.simulation.aws.faults.add(denied, operation="BatchStopJobRun", when=self._is_denied)

    def connect(self, deployment: Deployment, account: str = ACCOUNT) -> Deployment:
        """Return the deployment as it is in an account, with the canary job."""
        clients = deployment.clients
        hooks: list[tuple[Any, str, Any]] = [
            *(
                (client, "before-call", self._before_call)
                for client in (clients.glue, clients.lambda_, clients.logs)
            ),
            (clients.glue, "before-call.glue.GetJobRun", self._before_read),
            # What such a hook returns is the response, and nothing is sent.
            (clients.lambda_, "before-send.lambda.Invoke", self._invoke),
            (clients.lambda_, "before-send.lambda.GetFunctionConfiguration", self._get_function_configuration),
            (clients.logs, "before-send.logs.FilterLogEvents", self._filter_log_events),
        ]
        for client, event, hook in hooks:
            client.meta.events.register(event, hook)
        stack_id = deployment.stack_id.replace(ACCOUNT, account)
        return replace(deployment, stack_id=stack_id, outputs={**deployment.outputs, "CanaryJobName": JOB})

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the job."""
        return dict(self.simulation.aws.glue.get_tags({"ResourceArn": ARN})["Tags"])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace the tags of the job."""
        self.simulation.aws.glue.add_job(JOB, tags=tags)

    @property
    def states(self) -> list[str]:
        """The state of each run of the job."""
        return [run.state for run in self.simulation.aws.glue if run.job_name == JOB]

    def _is_denied(self, _call: Call) -> bool:
        return any(self.denies(value) for key, value in self.tags.items() if key.casefold() == TAG)

    def _before_call(self, model: Any, **_: Any) -> None:
        if action := self.before.pop(model.name, None):
            action()

    def _before_read(self, **_: Any) -> None:
        """Let each STARTING run that was read before start, and request its own stop."""
        read = {request["RunId"] for request in self.simulation.aws.requests("GetJobRun")}
        for run in list(self.simulation.aws.glue):
            if run.state == "STARTING" and run.run_id in read:
                run.become(self.after_starting)
                self.simulation.put(json.dumps({"JobName": JOB, "Select": {}, "RequestedBy": "canary"}))
        self._let_time_pass()

    def _let_time_pass(self) -> None:
        self.simulation.clock.advance(5)
        queues = {STOP: self.simulation.stop_queue, CONFIRM: self.simulation.confirm_queue}
        for service in self.consumers:
            if any(message.due_at <= self.simulation.clock() for message in queues[service]):
                self.simulation.deliver_due(service)

    def _invoke(self, request: Any, **_: Any) -> AWSResponse:
        return _response(self.simulation.invoke_directly(STOP, json.loads(request.body)).answer)

    def _get_function_configuration(self, **_: Any) -> AWSResponse:
        variables = settings.environment(self.settings)
        return _response({"Environment": {"Variables": variables}, "LoggingConfig": {"LogGroup": "functions"}})

    def _filter_log_events(self, **_: Any) -> AWSResponse:
        self._let_time_pass()
        lines = [line for invocation in self.simulation.invocations for line in invocation.outcomes]
        return _response({"events": [{"message": json.dumps(line)} for line in lines]})


class _Body(BytesIO):
    """A response's body, as urllib3 has it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Yield the whole body."""
        yield self.read()


def _response(content: Any) -> AWSResponse:
    return AWSResponse("https://fake", 200, HTTPHeaders(), _Body(json.dumps(content).encode()))
