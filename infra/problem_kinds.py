"""The kinds of problems that an alarm counts, and explanations of kinds that leave no dead letter.

The table in docs/operations.md is made of these texts, and of `gluebrake_cli.reasons` for the other kinds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from gluebrake.metrics import Count
from gluebrake.outcomes import OUTCOMES, Outcome
from gluebrake.problems import KINDS, Problem
from gluebrake.stages import STAGES

WITHOUT_DEAD_LETTERS: Final[Mapping[Outcome | Count, str]] = {
    Count.POLICY_OVER_CAP: "A guardrail policy matches more runs than its `maxRuns`, so it stopped none."
    " `gluebrake sweep POLICY --stop` stops them by hand. Narrow the policy, or raise its `maxRuns`.",
    Count.UNEXPECTED_ERRORS: "Read the traceback of the exception in the log. Deploy the previous version, and"
    " report the exception.",
    Count.OUTCOME_EVENTS_LOST: "The event bus did not accept outcomes. The log has them, and the error. Check"
    " the function's role and the PutEvents quota.",
    Count.NOTICES_LOST: "The topic `NoticeTopicArn` did not accept notices. Check the function's role and the"
    " topic's policy.",
    Count.SWEEP_INCOMPLETE: "A sweep could not read every job, and neither reported nor stopped runs of the"
    " others. The log has the errors and the jobs. Sweep by hand: `gluebrake sweep POLICY`. If it happens"
    " often, narrow the policies' `jobs`.",
    Outcome.SWEEP_LATE: "A message arrived more than 15 minutes after its schedule, or six hours after its"
    " signal. It started no sweep. See `SweepsMissing`.",
}
"""The meaning of each kind of problem that leaves no dead letter, and the action to take."""


def watched(problem: Problem, stages: Collection[str] = STAGES) -> str:
    """Return the kinds of problems that an alarm counts, in words, with the stages at which each occurs."""
    by_stages: dict[str, list[str]] = {}
    for kind in KINDS[problem]:
        if at := ", ".join(stage.upper() for stage in _stages(kind) if stage in stages):
            by_stages.setdefault(at, []).append(f"`{kind}`")
    return "; ".join(f"{', '.join(kinds)} at {at}" for at, kinds in by_stages.items())


_OF_SWEEP: Final = frozenset({Count.POLICY_OVER_CAP, Count.SWEEP_INCOMPLETE})


def _stages(kind: Outcome | Count) -> Collection[str]:
    """Return the stages at which a kind of problem can occur."""
    if isinstance(kind, Outcome):
        return OUTCOMES[kind].stages
    return ("sweep",) if kind in _OF_SWEEP else STAGES
