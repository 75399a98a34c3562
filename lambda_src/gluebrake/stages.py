"""The table of stages: which queue each consumes, and which AWS operations it calls.

Telemetry, the functions' artifact, IAM actions, the dashboard and the operator's command are derived from this
table. The module imports no module of Gluebrake, so that importing it loads no stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum, unique
from typing import Final, NamedTuple


@unique
class Queue(StrEnum):
    """A queue. The value is its name in log lines and messages to operators."""

    STOP = "stop"
    CONFIRM = "confirm"
    SWEEP = "sweep"
    DEAD_LETTER = "dead letters"


class Stage(NamedTuple):
    """A Lambda function and the queue that it consumes. `operations` has botocore's names, by service.

    A stack has an optional stage only if its configuration asks for it.
    """

    name: str
    description: str
    queue: Queue
    operations: Mapping[str, tuple[str, ...]]
    is_optional: bool = False

    @property
    def title(self) -> str:
        """The start of the names of the stage's resources and outputs, such as `Stop` in `StopQueue`."""
        return self.name.capitalize()


_DISPATCH: Final = {
    "sqs": ("DeleteMessageBatch", "SendMessageBatch"),
    "events": ("PutEvents",),
    "sns": ("Publish",),
}
"""The operations with which every stage dispatches its results."""

STAGES: Final[Mapping[str, Stage]] = {
    stage.name: stage
    for stage in (
        Stage(
            name="stop",
            description="Stops AWS Glue job runs in batches",
            queue=Queue.STOP,
            operations={"glue": ("BatchStopJobRun", "GetJobRun", "GetJobRuns", "GetTags"), **_DISPATCH},
        ),
        Stage(
            name="confirm",
            description="Polls each AWS Glue job run that is being stopped until it has stopped",
            queue=Queue.CONFIRM,
            operations={"glue": ("GetJobRun", "GetJobRuns"), **_DISPATCH},
        ),
        Stage(
            name="sweep",
            description="Applies guardrail policies to the runs of AWS Glue jobs",
            queue=Queue.SWEEP,
            operations={"glue": ("BatchGetJobs", "GetJobRuns", "GetTags", "ListJobs"), **_DISPATCH},
            is_optional=True,
        ),
    )
}


def operations(names: Iterable[str] = STAGES) -> dict[str, tuple[str, ...]]:
    """Return the operations that these stages call, by service. Services and operations are sorted."""
    stages = [STAGES[name] for name in names]
    services = sorted({service for stage in stages for service in stage.operations})
    return {
        service: tuple(sorted({name for stage in stages for name in stage.operations.get(service, ())}))
        for service in services
    }
