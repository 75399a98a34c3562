"""The runbook: what each alarm watches, what it means and what to do, most urgent first.

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
"""The heading of the documents under which each kind of problem has its row."""


class RunbookEntry(NamedTuple):
    """What an alarm watches, what it means that it fires, and the action to take.

    `exists` tells whether the stack of a configuration has the alarm.
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
        "`gluebrake status` names the kinds of the last hour, and the saved query `failures-by-reason` those of"
        " any time, with the job and the last error. What each kind means and what to do: the section"
        f' "{KINDS_HEADING}" of docs/operations.md.',
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
        f"Check that the event source mapping of the {function} function is enabled, and that the function"
        " neither fails nor is throttled. Under high load, raise `maxConcurrency`, `batchSize`"
        " and `batchWindowSeconds`."
    )


RUNBOOK: Final[Mapping[str, RunbookEntry]] = {
    Problem.RUNS_NOT_STOPPED: _count_of(
        Problem.RUNS_NOT_STOPPED,
        meaning="Runs are still running, though a stop request or a guardrail policy means them. Treat this as"
        " most urgent.",
    ),
    Problem.REQUESTS_REFUSED: _count_of(
        Problem.REQUESTS_REFUSED,
        meaning="Stop requests were refused. Their runs were not stopped, and their senders must correct them.",
    ),
    Problem.MALFUNCTIONS: _count_of(
        Problem.MALFUNCTIONS,
        meaning="Gluebrake failed at its own work: it raised an exception, lost events or notices, or did not"
        " apply policies in time or to every job. No outcome of a run is lost: the log and SQS have it.",
    ),
    "CanarySilent": RunbookEntry(
        "only with `canary`: `CanaryStopped`, the canary's runs that CONFIRM logs as `Stopped`. None within 1.5"
        " times the rate, in whole hours; missing data is breaching",
        "No run of the canary was confirmed STOPPED in time. Gluebrake may stop no other run either.",
        "Run `gluebrake verify`, which shows the step that fails. A stop that it confirms gives the alarm data."
        " `gluebrake doctor` shows whether the schedule is enabled. After `canary` is switched on, the alarm"
        " waits two hours for its first data.",
        exists=lambda config: config.canary_rate is not None,
    ),
    "SweepsMissing": _of_sweep(
        f"`{Count.SWEEPS_COMPLETED}` of SWEEP. None within two periods of the shortest `rate`, in whole hours"
        " and seven days at most; missing data is breaching. Only where a policy has a rate of 6 days or less",
        meaning="No sweep was completed in time. Guardrail policies neither report nor stop runs.",
        action="Check that the event source mapping of the SWEEP function and the schedules are enabled, and"
        " that the function neither fails nor is throttled. `gluebrake sweep POLICY` sweeps by hand. After a"
        " `rate` is first deployed, the alarm waits two hours for its first data.",
        exists=lambda config: config.sweep_hours > 0,
    ),
    "SweepRequestsLost": _of_sweep(
        "`InvocationDroppedCount` of the schedules, `NumberOfNotificationsFailed` of the policies' topics",
        meaning="A schedule, or a signal such as an alert of AWS Budgets, did not reach the sweep queue. Its"
        " policies neither reported nor stopped runs.",
        action="A queue policy or a role was changed. `gluebrake doctor` names it, with the command that"
        " repairs it. Then sweep by hand: `gluebrake sweep POLICY`.",
    ),
    "StopQueueStalls": RunbookEntry(
        "the age of the stop queue's oldest message: over the longest retry delay plus the visibility"
        " timeout, by default 500 s",
        "A stop request has waited longer than any configured delay explains: runs are not being stopped.",
        _check_consumer("STOP"),
    ),
    "ConfirmQueueStalls": RunbookEntry(
        "the age of the confirm queue's oldest message: over the longest delay between polls plus the"
        " visibility timeout, by default 490 s",
        "Glue was asked to stop runs, but CONFIRM does not check whether they have stopped.",
        _check_consumer("CONFIRM"),
    ),
    "DeadLettersArrive": RunbookEntry(
        "messages sent to the dead-letter queue, or its growth, in any of the last three periods: SQS does"
        " not count a message that it moves itself as sent",
        "There are new dead letters: runs that could not be stopped, or messages that could not be processed."
        " After a gap in the metrics of an idle queue, the alarm can fire again for dead letters that are not"
        " new.",
        "List them with `gluebrake dead-letters --by-reason`, which shows the meaning and the remedy of each"
        " error code. Fix the cause, then redrive or drop them.",
    ),
    "DeadLettersWait": RunbookEntry(
        "visible dead letters in each period of an hour. Without data it keeps its state, because SQS can stop"
        " reporting an idle queue after six hours",
        "Dead letters have been waiting for an hour. Their runs may still be running. SQS deletes a dead"
        " letter 14 days after it was sent. If SQS moved it there itself, 10 to 14 days are left, because its"
        " time in the work queue counts.",
        "List them with `gluebrake dead-letters`, then redrive or drop each of them.",
    ),
    "DeliveriesLost": RunbookEntry(
        "`DeadLetterErrors` of the functions, `InvocationsFailedToBeSentToDlq` of the rules,"
        " `NumberOfNotificationsFailedToRedriveToDlq` of the signal topic",
        "An event, a notification or an asynchronous invocation reached neither its target nor the"
        " dead-letter queue. It is lost, and the stop that it requested does not happen.",
        "A queue policy or a role was changed. `gluebrake doctor` names it, with the command that repairs it."
        " Then send the lost requests again.",
    ),
    "RecursionDropped": RunbookEntry(
        "`RecursiveInvocationsDropped` of the functions",
        "Lambda's recursive loop detection dropped retries. Their runs may still be running.",
        "`RecursiveLoop` of a function was changed to `Terminate`. Run the command that `gluebrake doctor`"
        " prints, then redrive the dead letters.",
    ),
    "FunctionErrors": RunbookEntry(
        "`Errors` of the functions",
        "A function crashed, timed out, ran out of memory, or could not send what a direct invocation"
        " requested.",
        "Read the log lines before the error, and the REPORT lines for duration and memory. Raise `memoryMb`"
        " or lower `batchSize`. SQS redelivers the messages; after five receives they become dead letters.",
    ),
    "FunctionThrottles": RunbookEntry(
        "`Throttles` of the functions",
        "Lambda has no concurrency left for a function. Messages wait; after five throttled receives they"
        " become dead letters.",
        "Raise the account's concurrency quota, or the function's reserved concurrency.",
    ),
}
"""Every alarm that a stack can have."""


def runbook(config: Config) -> dict[str, RunbookEntry]:
    """Return the entries of the alarms that the stack of a configuration has, in their order."""
    stages = [name for name, stage in STAGES.items() if config.policies or not stage.is_optional]
    watches = {problem.value: watched(problem, stages) for problem in Problem}
    return {
        name: entry._replace(watches=watches.get(name, entry.watches))
        for name, entry in RUNBOOK.items()
        if entry.exists(config)
    }
