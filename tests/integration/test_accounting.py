"""Whatever happens, each demand is accounted for: this is what all the rest is for."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from hypothesis import HealthCheck, given, settings

from gluebrake.model import Outcome
from tests.fakes.exchange import Json
from tests.integration.scenarios import CALM, FORBIDDEN_JOBS, MAX_RUNS, STORMY, Scenario, ScriptedWorld
from tests.integration.world import STOP, Delivery, Invocation

# More examples for a longer run: GLUEBRAKE_EXAMPLES=5000 pytest tests/integration/test_accounting.py
examples = settings(
    max_examples=int(os.environ.get("GLUEBRAKE_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

Key = tuple[str, str, bool]
"""Job name, run id, dry run."""

HANDED_ON: Final = {
    "StopSubmitted": "confirm",
    "AlreadyStopping": "confirm",
    "LookAgain": "confirm",
    "Retrying": "stop",
    "Deferred": "stop",
}
DEAD: Final = frozenset({"NotFound", "NotAllowed", "Failed", "StopTimedOut"})


@examples
@given(CALM)
def test_each_demand_has_one_outcome_and_one_end(scenario: Scenario) -> None:
    """While SQS takes all and delivers once, each demand has one outcome an invocation, and ends once."""
    with scenario.world() as world:
        _deliver(world, scenario)
        for invocation in world.invocations:
            assert invocation.failures == []
            _check_outcomes(invocation)
            _check_messages(invocation)
        _check_that_all_ended_once(world, scenario)
        _check_that_all_was_asked(world, scenario)
        _check_events(world)


@examples
@given(STORMY)
def test_each_demand_has_an_end_whatever_happens(scenario: Scenario) -> None:
    """Through failed sends, crashes and redeliveries each demand ends, and only what must comes back."""
    with scenario.world() as world:
        _deliver(world, scenario)
        for index, invocation in enumerate(world.invocations):
            _check_failures(invocation, [(url, entry) for at, url, entry in world.untaken if at == index])
            assert invocation.counts["UnexpectedErrors"] == 0
        _check_that_all_ended(world, scenario)
        _check_that_all_was_asked(world, scenario)
        _check_events(world)


def _check_that_all_ended_once(world: ScriptedWorld, scenario: Scenario) -> None:
    """Expect one end of each demand; a demand that came in several invocations may end once for each."""
    ends = Counter(_key(line) for line in _demands(world.invocations) if line["outcome"] not in HANDED_ON)
    asked = Counter(key for body in scenario.bodies for key in _keys(body))
    assert set(ends) == set(asked)
    assert not ends - asked
    if scenario.at_once:
        assert set(ends.values()) <= {1}
    assert not world.moved


def _check_that_all_ended(world: ScriptedWorld, scenario: Scenario) -> None:
    """Expect an end of each demand, or its message where SQS moved it; dead letters are where they belong."""
    moved = {key for delivery in world.moved for key in _keys(delivery.message.body)}
    ends = {_key(line) for line in _demands(world.invocations) if _is_end(line)}
    assert ends | moved == {key for body in scenario.bodies for key in _keys(body)}
    dead = [message.body for message in world.dead_letter_queue]
    # A message that names too many runs for a dry run is only logged.
    assert {body for body in scenario.bodies if _request(body) is None and "DryRun" not in body} <= set(dead)
    buried = {_key(line) for line in _demands(world.invocations) if _is_end(line) and _is_dead(line)}
    assert buried <= {key for body in dead for key in _keys(body)}


def _check_that_all_was_asked(world: ScriptedWorld, scenario: Scenario) -> None:
    """Expect each id in each stop call to have been asked for in earnest, and each call to be a good one."""
    asked = {key for body in scenario.bodies for key in _keys(body)}
    for job_name, run_ids in world.stop_calls():
        assert job_name not in FORBIDDEN_JOBS
        assert {(job_name, run_id, False) for run_id in run_ids} <= asked
        assert 1 <= len(run_ids) == len(set(run_ids)) <= 25
    rehearsed = {key for message in world.dead_letter_queue for key in _keys(message.body) if key[2]}
    assert rehearsed <= {key for delivery in world.moved for key in _keys(delivery.message.body)}


def _check_events(world: ScriptedWorld) -> None:
    """Expect an event for each outcome that is final, but for those that are counted as lost; and no other."""
    lines = [line for invocation in world.invocations for line in invocation.outcomes]
    ends = [line for line in lines if _is_end(line) and line["job_name"]]
    told = Counter((line["job_name"], line.get("job_run_id"), line["outcome"]) for line in ends)
    published = Counter(
        (event["jobName"], event.get("jobRunId"), event["outcome"]) for event in world.aws.events.details
    )
    assert not published - told
    assert (told - published).total() <= world.counts["OutcomeEventsLost"] <= told.total()


def _deliver(world: ScriptedWorld, scenario: Scenario) -> None:
    """Have the messages delivered, some of them not for the first time, and all that follows."""
    for body in scenario.bodies:
        world.put(body)
        world.clock.advance(0.001)
    counts = [*scenario.receive_counts, *[1] * len(scenario.bodies)]
    deliveries = [Delivery(m, count) for m, count in zip(world.stop_queue.take(), counts, strict=False)]
    for start in range(0, len(deliveries), world.batch_size):
        world.deliver(STOP, deliveries[start : start + world.batch_size])
    world.run()


def _check_outcomes(invocation: Invocation) -> None:
    """Hold the log against what was delivered, against what was sent and against the metrics."""
    outcomes = {_key(line): line["outcome"] for line in _demands([invocation])}
    assert Counter(_key(line) for line in _demands([invocation])) == Counter(_delivered(invocation))
    onward = {key: HANDED_ON[outcome] for key, outcome in outcomes.items() if outcome in HANDED_ON}
    dead = {key: "dead-letter" for key, outcome in outcomes.items() if outcome in DEAD and not key[2]}
    sent = Counter((key, queue) for queue, entry in _sent(invocation) for key in _keys_of(entry))
    assert sent == Counter((onward | dead).items())
    logged = Counter(line["outcome"] for line in invocation.outcomes)
    assert logged == {name: n for name, n in invocation.counts.items() if name in list(Outcome)}


def _check_messages(invocation: Invocation) -> None:
    """Expect each message that cannot be used among the dead letters, once and as it was."""
    unusable = [d.message.body for d in invocation.deliveries if _request(d.message.body) is None]
    verbatim = [e["MessageBody"] for _, e in _sent(invocation) if _is_verbatim(e)]
    assert Counter(verbatim) == Counter(body for body in unusable if "DryRun" not in body)
    of_messages = [line for line in invocation.outcomes if "job_run_id" not in line]
    assert len(of_messages) == len(unusable)


def _check_failures(invocation: Invocation, untaken: Sequence[tuple[str, Json]]) -> None:
    failures = set(invocation.failures)
    assert len(failures) == len(invocation.failures)
    failed = {key for _, entry in untaken for key in _keys_of(entry)}
    verbatim = Counter(entry["MessageBody"] for _, entry in untaken if _is_verbatim(entry))
    behind = {d.message_id for d in invocation.deliveries if failed & _keys(d.message.body)}
    unusable = [d for d in invocation.deliveries if _request(d.message.body) is None]
    assert failures - {d.message_id for d in unusable} <= behind
    assert Counter(d.message.body for d in unusable if d.message_id in failures) == verbatim
    # Suspects are worked on their own: what failed for one of them did not for the others that name the run.
    if all(delivery.receive_count < 3 for delivery in invocation.deliveries):
        assert behind <= failures
    reached = {k for d in invocation.deliveries if d.message_id in failures for k in _keys(d.message.body)}
    assert failed <= reached


def _sent(invocation: Invocation) -> list[tuple[str, Json]]:
    calls = invocation.called("SendMessageBatch")
    return [(call["QueueUrl"].rpartition("/")[2], entry) for call in calls for entry in call["Entries"]]


def _is_verbatim(entry: Json) -> bool:
    code = entry["MessageAttributes"].get("ERROR_CODE", {}).get("StringValue")
    return code in {"InvalidRequest", "TooManyRuns"}


def _keys_of(entry: Json) -> set[Key]:
    return set() if _is_verbatim(entry) else _keys(entry["MessageBody"])


def _delivered(invocation: Invocation) -> set[Key]:
    return {key for delivery in invocation.deliveries for key in _keys(delivery.message.body)}


def _demands(invocations: Iterable[Invocation]) -> list[Json]:
    return [line for invocation in invocations for line in invocation.outcomes if "job_run_id" in line]


def _key(line: Json) -> Key:
    return line["job_name"], line["job_run_id"], line["dry_run"]


def _is_end(line: Json) -> bool:
    return line["outcome"] not in HANDED_ON and not line["comes_back"]


def _is_dead(line: Json) -> bool:
    return line["outcome"] in DEAD and not line["dry_run"]


def _keys(body: str) -> set[Key]:
    """Which demands a message means."""
    request = _request(body)
    if request is None:
        return set()
    job_name, dry_run = request["JobName"], request.get("DryRun", False)
    return {(job_name, run_id, dry_run) for run_id in request["JobRunIds"]}


def _request(body: str) -> Json | None:
    """Read a message as a person would; None when it cannot be used."""
    try:
        request: Any = json.loads(body)
    except ValueError:
        return None
    if isinstance(request, dict):
        request = request.get("detail", request)
    if "JobRunIds" not in request or len(set(request["JobRunIds"])) > MAX_RUNS:
        return None
    return dict(request)
