"""The cost model names each line of the bill, by the template and by simulated invocations."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

import pytest

from gluebrake.telemetry import Telemetry
from infra.config import Config
from infra.costs import (
    DEFAULT_STACK,
    LOADS,
    OWN_CPU_SECONDS,
    OWN_CPU_SECONDS_OF_A_RUN,
    REQUESTS_A_DAY,
    Billed,
    Invocation,
    Line,
    Usage,
    batch,
    idle_month,
    own_seconds,
    total,
)
from tests.infra.conftest import Synthesise
from tests.infra.emitted import simulate_all_outcomes
from tests.infra.template import Template
from tests.support import simulated_aws
from tests.support.simulated_aws import SimulatedAws

DOCS: Final = Path(__file__).parents[2] / "docs"
TEXT: Final = " ".join((DOCS / "operations.md").read_text().split())
DECISION: Final = (DOCS / "decisions" / "0038-three-numbers-for-what-is-wrong.md").read_text()

MOST_USD_A_MONTH: Final = 2.50
MOST_USD_A_MILLION: Final = {"low-latency": 6.00, "high-volume": 2.50}


def _usage(profile: str) -> Usage:
    config = Config()
    return LOADS[profile].usage(memory_mb=config.memory_mb, calls_at_once=config.calls_at_once)


def _costs(lines: list[Line]) -> dict[str, str]:
    return {line.name: f"{line.usd:.2f}" for line in lines}


def test_the_counted_resources_are_those_of_the_template(template: Template) -> None:
    """Alarms are billed by the metrics that they read, and polls by the queues that functions consume."""
    assert Billed.of_template(template.body) == DEFAULT_STACK
    assert f"{DEFAULT_STACK.alarm_metrics} metrics" in DECISION


def test_a_dashboard_and_a_policy_are_counted(synthesised: Synthesise) -> None:
    """What a configuration adds is in the bill."""
    assert Billed.of_template(synthesised(dashboard=True).body) == DEFAULT_STACK._replace(dashboards=1)
    policy = {
        "name": "a",
        "jobs": ["*"],
        "maxMinutes": 9,
        "schedule": "rate(1 hour)",
        "maxRuns": 1,
        "reason": "b",
    }
    assert Billed.of_template(synthesised(policies=[policy]).body).mappings == DEFAULT_STACK.mappings + 1


def test_each_line_of_an_idle_month_is_named() -> None:
    """By default an idle stack costs the polls of its queues and its alarms, and within the target."""
    lines = idle_month(DEFAULT_STACK)
    assert _costs(lines) == {
        "SQS: five long polls of 20 seconds for each work queue": "0.52",
        "CloudWatch: metrics that alarms read": "1.80",
        "CloudWatch: dashboards": "0.00",
    }
    assert total(lines) <= MOST_USD_A_MONTH


@pytest.mark.parametrize(
    ("profile", "costs"),
    [
        ("low-latency", ["0.40", "1.80", "0.30", "0.84", "1.04", "1.00", "0.25", "0.20"]),
        ("high-volume", ["0.40", "0.08", "0.00", "0.01", "0.59", "1.00", "0.00", "0.20"]),
    ],
)
def test_each_line_of_a_million_requests_is_named(profile: str, costs: list[str]) -> None:
    """The bill has a line for each service that a request uses, and is within the target."""
    lines = _usage(profile).bill()
    names = [
        "SQS: producers, one message each",
        "SQS: receiving, deleting, sending to CONFIRM",
        "Lambda: invocations",
        "Lambda: GB-seconds on arm64",
        "CloudWatch: GB of logs",
        "EventBridge: outcome events",
        "SNS: notices",
        "CloudWatch: custom metrics of outcomes",
    ]
    assert _costs(lines) == dict(zip(names, costs, strict=True))
    assert total(lines) <= MOST_USD_A_MILLION[profile]


def test_tracing_is_a_line_of_its_own() -> None:
    """Each invocation has a trace, and the documents have its cost in both profiles."""
    usd = {}
    for profile in LOADS:
        *others, traces = _usage(profile).bill(tracing=True)
        assert (others, traces.name) == (_usage(profile).bill(), "X-Ray: traces")
        usd[profile] = traces.usd
    steady = f"{usd['low-latency']:.2f} USD at {REQUESTS_A_DAY:,} a day"
    assert f"{steady}, and {usd['high-volume']:.2f} USD for full batches." in TEXT


def _simulated(runs: int) -> list[simulated_aws.Invocation]:
    """Stop runs in one invocation, 25 of each job, and confirm them in another, without detailed metrics."""
    with SimulatedAws(batch_size=runs) as simulation:
        for service, dependencies in simulation.dependencies.items():
            telemetry = Telemetry(service, detailed=False)
            simulation.dependencies[service] = dataclasses.replace(dependencies, telemetry=telemetry)
        for number in range(runs):
            job_name, run_id = f"nightly-etl-{number // 25:02}", f"jr_{number:064x}"
            simulation.aws.glue.add_run(job_name, run_id, WorkerType="G.1X", NumberOfWorkers=10)
            simulation.request_stop(job_name, run_id, Reason="over budget", RequestedBy="guardrail/nightly")
        simulation.run()
        return simulation.invocations


def _without_counts(output: str) -> int:
    """Return the bytes of log lines, with metrics that count a single run."""
    lines = [re.sub(r'(?<=":)\[\d+\](?=[,}])', "[1]", line) for line in output.split("\n")]
    return sum(len(line.encode()) for line in lines)


def _measured(invocation: simulated_aws.Invocation, *glue: str) -> Invocation:
    return Invocation(
        log_bytes=_without_counts(invocation.output),
        glue_calls=sum(len(invocation.called(operation)) for operation in glue),
        sends=len(invocation.called("SendMessageBatch")),
        events_calls=len(invocation.called("PutEvents")),
        publications=len(invocation.called("Publish")),
    )


@pytest.mark.parametrize("runs", [1, 2, 10, 1000])
def test_invocations_are_those_of_the_simulation(runs: int) -> None:
    """Bytes of log lines and numbers of calls are those of the real handlers."""
    stop, confirm = _simulated(runs)
    assert _measured(stop, "BatchStopJobRun") == Invocation.of_stop(runs)
    assert _measured(confirm, "GetJobRuns", "GetJobRun") == Invocation.of_confirm(runs)


def test_a_poller_gathers_what_arrives_in_its_window() -> None:
    """A batch has a message at least, and no more than the mapping allows."""
    assert batch(1, size=10, window_seconds=300) == 1
    assert batch(86_400 * 5, size=10, window_seconds=7) == 7
    assert batch(86_400 * 5, size=10, window_seconds=11) == 10


def test_the_batches_are_those_of_the_default_mappings(template: Template) -> None:
    """The low-latency profile is the default configuration under a steady load."""
    stop, confirm = (
        template.only("AWS::Lambda::EventSourceMapping", function) for function in ("Stop", "Confirm")
    )
    gathered = [
        batch(REQUESTS_A_DAY, size=m["BatchSize"], window_seconds=m["MaximumBatchingWindowInSeconds"])
        for m in (stop, confirm)
    ]
    assert gathered == [LOADS["low-latency"].stop_batch, LOADS["low-latency"].confirm_batch]


def test_the_documents_have_what_the_dashboard_adds() -> None:
    """The page has the number of the custom metrics that only the dashboard shows, and their price."""
    shown = [name for _, _, dimensions in simulate_all_outcomes().metrics for name in dict(dimensions).values()]
    number = sum(name != "gluebrake" for name in shown)
    assert f"There are {number} custom metrics at 0.30 USD a month" in TEXT
    assert f"{0.30 * number:.2f} USD if every metric has data in every hour" in TEXT


def test_less_memory_makes_own_work_longer() -> None:
    """A function has one vCPU with 1,769 MB, less of one with less memory, and is no faster with more."""
    with_one_cpu = own_seconds(1_000, 1_769)
    assert with_one_cpu == OWN_CPU_SECONDS + 1_000 * OWN_CPU_SECONDS_OF_A_RUN
    assert own_seconds(1_000, 512) == pytest.approx(with_one_cpu * 1_769 / 512)
    assert own_seconds(1_000, 3_538) == with_one_cpu
