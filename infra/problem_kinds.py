"""What each kind of problem means and what to do. The table in docs/operations.md is made of these texts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from gluebrake.metrics import Count
from gluebrake.outcomes import OUTCOMES, Outcome
from gluebrake.problems import KINDS, PROBLEM_OF, Problem
from gluebrake.stages import STAGES


class KindEntry(NamedTuple):
    """Kinds of problems that mean the same, and the action to take."""

    kinds: tuple[Outcome | Count, ...]
    meaning: str
    action: str

    @property
    def problem(self) -> Problem:
        """The problem that counts the kinds, which is the name of its alarm."""
        return PROBLEM_OF[self.kinds[0]]


PROBLEM_KINDS: Final = (
    KindEntry(
        (Outcome.FAILED,),
        "Runs could not be stopped and are still running: retries are exhausted, or the error is not"
        " retryable. Treat this as most urgent.",
        "The saved query `failures-by-reason` shows the error. Stop urgent runs by hand. Fix the permission,"
        " or wait until Glue recovers, then redrive the dead letters.",
    ),
    KindEntry(
        (Outcome.STOP_TIMED_OUT, Outcome.UNCONFIRMED),
        "Glue accepted the stop, but after `confirmDeadlineSeconds` the run had not stopped, or its state"
        " could not be read for twice as long. The run may still cost money, and it counts towards the job's"
        " concurrency.",
        "Fix what denies or fails the reads, if the dead letter has such an error. Then redrive it, which"
        " stops the run again. If the run stays stuck in STOPPING, contact AWS Support.",
    ),
    KindEntry(
        (Count.POLICY_OVER_CAP,),
        "A guardrail policy would stop more runs than its `maxRuns`, so it stopped none. They are still"
        " running.",
        "The log line `PolicyOverCap` names the policy. `gluebrake sweep POLICY` shows its runs, and"
        " `gluebrake sweep POLICY --stop` stops them. If the policy means too many runs, narrow it. Else"
        " raise its `maxRuns`.",
    ),
    KindEntry(
        KINDS[Problem.REQUESTS_REFUSED],
        "Stop requests were refused. They are invalid, exceed `maxRunsPerRequest`, name a job that `jobs`"
        " does not allow, or name a job or run that Glue does not know.",
        "The saved queries `failures-by-reason` and `requests-by-sender` show what was requested and who sent"
        " it. Fix the sender. Drop the dead letters, or redrive those that are valid now.",
    ),
    KindEntry(
        (Count.UNEXPECTED_ERRORS,),
        "Gluebrake raised an unhandled exception. SQS redelivers the messages; after five receives they"
        " become dead letters.",
        "Read the traceback in the log (level ERROR). Deploy the previous version, and report the exception.",
    ),
    KindEntry(
        (Count.OUTCOME_EVENTS_LOST,),
        "Final outcomes could not be published on the event bus. Stops are not affected, but subscribers do"
        " not receive these outcomes.",
        "The log line `OutcomeEventsLost` has the error code, and the log has every outcome. Check the"
        " function's role, the PutEvents quota and the health of EventBridge.",
    ),
    KindEntry(
        (Count.NOTICES_LOST,),
        "Notices could not be published. Stops are not affected, but no subscriber knows what was stopped,"
        " what could not be stopped, or what policies found.",
        "The log line `NoticesLost` has the error code. `gluebrake history` shows what was stopped. Check the"
        " function's role, the policy of the topic `NoticeTopicArn` and the health of SNS.",
    ),
    KindEntry(
        (Count.SWEEP_INCOMPLETE,),
        "A sweep could not read every job: Glue throttled or failed calls, or the time was not enough. Runs"
        " of the other jobs were neither reported nor stopped. The next sweep reads the jobs in another order.",
        "The log line `SweepIncomplete` has the errors and the jobs. `gluebrake sweep POLICY` sweeps by hand."
        " If it happens often, give the policies narrower `jobs` or `tags`, or schedules at other times.",
    ),
    KindEntry(
        (Outcome.SWEEP_LATE,),
        "A sweep did not take place: its message arrived more than 15 minutes after the due time of a"
        " schedule, or more than six hours after a signal.",
        "Check that the event source mapping of the SWEEP function is enabled, and that the function neither"
        " fails nor is throttled. `gluebrake sweep POLICY` sweeps by hand.",
    ),
)
"""Every kind of problem that an alarm counts, by the problems and with the most urgent first."""


def watched(problem: Problem, stages: Collection[str] = STAGES) -> str:
    """Return what a problem's alarm counts, in words: the kinds, each with those of the stages that have it."""
    by_stages: dict[str, list[str]] = {}
    for kind in KINDS[problem]:
        if at := ", ".join(stage.upper() for stage in _stages(kind) if stage in stages):
            by_stages.setdefault(at, []).append(f"`{kind}`")
    return "; ".join(f"{', '.join(kinds)} at {at}" for at, kinds in by_stages.items())


_OF_SWEEP: Final = frozenset({Count.POLICY_OVER_CAP, Count.SWEEP_INCOMPLETE})


def _stages(kind: Outcome | Count) -> Collection[str]:
    """Return at which stages a kind can occur."""
    if isinstance(kind, Outcome):
        return OUTCOMES[kind].stages
    return ("sweep",) if kind in _OF_SWEEP else STAGES
