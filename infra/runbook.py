"""The runbook: what each alarm watches, what it means and what to do, most urgent first.

The alarms' descriptions and the table in docs/operations.md are made of these texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from gluebrake.metrics import Count
from gluebrake.outcomes import OUTCOMES, Outcome
from gluebrake.stages import STAGES
from infra.config import Config


class RunbookEntry(NamedTuple):
    """What an alarm watches, what it means that it fires, and the action to take.

    `outcomes` are the outcomes that it counts, if it counts any. `exists` tells whether the stack of a
    configuration has the alarm.
    """

    watches: str
    meaning: str
    action: str
    outcomes: tuple[Outcome, ...] = ()
    exists: Callable[[Config], bool] = lambda _: True


def _count_of(*outcomes: Outcome, meaning: str, action: str) -> RunbookEntry:
    """Return the entry of an alarm that counts the outcomes, at each stage that decides them."""
    by_stage = {stage: [o for o in outcomes if stage in OUTCOMES[o].stages] for stage in STAGES}
    watches = [
        f"{', '.join(f'`{outcome}`' for outcome in decided)} at {stage.upper()}"
        for stage, decided in by_stage.items()
        if decided
    ]
    return RunbookEntry("; ".join(watches), meaning, action, outcomes)


def _of_sweep(
    watches: str,
    *,
    meaning: str,
    action: str,
    outcomes: tuple[Outcome, ...] = (),
    exists: Callable[[Config], bool] = lambda config: bool(config.policies),
) -> RunbookEntry:
    """Return the entry of an alarm that only a stack with guardrail policies has."""
    return RunbookEntry(f"only with `policies`: {watches}", meaning, action, outcomes, exists)


def _check_consumer(function: str) -> str:
    return (
        f"Check that the event source mapping of the {function} function is enabled, and that the function"
        " neither fails nor is throttled. Under high load, raise `maxConcurrency`, `batchSize`"
        " and `batchWindowSeconds`."
    )


RUNBOOK: Final[Mapping[str, RunbookEntry]] = {
    "RunsFailed": _count_of(
        Outcome.FAILED,
        meaning="Runs could not be stopped and are still running: retries are exhausted, or the error is not"
        " retryable. Treat this as most urgent.",
        action="The saved query `failures-by-reason` shows the error. Stop urgent runs by hand. Fix the"
        " permission, or wait until Glue recovers, then redrive the dead letters.",
    ),
    "StopTimedOut": _count_of(
        Outcome.STOP_TIMED_OUT,
        Outcome.UNCONFIRMED,
        meaning="Glue accepted the stop, but after `confirmDeadlineSeconds` the run had not stopped, or its"
        " state could not be read for twice as long. The run may still cost money, and it counts towards the"
        " job's concurrency.",
        action="Fix what denies or fails the reads, if the dead letter has such an error. Then redrive it,"
        " which stops the run again. If the run stays stuck in STOPPING, contact AWS Support.",
    ),
    "PolicyOverCap": _of_sweep(
        f"`{Count.POLICY_OVER_CAP}` of SWEEP",
        meaning="A guardrail policy would stop more runs than its `maxRuns`, so it stopped none. They are still"
        " running.",
        action="The log line `SweepReport` with `overCap` names the policy. `gluebrake sweep POLICY` shows its"
        " runs, and `gluebrake sweep POLICY --stop` stops them. If the policy means too many runs, narrow it."
        " Else raise its `maxRuns`.",
    ),
    "RequestsRefused": _count_of(
        Outcome.INVALID_REQUEST,
        Outcome.TOO_MANY_RUNS,
        Outcome.NOT_ALLOWED,
        Outcome.NOT_FOUND,
        meaning="Stop requests were refused. They are invalid, exceed `maxRunsPerRequest`, name a job that"
        " `jobs` does not allow, or name a job or run that Glue does not know.",
        action="The saved queries `failures-by-reason` and `requests-by-sender` show what was requested and"
        " who sent it. Fix the sender. Drop the dead letters, or redrive those that are valid now.",
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
    "SweepIncomplete": _of_sweep(
        f"`{Count.SWEEP_INCOMPLETE}` of SWEEP",
        meaning="A sweep could not read every job: Glue throttled or failed calls, or the time was not enough."
        " Runs of the other jobs were neither reported nor stopped. The next sweep reads the jobs in another"
        " order.",
        action="The log line `SweepIncomplete` has the errors and the jobs. `gluebrake sweep POLICY` sweeps by"
        " hand. If it happens often, give the policies narrower `jobs` or `tags`, or schedules at other times.",
    ),
    "SweepsLate": _of_sweep(
        f"`{Outcome.SWEEP_LATE}` at SWEEP",
        meaning="A sweep did not take place: its message arrived more than 15 minutes after the due time of a"
        " schedule, or more than six hours after a signal.",
        action="Check that the event source mapping of the SWEEP function is enabled, and that the function"
        " neither fails nor is throttled. `gluebrake sweep POLICY` sweeps by hand.",
        outcomes=(Outcome.SWEEP_LATE,),
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
    "UnexpectedErrors": RunbookEntry(
        "`UnexpectedErrors` of the functions",
        "Gluebrake raised an unhandled exception. SQS redelivers the messages; after five receives they"
        " become dead letters.",
        "Read the traceback in the log (level ERROR). Deploy the previous version, and report the exception.",
    ),
    "OutcomeEventsLost": RunbookEntry(
        "`OutcomeEventsLost` of the functions",
        "Final outcomes could not be published on the event bus. Stops are not affected, but subscribers do"
        " not receive these outcomes.",
        "The log line `OutcomeEventsLost` has the error code, and the log has every outcome. Check the"
        " function's role, the PutEvents quota and the health of EventBridge.",
    ),
    "NoticesLost": RunbookEntry(
        f"unless `notifyOn` is empty: `{Count.NOTICES_LOST}` of the functions",
        "Notices could not be published. Stops are not affected, but no subscriber knows what was stopped,"
        " what could not be stopped, or what policies found.",
        "The log line `NoticesLost` has the error code. `gluebrake history` and the dashboard show what was"
        " stopped. Check the function's role, the policy of the topic `NoticeTopicArn` and the health of SNS.",
        exists=lambda config: bool(config.notify_on),
    ),
}
"""Every alarm that a stack can have."""


def runbook(config: Config) -> dict[str, RunbookEntry]:
    """Return the entries of the alarms that the stack of a configuration has, in their order."""
    return {name: entry for name, entry in RUNBOOK.items() if entry.exists(config)}
