"""What the functions write to stdout, from a simulation in which every outcome occurs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

import boto3

from gluebrake import contract
from gluebrake.aws.job_reader import JobReader, Pace
from gluebrake.handlers import sweep
from gluebrake.lambda_event import Bookkeeping
from gluebrake.outcomes import outcomes_of
from gluebrake.stages import Queue
from gluebrake.telemetry import Telemetry
from tests.support.builders import limits
from tests.support.fakes.faults import Refused
from tests.support.simulated_aws import (
    CONFIRM,
    JOB_ARN_PREFIX,
    STOP,
    Context,
    Invocation,
    SimulatedAws,
    stop_request,
)
from tests.support.sweeps import Stopwatch, policy

Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name, dimensions."""

_IGNORED: Final = '{"detail-type": "Glue Job State Change", "source": "aws.glue", "id": "1", "detail": {}}'

_NOTICE: Final = json.dumps({"version": "1.0", "source": "custom", "metadata": {"eventType": contract.NOTICE}})


_BROKEN: Final[Any] = None
"""A dependency that leads to an exception."""


@dataclass(frozen=True)
class Emitted:
    """The metrics and the log lines of a simulation."""

    metrics: frozenset[Metric]
    lines: tuple[Mapping[str, Any], ...]

    @property
    def fields(self) -> set[str]:
        """The fields that occur in any line."""
        return {field for line in self.lines for field in line}


def simulate_all_outcomes(*, sweeps: bool = False) -> Emitted:
    """Simulate every outcome and malfunction of STOP and CONFIRM, and of SWEEP as well.

    Return what the functions write, with detailed metrics.
    """
    with SimulatedAws(
        jobs=["etl*", "denied"], protected_jobs=["etl-vip"], max_runs_per_request=20, calls_at_once=1
    ) as simulation:
        # The first invocation has time for one call, so it defers the rest.
        simulation.context = Context(lambda: 30.0 if simulation.invocations else 1.5)
        _add_runs(simulation)
        _send_requests(simulation)
        simulation.run()
        if sweeps:
            _sweep(simulation)
        invocations = [*simulation.invocations, *_malfunctions(sweeps=sweeps)]
    emitted = Emitted(
        metrics=frozenset(metric for invocation in invocations for metric in _metrics(invocation)),
        lines=tuple(line for invocation in invocations for line in invocation.lines),
    )
    stages = (STOP, CONFIRM, *(["sweep"] if sweeps else []))
    expected = {(stage, outcome) for stage in stages for outcome in outcomes_of(stage)}
    missing = expected - {(line["service"], line["outcome"]) for line in emitted.lines if "outcome" in line}
    assert not missing, f"outcomes that did not occur: {missing}"
    return emitted


def _add_runs(simulation: SimulatedAws) -> None:
    glue = simulation.aws.glue
    glue.add_run("etl", "stops", WorkerType="G.1X", NumberOfWorkers=10, Timeout=480)
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
    simulation.confirm_queue.put(_NOTICE)


def _malfunctions(*, sweeps: bool) -> list[Invocation]:
    """Invoke each function with AWS refusing its events and notices, and with an error in its own code."""
    with SimulatedAws(jobs=["etl"]) as simulation:
        refused = Refused("AccessDeniedException", "not you")
        for operation in ("PutEvents", "Publish"):
            simulation.aws.faults.add(refused, operation=operation)
        simulation.aws.glue.add_run("etl", "stops")
        simulation.request_stop("etl", "stops")
        simulation.request_stop("payroll", "refused")
        simulation.run()
        if sweeps:
            _sweep_with_malfunctions(simulation)
        for service, queue in ((STOP, simulation.stop_queue), (CONFIRM, simulation.confirm_queue)):
            simulation.dependencies[service] = replace(simulation.dependencies[service], glue=_BROKEN)
            queue.put(stop_request("etl", "stops"))
            simulation.deliver_due(service)
        return simulation.invocations


def _sweep_with_malfunctions(simulation: SimulatedAws) -> None:
    """Invoke SWEEP with a job that it cannot read and a policy over its cap, then with an error in its code."""
    due = simulation.clock()
    for number in range(2):
        simulation.aws.glue.add_run("etl", f"long-{number}", started_on=due - timedelta(hours=3))
    simulation.aws.glue.add_run("denied", "long", started_on=due - timedelta(hours=3))
    simulation.aws.faults.add(
        Refused("AccessDeniedException", "not you"),
        operation="GetJobRuns",
        when=lambda call: call.parameters["JobName"] == "denied",
    )
    dependencies = replace(
        _sweep_dependencies(simulation), policies=(policy(max_minutes=60, max_runs=1),), limits=limits()
    )
    for of_invocation in (dependencies, replace(dependencies, make_reader=_BROKEN)):
        queue = simulation.aws.sqs.add_queue("sweep")
        queue.put(f'{{"Policies": ["runaway"], "Due": "{due.isoformat()}"}}')
        simulation.functions["sweep"] = partial(sweep.handler, dependencies=of_invocation)
        simulation.invoke_directly("sweep", {"Records": queue.records()})


def _sweep(simulation: SimulatedAws) -> None:
    """Invoke SWEEP with a message for each of its outcomes, and with a policy that matches a run."""
    now = simulation.clock()
    simulation.aws.glue.add_run("etl", "long", started_on=now - timedelta(hours=3))
    queue = simulation.aws.sqs.add_queue("sweep")
    for name, due in (("runaway", now), ("runaway", now - timedelta(hours=1)), ("gone", now)):
        queue.put(f'{{"Policies": ["{name}"], "Due": "{due.isoformat()}"}}')
    queue.put("sweep!")
    simulation.functions["sweep"] = partial(sweep.handler, dependencies=_sweep_dependencies(simulation))
    simulation.invoke_directly("sweep", {"Records": queue.records()})


def _sweep_dependencies(simulation: SimulatedAws) -> sweep.SweepDependencies:
    stop, watch = simulation.dependencies[STOP], Stopwatch()
    pace = Pace(watch.seconds_left, watch.sleep, watch)
    client = boto3.client("glue", **simulation.aws.client_options)
    return sweep.SweepDependencies(
        aws_environment=stop.aws_environment,
        queues=stop.queues,
        event_bus=stop.event_bus,
        prices=stop.prices,
        notice_topic=stop.notice_topic,
        notify_on=stop.notify_on,
        telemetry=Telemetry("sweep"),
        retry_policy=stop.retry_policy,
        bookkeeping=Bookkeeping("sweep", 1, frozenset()),
        queue=Queue.SWEEP,
        clock=simulation.clock,
        policies=(policy(max_minutes=60),),
        signals={},
        limits=stop.limits,
        make_reader=lambda budget: JobReader(
            client, JOB_ARN_PREFIX, "gluebrake:protect", pace, pace, calls=budget.calls
        ),
        ids_in_a_message=25,
    )


def _metrics(invocation: Invocation) -> set[Metric]:
    return {
        (directive["Namespace"], metric["Name"], frozenset((name, line[name]) for name in dimensions))
        for line in invocation.all_metrics
        for directive in line["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }
