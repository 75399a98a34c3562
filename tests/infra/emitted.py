"""What the functions write to stdout, from a simulation in which every outcome occurs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gluebrake.outcomes import Outcome
from tests.support.fakes.faults import Refused
from tests.support.simulated_aws import Context, Invocation, SimulatedAws, stop_request

Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name, dimensions."""

_IGNORED: Final = '{"detail-type": "Glue Job State Change", "source": "aws.glue", "detail": {}}'


@dataclass(frozen=True)
class Emitted:
    """The metrics and the log lines of a simulation."""

    metrics: frozenset[Metric]
    lines: tuple[Mapping[str, Any], ...]

    @property
    def fields(self) -> set[str]:
        """The fields that occur in any line."""
        return {field for line in self.lines for field in line}


def simulate_all_outcomes() -> Emitted:
    """Simulate every outcome, and return what the functions write."""
    with SimulatedAws(
        jobs=["etl*", "denied"], protected_jobs=["etl-vip"], max_runs_per_request=20, calls_at_once=1
    ) as simulation:
        # The first invocation has time for one call, so it defers the rest.
        simulation.context = Context(lambda: 30.0 if simulation.invocations else 1.5)
        _add_runs(simulation)
        _send_requests(simulation)
        simulation.run()
        invocations = simulation.invocations
    emitted = Emitted(
        metrics=frozenset(metric for invocation in invocations for metric in _metrics(invocation)),
        lines=tuple(line for invocation in invocations for line in invocation.lines),
    )
    missing = {*Outcome} - {line["outcome"] for line in emitted.lines if "outcome" in line}
    assert not missing, f"outcomes that did not occur: {missing}"
    return emitted


def _add_runs(simulation: SimulatedAws) -> None:
    glue = simulation.aws.glue
    glue.add_run("etl", "stops", WorkerType="G.1X", NumberOfWorkers=10)
    glue.add_run("etl", "hangs", stopping_seconds=None)
    glue.add_run("etl", "fails", stops_as="FAILED")
    glue.add_run("etl", "finished", state="SUCCEEDED")
    glue.add_run("etl", "stopping", state="STOPPING")
    glue.add_run("etl", "dry-run")
    for job_name in ("etl-vip", "payroll", "denied"):
        glue.add_run(job_name, "refused")
    glue.add_run("etl-idle", "finished", state="SUCCEEDED")
    glue.add_run("etl-unreadable", "submitted")
    denied = Refused("AccessDeniedException", "not you")
    for operation in ("GetJobRun", "GetJobRuns"):
        simulation.aws.faults.add(
            denied, operation=operation, when=lambda call: call.parameters["JobName"] == "etl-unreadable"
        )
    simulation.aws.faults.add(
        denied, operation="BatchStopJobRun", when=lambda call: call.parameters["JobName"] == "denied"
    )


def _send_requests(simulation: SimulatedAws) -> None:
    simulation.request_stop(
        "etl", "stops", "hangs", "fails", "finished", "stopping", Reason="over budget", RequestedBy="me"
    )
    simulation.request_stop("etl", "dry-run", DryRun=True)
    simulation.request_stop("etl-unreadable", "submitted")
    simulation.request_stop("etl", "gone", "stops")
    simulation.request_stop("etl", *(f"jr_{number}" for number in range(21)))
    for job_name in ("etl-vip", "payroll", "denied"):
        simulation.request_stop(job_name, "refused")
    for body in ('{"JobName": "etl-idle", "Select": {}}', _IGNORED, "stop everything!"):
        simulation.put(body)
    simulation.confirm_queue.put(stop_request(""))


def _metrics(invocation: Invocation) -> set[Metric]:
    return {
        (directive["Namespace"], metric["Name"], frozenset((name, line[name]) for name in dimensions))
        for line in invocation.metrics
        for directive in line["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }
