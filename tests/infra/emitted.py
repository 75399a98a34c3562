"""What the functions really write, from a run in which everything happens at least once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gluebrake.outcomes import Outcome
from tests.support.fakes.faults import Refused
from tests.support.simulated_aws import Context, Invocation, World, stop_request

Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name, dimensions."""

_IGNORED: Final = '{"detail-type": "Glue Job State Change", "source": "aws.glue", "detail": {}}'


@dataclass(frozen=True)
class Emitted:
    """The metrics that a run emitted, and its log lines."""

    metrics: frozenset[Metric]
    lines: tuple[Mapping[str, Any], ...]

    @property
    def fields(self) -> set[str]:
        """Every field of any line."""
        return {field for line in self.lines for field in line}


def everything() -> Emitted:
    """Have each outcome come to pass, and return what was written."""
    with World(
        jobs=["etl*", "denied"], protected_jobs=["etl-vip"], max_runs_per_request=20, calls_at_once=1
    ) as world:
        # The first invocation has time for one call: the rest is deferred.
        world.context = Context(lambda: 30.0 if world.invocations else 1.5)
        _add_runs(world)
        _ask(world)
        world.run()
        invocations = world.invocations
    emitted = Emitted(
        metrics=frozenset(metric for invocation in invocations for metric in _metrics(invocation)),
        lines=tuple(line for invocation in invocations for line in invocation.lines),
    )
    missing = {*Outcome} - {line["outcome"] for line in emitted.lines if "outcome" in line}
    assert not missing, f"the run was to have these as well: {missing}"
    return emitted


def _add_runs(world: World) -> None:
    glue = world.aws.glue
    glue.add_run("etl", "stops", WorkerType="G.1X", NumberOfWorkers=10)
    glue.add_run("etl", "hangs", stopping_seconds=None)
    glue.add_run("etl", "fails", stops_as="FAILED")
    glue.add_run("etl", "is-over", state="SUCCEEDED")
    glue.add_run("etl", "is-stopping", state="STOPPING")
    glue.add_run("etl", "is-spared")
    for job_name in ("etl-vip", "payroll", "denied"):
        glue.add_run(job_name, "theirs")
    glue.add_run("etl-idle", "is-over", state="SUCCEEDED")
    denied = Refused("AccessDeniedException", "not you")
    world.aws.faults.add(
        denied, operation="BatchStopJobRun", when=lambda call: call.parameters["JobName"] == "denied"
    )


def _ask(world: World) -> None:
    world.ask(
        "etl", "stops", "hangs", "fails", "is-over", "is-stopping", Reason="over budget", RequestedBy="me"
    )
    world.ask("etl", "is-spared", DryRun=True)
    world.ask("etl", "gone", "stops")
    world.ask("etl", *(f"jr_{number}" for number in range(21)))
    for job_name in ("etl-vip", "payroll", "denied"):
        world.ask(job_name, "theirs")
    for body in ('{"JobName": "etl-idle", "Select": {}}', _IGNORED, "stop everything!"):
        world.put(body)
    world.confirm_queue.put(stop_request(""))


def _metrics(invocation: Invocation) -> set[Metric]:
    return {
        (directive["Namespace"], metric["Name"], frozenset((name, line[name]) for name in dimensions))
        for line in invocation.metrics
        for directive in line["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }
