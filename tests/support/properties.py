"""What must hold for a scenario: for each invocation, and from the first message to the last."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from gluebrake.outcomes import Outcome
from tests.support.fakes.exchange import Json
from tests.support.fakes.sqs import Message
from tests.support.invariants import (
    FAILURES,
    NEXT_QUEUE,
    Evidence,
    TargetKey,
    is_final,
    is_original_message,
    key_of,
    repeated_ends,
    violations,
)
from tests.support.scenarios import FORBIDDEN_JOBS, MAX_RUNS, Scenario
from tests.support.scripted_aws import ScriptedAws
from tests.support.selections import RunFacts, SentSelection
from tests.support.simulated_aws import STOP, Delivery, Invocation, SimulatedAws

_STOPPABLE: Final = frozenset({"STARTING", "RUNNING", "WAITING"})


def check_exactly_once(scenario: Scenario) -> None:
    """Expect one outcome of each target in an invocation, and one final outcome, while SQS is reliable."""
    with scenario.simulation() as simulation:
        _deliver(simulation, scenario)
        evidence = evidence_of(simulation, scenario.bodies)
        for invocation in simulation.invocations:
            assert invocation.failures == []
            _check_outcomes(invocation, evidence)
            _check_messages(invocation, evidence)
        assert violations(evidence) + repeated_ends(evidence) + event_violations(simulation) == []
        assert not scenario.one_invocation or set(evidence.ends.values()) <= {1}
        _check_that_no_forbidden_job_was_called(simulation)
        assert not simulation.moved


def check_at_least_once(scenario: Scenario) -> None:
    """Expect a final outcome of each target, and no needless redelivery, through every kind of failure."""
    with scenario.simulation() as simulation:
        _deliver(simulation, scenario)
        evidence = evidence_of(simulation, scenario.bodies)
        for index, invocation in enumerate(simulation.invocations):
            unaccepted = [(url, entry) for at, url, entry in simulation.unaccepted if at == index]
            _check_failures(invocation, unaccepted, evidence)
            assert invocation.counts["UnexpectedErrors"] == 0
        assert violations(evidence) + event_violations(simulation) == []
        _check_that_no_forbidden_job_was_called(simulation)


def check_with_selections(scenario: Scenario) -> None:
    """Expect an end of each run that is named or that a selection submitted, and no stop of a younger run."""
    with scenario.simulation() as simulation:
        messages = {delivery.message_id: delivery.message for delivery in _deliver(simulation, scenario)}
        selections = [SentSelection.parse(m.body, _milliseconds(m)) for m in messages.values()]
        evidence = evidence_of(simulation, scenario.bodies, scenario.max_runs, list(filter(None, selections)))
        assert simulation.counts["UnexpectedErrors"] == 0
        assert violations(evidence) == []
        # A killed function counts no lost event.
        lost = [text for text in event_violations(simulation) if not scenario.kills or "invented" in text]
        assert lost == []
        _check_that_no_forbidden_job_was_called(simulation)


def check_observing(scenario: Scenario) -> None:
    """Expect that a function that only observes stops nothing, and sends dry runs and unreadable messages."""
    simulation = scenario.simulation()
    simulation.observe = True
    with simulation:
        _deliver(simulation, scenario)
        assert simulation.counts["UnexpectedErrors"] == 0
        assert simulation.stop_calls() == []
        sent = [pair for invocation in simulation.invocations for pair in _sent(invocation)]
        for queue, entry in sent:
            is_dead_letter = queue == "dead-letter" and _code(entry) == "InvalidRequest"
            assert is_dead_letter or (queue == "stop" and json.loads(entry["MessageBody"])["DryRun"] is True)
        for line in (line for invocation in simulation.invocations for line in invocation.outcomes):
            assert line["observe"] is True
            assert line["dry_run"] or line["outcome"] == "InvalidRequest"


def evidence_of(
    simulation: SimulatedAws,
    bodies: Sequence[str],
    max_runs: int = MAX_RUNS,
    selections: Sequence[SentSelection] = (),
) -> Evidence:
    """Collect what a simulation knows about the results of the messages."""
    return Evidence(
        bodies=bodies,
        lines=[line for invocation in simulation.invocations for line in invocation.outcomes],
        dead_letters=[(message.body, message.attributes) for message in simulation.dead_letter_queue],
        stop_calls=simulation.aws.requests("BatchStopJobRun"),
        max_runs=max_runs,
        events=simulation.aws.events.details,
        undelivered=len(simulation.stop_queue) + len(simulation.confirm_queue),
        selections=selections,
        runs={
            (run.job_name, run.run_id): RunFacts(
                run.started_on, run.details.get("Arguments", {}), run.details.get("PreviousRunId", "")
            )
            for run in simulation.aws.glue
        },
        active=[(run.job_name, run.run_id) for run in simulation.aws.glue if run.state in _STOPPABLE],
    )


def event_violations(simulation: SimulatedAws) -> list[str]:
    """Return the events without a log line, and whether lost events are missing from their metric."""
    lines = [line for invocation in simulation.invocations for line in invocation.outcomes]
    ends = [line for line in lines if is_final(line) and line["job_name"]]
    logged = Counter((line["job_name"], line.get("job_run_id"), line["outcome"]) for line in ends)
    published = Counter(
        (event["jobName"], event.get("jobRunId"), event["outcome"]) for event in simulation.aws.events.details
    )
    missing, lost = (logged - published).total(), simulation.counts["OutcomeEventsLost"]
    is_counted = missing <= lost <= logged.total()
    return [
        *(f"invented as an event: {event}" for event in published - logged),
        *([] if is_counted else [f"{missing} outcomes not published, {lost} counted"]),
    ]


def _check_that_no_forbidden_job_was_called(simulation: SimulatedAws) -> None:
    assert {job_name for job_name, _ in simulation.stop_calls()}.isdisjoint(FORBIDDEN_JOBS)


def _milliseconds(message: Message) -> datetime:
    """Return when SQS says that the message was sent."""
    return message.sent_at.replace(microsecond=message.sent_at.microsecond // 1000 * 1000)


def _deliver(simulation: ScriptedAws, scenario: Scenario) -> list[Delivery]:
    """Send the messages, deliver them as the scenario defines, and run the simulation to its end."""
    for body in scenario.bodies:
        simulation.put(body)
        simulation.clock.advance(0.001)
    deliveries = scenario.deliveries(simulation.stop_queue.take())
    for start in range(0, len(deliveries), simulation.batch_size):
        simulation.deliver(STOP, deliveries[start : start + simulation.batch_size])
    simulation.run()
    return deliveries


def _check_outcomes(invocation: Invocation, evidence: Evidence) -> None:
    """Compare the log with the delivered messages, the sent messages and the metrics."""
    lines = _lines_of_runs([invocation])
    outcomes = {key_of(line): line["outcome"] for line in lines}
    assert Counter(key_of(line) for line in lines) == Counter(_delivered(invocation, evidence))
    forwarded = {key: NEXT_QUEUE[outcome] for key, outcome in outcomes.items() if outcome in NEXT_QUEUE}
    failed = {key: "dead-letter" for key, outcome in outcomes.items() if outcome in FAILURES and not key[2]}
    sent = Counter((key, queue) for queue, entry in _sent(invocation) for key in _keys_of(entry, evidence))
    assert sent == Counter((forwarded | failed).items())
    logged = Counter(line["outcome"] for line in invocation.outcomes)
    assert logged == {name: n for name, n in invocation.counts.items() if name in list(Outcome)}


def _check_messages(invocation: Invocation, evidence: Evidence) -> None:
    """Expect each unusable message among the dead letters once, with its original body."""
    unusable = [d.message.body for d in invocation.deliveries if evidence.request(d.message.body) is None]
    originals = [e["MessageBody"] for _, e in _sent(invocation) if is_original_message(e["MessageAttributes"])]
    assert Counter(originals) == Counter(body for body in unusable if "DryRun" not in body)
    lines = [line for line in invocation.outcomes if "job_run_id" not in line]
    assert len(lines) == len(unusable)


def _check_failures(invocation: Invocation, unaccepted: Sequence[tuple[str, Json]], evidence: Evidence) -> None:
    failures = set(invocation.failures)
    assert len(failures) == len(invocation.failures)
    failed = {key for _, entry in unaccepted for key in _keys_of(entry, evidence)}
    originals = Counter(
        entry["MessageBody"] for _, entry in unaccepted if is_original_message(entry["MessageAttributes"])
    )
    sources = {d.message_id for d in invocation.deliveries if failed & evidence.keys(d.message.body)}
    unusable = [d for d in invocation.deliveries if evidence.request(d.message.body) is None]
    assert failures - {d.message_id for d in unusable} <= sources
    redelivered = Counter({d.message_id: d.message.body for d in unusable if d.message_id in failures}.values())
    assert redelivered.keys() == originals.keys()
    # A message that was delivered twice in one invocation made two dead letters.
    assert redelivered <= originals if _has_repeated_message(invocation) else redelivered == originals
    # Poison pill candidates are processed alone: a failed send for one is no failure of others with the run.
    if all(delivery.receive_count < 3 for delivery in invocation.deliveries):
        assert sources <= failures
    keys_of_failures = {
        key for d in invocation.deliveries if d.message_id in failures for key in evidence.keys(d.message.body)
    }
    assert failed <= keys_of_failures


def _has_repeated_message(invocation: Invocation) -> bool:
    return len({d.message_id for d in invocation.deliveries}) < len(invocation.deliveries)


def _sent(invocation: Invocation) -> list[tuple[str, Json]]:
    calls = invocation.called("SendMessageBatch")
    return [(call["QueueUrl"].rpartition("/")[2], entry) for call in calls for entry in call["Entries"]]


def _code(entry: Json) -> str:
    return str(entry["MessageAttributes"].get("ERROR_CODE", {}).get("StringValue"))


def _keys_of(entry: Json, evidence: Evidence) -> set[TargetKey]:
    is_original = is_original_message(entry["MessageAttributes"])
    return set() if is_original else evidence.keys(entry["MessageBody"])


def _delivered(invocation: Invocation, evidence: Evidence) -> set[TargetKey]:
    return {key for delivery in invocation.deliveries for key in evidence.keys(delivery.message.body)}


def _lines_of_runs(invocations: Iterable[Invocation]) -> list[Json]:
    return [line for invocation in invocations for line in invocation.outcomes if "job_run_id" in line]
