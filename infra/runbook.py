"""The runbook: what each alarm watches, its meaning, and the action to take, most urgent first.

The alarms' descriptions and the table in docs/operations.md are made of these texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from gluebrake.metrics import Count
from gluebrake.problems import Problem
from gluebrake.stages import STAGES
from infra.config import Config
from infra.problem_kinds import watched

KINDS_HEADING: Final = "The kinds of problems"
"""The heading in docs/operations.md of the table with each kind of problem."""


class RunbookEntry(NamedTuple):
    """What an alarm watches, what it means when the alarm fires, and the action to take.

    `exists` returns whether a stack with this configuration has the alarm.
    """

    watches: str
    meaning: str
    action: str
    exists: Callable[[Config], bool] = lambda _: True


def _count_of(problem: Problem, *, meaning: str) -> RunbookEntry:
    """Return the entry of an alarm that counts every kind of a problem."""
    return RunbookEntry(
        watched(problem),
        meaning,
        f'`gluebrake status` names the kind: see "{KINDS_HEADING}" of docs/operations.md.',
    )


def _of_sweep(
    watches: str,
    *,
    meaning: str,
    action: str,
    exists: Callable[[Config], bool] = lambda config: bool(config.policies),
) -> RunbookEntry:
    """Return the entry of an alarm that only a stack with guardrail policies has."""
    return RunbookEntry(f"only with `policies`: {watches}", meaning, action, exists)


def _check_consumer(function: str) -> str:
    return (
        f"Fix what `gluebrake doctor` finds, or {function}'s errors and throttles. Under high load, raise"
        " `maxConcurrency`, `batchSize` and `batchWindowSeconds`."
    )


RUNBOOK: Final[Mapping[str, RunbookEntry]] = {
    Problem.RUNS_NOT_STOPPED: _count_of(
        Problem.RUNS_NOT_STOPPED,
        meaning="Most urgent: runs that should be stopped are still running. Stop urgent runs by hand.",
    ),
    Problem.REQUESTS_REFUSED: _count_of(
        Problem.REQUESTS_REFUSED,
        meaning="Stop requests were refused and stopped no run. Their senders must correct them.",
    ),
    Problem.MALFUNCTIONS: _count_of(
        Problem.MALFUNCTIONS,
        meaning="Gluebrake failed at its own work. No outcome of a run is lost: the log and SQS have it.",
    ),
    "CanarySilent": RunbookEntry(
        "only with `canary`: `CanaryStopped`, the canary's runs that CONFIRM logs as `Stopped`. None within 1.5"
        " times the rate, in whole hours; missing data is breaching",
        "No run of the canary was confirmed STOPPED in time. Gluebrake may stop no other run either.",
        "Run `gluebrake verify` and `gluebrake doctor`.",
        exists=lambda config: config.canary_rate is not None,
    ),
    "SweepsMissing": _of_sweep(
        f"`{Count.SWEEPS_COMPLETED}` of SWEEP. None within two periods of the shortest `rate`, in whole hours"
        " and seven days at most; missing data is breaching. Only where a policy has a rate of 6 days or less",
        meaning="No sweep was completed in time. Guardrail policies neither report nor stop runs.",
        action="Fix what `gluebrake doctor` and `gluebrake policies` find, or SWEEP's errors and throttles."
        " Sweep by hand: `gluebrake sweep POLICY`.",
        exists=lambda config: config.sweep_hours > 0,
    ),
    "SweepRequestsLost": _of_sweep(
        "`InvocationDroppedCount` of the schedules, `NumberOfNotificationsFailed` of the policies' topics",
        meaning="A schedule or a signal did not reach the sweep queue.",
        action="Fix what `gluebrake doctor` finds. Then sweep by hand: `gluebrake sweep POLICY`.",
    ),
    "StopQueueStalls": RunbookEntry(
        "the age of the stop queue's oldest message: over the longest retry delay plus the visibility"
        " timeout, by default 500 s",
        "Stop requests wait longer than any configured delay: runs are not being stopped.",
        _check_consumer("STOP"),
    ),
    "ConfirmQueueStalls": RunbookEntry(
        "the age of the confirm queue's oldest message: over the longest delay between polls plus the"
        " visibility timeout, by default 490 s",
        "CONFIRM does not check whether runs have stopped.",
        _check_consumer("CONFIRM"),
    ),
    "DeadLettersArrive": RunbookEntry(
        "messages sent to the dead-letter queue, or its growth, in any of the last three periods: SQS does"
        " not count a message that it moves itself as sent",
        "There are new dead letters, or old ones after a gap in the metrics.",
        "Do what `gluebrake dead-letters --by-reason` shows, then redrive or drop them.",
    ),
    "DeadLettersWait": RunbookEntry(
        "visible dead letters in each period of an hour. Without data it keeps its state, because SQS can stop"
        " reporting an idle queue after six hours",
        "Dead letters have waited for an hour. SQS deletes a dead letter 14 days after it was sent. If SQS"
        " moved it there itself, 10 to 14 days are left.",
        "Redrive or drop what `gluebrake dead-letters` lists.",
    ),
    "DeliveriesLost": RunbookEntry(
        "`DeadLetterErrors` of the functions, `InvocationsFailedToBeSentToDlq` of the rules,"
        " `NumberOfNotificationsFailedToRedriveToDlq` of the signal topic",
        "An event, a notification or an asynchronous invocation is lost, and so is the stop that it requested.",
        "Fix what `gluebrake doctor` finds. Then send the lost requests again.",
    ),
    "RecursionDropped": RunbookEntry(
        "`RecursiveInvocationsDropped` of the functions",
        "Lambda's recursive loop detection dropped retries. Their runs may still be running.",
        "Fix what `gluebrake doctor` finds. Then redrive the dead letters.",
    ),
    "FunctionErrors": RunbookEntry(
        "`Errors` of the functions",
        "A function crashed, timed out, ran out of memory, or could not send what a direct invocation"
        " requested.",
        "Read its log. Raise `memoryMb`, or lower `batchSize`. After five receives, messages become dead"
        " letters.",
    ),
    "FunctionThrottles": RunbookEntry(
        "`Throttles` of the functions",
        "Lambda has no concurrency left for a function. After five receives, messages become dead letters.",
        "Raise the account's concurrency quota, or the function's reserved concurrency.",
    ),
}
"""Every alarm that a stack can have."""


def runbook(config: Config) -> dict[str, RunbookEntry]:
    """Return the entries of the alarms that a stack with this configuration has, in the runbook's order."""
    stages = [name for name, stage in STAGES.items() if config.policies or not stage.is_optional]
    watches = {problem.value: watched(problem, stages) for problem in Problem}
    return {
        name: entry._replace(watches=watches.get(name, entry.watches))
        for name, entry in RUNBOOK.items()
        if entry.exists(config)
    }
