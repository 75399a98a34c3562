"""A line for each alarm, the most urgent first; docs/operations.md has them at length."""

from typing import Final, NamedTuple


class RunbookEntry(NamedTuple):
    """What it means that the alarm goes off, and what to do."""

    means: str
    do: str


RUNBOOK: Final = {
    "RunsFailed": RunbookEntry(
        "Runs could not be stopped and go on: no attempt is left, or no retry would mend the error.",
        "The saved query failures-by-reason has the error. Stop the runs by hand if they cannot wait. Mend the"
        " permission, or wait for Glue; then redrive the dead letters.",
    ),
    "StopTimedOut": RunbookEntry(
        "Glue took the stop, but the run had not stopped by the deadline: it hangs in STOPPING.",
        "Redrive the dead letter, since stopping again is the remedy. If the run hangs still, ask AWS Support.",
    ),
    "RequestsRefused": RunbookEntry(
        "Somebody asks for what cannot be done: it cannot be read, it means too many runs or a job outside"
        " `jobs`, or Glue does not know the run.",
        "The saved queries failures-by-reason and requests-by-sender tell what was asked, and by whom. Mend the"
        " sender; drop the dead letters, or redrive those that are right by now.",
    ),
    "StopQueueStalls": RunbookEntry(
        "A stop request has waited longer than any delay of ours explains: runs are not being stopped.",
        "Is the queue's mapping to the STOP function enabled? Does the function fail, or is it throttled? In"
        " a storm raise maxConcurrency, batchSize and batchWindowSeconds.",
    ),
    "ConfirmQueueStalls": RunbookEntry(
        "Runs were submitted for stopping, but nobody looks whether they have stopped.",
        "Is the queue's mapping to the CONFIRM function enabled? Does the function fail, or is it throttled? In"
        " a storm raise maxConcurrency, batchSize and batchWindowSeconds.",
    ),
    "DeadLettersArrive": RunbookEntry(
        "There are new dead letters: runs that could not be stopped, or messages that could not be used.",
        "Read them with `gluebrake dead-letters`; the runbook has a row for each ERROR_CODE. Mend the"
        " cause, then redrive or drop.",
    ),
    "DeadLettersWait": RunbookEntry(
        "Dead letters have lain for an hour. Their runs may go on, and after 14 days the letters are gone.",
        "Somebody must see to them: `gluebrake dead-letters`.",
    ),
    "DeliveriesLost": RunbookEntry(
        "An event, a notification or an asynchronous invocation reached neither its target nor the dead-letter"
        " queue: it is lost, and with it the stop that it asked for.",
        "Have CloudFormation detect drift: somebody changed a queue's policy or a role. Deploy again, and have"
        " sent again what was lost.",
    ),
    "RecursionDropped": RunbookEntry(
        "Lambda took our retries for an endless loop and dropped them: their runs may go on.",
        "Somebody set a function's RecursiveLoop back to Terminate. Deploy again, then redrive the letters.",
    ),
    "FunctionErrors": RunbookEntry(
        "A function crashed, ran out of time or memory, or could not send on what a caller asked for.",
        "Read the log before the error, and its REPORT lines for time and memory; raise memoryMb or lower"
        " batchSize. The messages come back; after five crashes they are dead letters.",
    ),
    "FunctionThrottles": RunbookEntry(
        "Lambda has no concurrency left for a function. Messages wait; turned away five times, they are dead"
        " letters.",
        "Raise the account's concurrency, or the function's reserved one.",
    ),
    "UnexpectedErrors": RunbookEntry(
        "Our code raised what nobody foresaw. Its messages come back, and end as dead letters.",
        "Read the traceback in the log (level ERROR). Go back to the version before, and report it.",
    ),
    "OutcomeEventsLost": RunbookEntry(
        "Final outcomes could not be published on the bus. No stop is touched, but who listens has not heard.",
        "The log has the error (OutcomeEventsLost) and every outcome. Is it the role, a quota, or EventBridge?",
    ),
}
