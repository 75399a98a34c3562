"""Measure how long an invocation takes, how much of that is own CPU, and how both grow with the messages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor

from benchmarks.aws_process import AwsProcess, aws_process
from benchmarks.function_process import (
    cpu_of_logger,
    function_process,
    invoke,
    invoke_with_stubs,
    own_cpu,
    own_cpu_of_series,
    peak_memory,
    replay,
)
from benchmarks.lambda_events import CONFIRM, STOP, one_run_requests, records
from benchmarks.measurements import (
    CALLS_PER_SECOND,
    GLUE_SECONDS,
    LINES_OF_LOGGER,
    ROUNDS,
    ROUNDS_OF_SERIES,
    SERIES,
    SIZES,
    Comparison,
    Measurements,
    Seconds,
)
from benchmarks.report import Report
from benchmarks.streams import distinct_runs
from benchmarks.throughput_report import report
from gluebrake.outcomes import NoticeKind
from gluebrake.settings import environment
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import REGION, TOPIC_ARN, FakeAws
from tests.support.fakes.exchange import Call
from tests.support.fakes.faults import Latency, RateLimit


def run(progress: Callable[[str], None]) -> Report:
    """Measure everything and compare it with the targets."""
    with aws_process() as aws:
        environ = aws.call(_set_up)
        with function_process(environ) as function:
            *comparisons, throttled = _comparisons(aws, function, progress)
            steps, logger = _own_cpu(function, progress)
            series = _series(function, progress)
        progress("memory")
        memory = [_memory(aws, environ) for _ in range(3)]
    return report(Measurements(comparisons, throttled, steps, logger, series, memory))


def _comparisons(
    aws: AwsProcess, function: ProcessPoolExecutor, progress: Callable[[str], None]
) -> list[Comparison]:
    comparisons = [*map(Comparison, SIZES), Comparison(1_000, CALLS_PER_SECOND)]
    for comparison in comparisons:
        _time_gluebrake(comparison, aws, function)  # records the calls to replay, and warms up
        comparison.gluebrake.clear()
        comparison.stopped.clear()
    for number in range(ROUNDS):
        for comparison in comparisons:
            progress(f"{comparison.messages:,} messages, round {number + 1} of {ROUNDS}")
            variants = (_time_gluebrake, _time_own_cpu, _time_bare)
            for measure in variants if number % 2 else reversed(variants):
                measure(comparison, aws, function)
    return comparisons


def _time_gluebrake(comparison: Comparison, aws: AwsProcess, function: ProcessPoolExecutor) -> None:
    aws.call(_reset, comparison.calls_per_second)
    comparison.gluebrake.append(function.submit(invoke, comparison.messages).result().elapsed)
    comparison.calls[:] = aws.call(_calls)
    comparison.stopped.append(aws.call(_stopped))


def _time_own_cpu(comparison: Comparison, _: AwsProcess, function: ProcessPoolExecutor) -> None:
    comparison.own_cpu.append(function.submit(invoke_with_stubs, comparison.messages).result().cpu)


def _time_bare(comparison: Comparison, aws: AwsProcess, function: ProcessPoolExecutor) -> None:
    aws.call(_reset, comparison.calls_per_second)
    comparison.bare.append(function.submit(replay, comparison.calls).result().elapsed)


def _own_cpu(
    function: ProcessPoolExecutor, progress: Callable[[str], None]
) -> tuple[dict[tuple[str, int], list[dict[str, float]]], dict[str, Seconds]]:
    """Return own CPU by step, and that of Logger for a line, each round of which follows the other's."""
    rounds: dict[tuple[str, int], list[dict[str, float]]] = {}
    logger: dict[str, Seconds] = {}
    for number in range(ROUNDS):
        progress(f"own CPU, round {number + 1} of {ROUNDS}")
        for service in (STOP, CONFIRM):
            for size in SIZES:
                rounds.setdefault((service, size), []).append(function.submit(own_cpu, service, size).result())
            seconds = function.submit(cpu_of_logger, service, LINES_OF_LOGGER).result()
            logger.setdefault(service, []).append(seconds / LINES_OF_LOGGER)
    return rounds, logger


def _series(function: ProcessPoolExecutor, progress: Callable[[str], None]) -> dict[int, Seconds]:
    series: dict[int, Seconds] = {}
    for number in range(ROUNDS_OF_SERIES):
        progress(f"own CPU of consecutive invocations, round {number + 1} of {ROUNDS_OF_SERIES}")
        for size in SERIES:
            series.setdefault(size, []).append(function.submit(own_cpu_of_series, size).result())
    return series


def _memory(aws: AwsProcess, environ: Mapping[str, str]) -> tuple[int, int]:
    aws.call(_reset, math.inf)
    event = json.dumps({"Records": list(records(STOP, one_run_requests(max(SIZES))))})
    with function_process(environ) as function:
        return function.submit(peak_memory, event).result()


def _set_up(aws: FakeAws) -> dict[str, str]:
    """Start every run that is named, and return the functions' environment."""
    for job_name, run_id in sorted({run for size in SIZES for run in distinct_runs(one_run_requests(size))}):
        aws.glue.add_run(job_name, run_id)
    urls = {f"{name}_queue_url": url for name, url in _add_queues(aws).items()}
    return {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "NO_PROXY": "127.0.0.1",
        **environment({**SETTINGS, **urls, "notice_topic_arn": TOPIC_ARN, "notify_on": tuple(NoticeKind)}),
    }


def _add_queues(aws: FakeAws) -> dict[str, str]:
    return {name: aws.sqs.add_queue(name).url for name in ("stop", "confirm", "dead_letter")}


def _reset(aws: FakeAws, calls_per_second: float) -> None:
    """Restore the state before the first call, with the given rate limit."""
    for run in aws.glue:
        run.become("RUNNING")
    _add_queues(aws)
    aws.calls.clear()
    aws.faults.clear()
    aws.faults.add(Latency(GLUE_SECONDS), operation="BatchStopJobRun")
    if math.isfinite(calls_per_second):
        limit = RateLimit(per_second=calls_per_second, burst=calls_per_second)
        aws.faults.add(limit, operation="BatchStopJobRun")


def _calls(aws: FakeAws) -> list[Call]:
    return list(aws.calls)


def _stopped(aws: FakeAws) -> int:
    return sum(run.state != "RUNNING" for run in aws.glue)
