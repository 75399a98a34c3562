"""What must hold of a scenario, invocation by invocation and as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gluebrake.outcomes import Outcome
from tests.support.fakes.exchange import Json
from tests.support.invariants import (
    DEAD,
    HANDED_ON,
    Account,
    Key,
    broken_promises,
    ended_too_often,
    is_end,
    is_verbatim,
    key_of,
)
from tests.support.scenarios import FORBIDDEN_JOBS, MAX_RUNS, Scenario, ScriptedWorld
from tests.support.simulated_aws import STOP, Invocation, World


def check_calm(scenario: Scenario) -> None:
    """While SQS takes all and delivers once, expect one outcome an invocation, and one end of each demand."""
    with scenario.world() as world:
        _deliver(world, scenario)
        account = account_of(world, scenario.bodies)
        for invocation in world.invocations:
            assert invocation.failures == []
            _check_outcomes(invocation, account)
            _check_messages(invocation, account)
        assert broken_promises(account) + ended_too_often(account) + mistold(world) == []
        assert not scenario.at_once or set(account.ends.values()) <= {1}
        _check_that_nothing_forbidden_was_called(world)
        assert not world.moved


def check_stormy(scenario: Scenario) -> None:
    """Through failed sends, crashes and redeliveries, expect an end of each demand, and no return in vain."""
    with scenario.world() as world:
        _deliver(world, scenario)
        account = account_of(world, scenario.bodies)
        for index, invocation in enumerate(world.invocations):
            untaken = [(url, entry) for at, url, entry in world.untaken if at == index]
            _check_failures(invocation, untaken, account)
            assert invocation.counts["UnexpectedErrors"] == 0
        assert broken_promises(account) + mistold(world) == []
        _check_that_nothing_forbidden_was_called(world)


def account_of(world: World, bodies: Sequence[str], max_runs: int = MAX_RUNS) -> Account:
    """Gather what a world knows of what became of the messages."""
    return Account(
        bodies=bodies,
        lines=[line for invocation in world.invocations for line in invocation.outcomes],
        letters=[(message.body, message.attributes) for message in world.dead_letter_queue],
        stop_calls=world.aws.requests("BatchStopJobRun"),
        max_runs=max_runs,
        events=world.aws.events.details,
        left=len(world.stop_queue) + len(world.confirm_queue),
    )


def mistold(world: World) -> list[str]:
    """List the outcomes that were published though they were none, or neither published nor counted as lost."""
    lines = [line for invocation in world.invocations for line in invocation.outcomes]
    ends = [line for line in lines if is_end(line) and line["job_name"]]
    told = Counter((line["job_name"], line.get("job_run_id"), line["outcome"]) for line in ends)
    published = Counter(
        (event["jobName"], event.get("jobRunId"), event["outcome"]) for event in world.aws.events.details
    )
    missing, lost = (told - published).total(), world.counts["OutcomeEventsLost"]
    return [
        *(f"invented as an event: {event}" for event in published - told),
        *([f"{missing} outcomes not published, {lost} counted"] if not missing <= lost <= told.total() else []),
    ]


def _check_that_nothing_forbidden_was_called(world: World) -> None:
    assert {job_name for job_name, _ in world.stop_calls()}.isdisjoint(FORBIDDEN_JOBS)


def _deliver(world: ScriptedWorld, scenario: Scenario) -> None:
    """Have the messages delivered as the scenario has it, and all that follows."""
    for body in scenario.bodies:
        world.put(body)
        world.clock.advance(0.001)
    deliveries = scenario.deliveries(world.stop_queue.take())
    for start in range(0, len(deliveries), world.batch_size):
        world.deliver(STOP, deliveries[start : start + world.batch_size])
    world.run()


def _check_outcomes(invocation: Invocation, account: Account) -> None:
    """Hold the log against what was delivered, against what was sent and against the metrics."""
    outcomes = {key_of(line): line["outcome"] for line in _demands([invocation])}
    assert Counter(key_of(line) for line in _demands([invocation])) == Counter(_delivered(invocation, account))
    onward = {key: HANDED_ON[outcome] for key, outcome in outcomes.items() if outcome in HANDED_ON}
    dead = {key: "dead-letter" for key, outcome in outcomes.items() if outcome in DEAD and not key[2]}
    sent = Counter((key, queue) for queue, entry in _sent(invocation) for key in _keys_of(entry, account))
    assert sent == Counter((onward | dead).items())
    logged = Counter(line["outcome"] for line in invocation.outcomes)
    assert logged == {name: n for name, n in invocation.counts.items() if name in list(Outcome)}


def _check_messages(invocation: Invocation, account: Account) -> None:
    """Expect each message that cannot be used among the dead letters, once and as it was."""
    unusable = [d.message.body for d in invocation.deliveries if account.request(d.message.body) is None]
    verbatim = [e["MessageBody"] for _, e in _sent(invocation) if is_verbatim(e["MessageAttributes"])]
    assert Counter(verbatim) == Counter(body for body in unusable if "DryRun" not in body)
    of_messages = [line for line in invocation.outcomes if "job_run_id" not in line]
    assert len(of_messages) == len(unusable)


def _check_failures(invocation: Invocation, untaken: Sequence[tuple[str, Json]], account: Account) -> None:
    failures = set(invocation.failures)
    assert len(failures) == len(invocation.failures)
    failed = {key for _, entry in untaken for key in _keys_of(entry, account)}
    verbatim = Counter(entry["MessageBody"] for _, entry in untaken if is_verbatim(entry["MessageAttributes"]))
    behind = {d.message_id for d in invocation.deliveries if failed & account.keys(d.message.body)}
    unusable = [d for d in invocation.deliveries if account.request(d.message.body) is None]
    assert failures - {d.message_id for d in unusable} <= behind
    back = Counter({d.message_id: d.message.body for d in unusable if d.message_id in failures}.values())
    assert back.keys() == verbatim.keys()
    # A message that came twice at once has led to two letters.
    assert back <= verbatim if _has_twins(invocation) else back == verbatim
    # Suspects are worked on their own: what failed for one of them did not for the others that name the run.
    if all(delivery.receive_count < 3 for delivery in invocation.deliveries):
        assert behind <= failures
    reached = {
        k for d in invocation.deliveries if d.message_id in failures for k in account.keys(d.message.body)
    }
    assert failed <= reached


def _has_twins(invocation: Invocation) -> bool:
    return len({d.message_id for d in invocation.deliveries}) < len(invocation.deliveries)


def _sent(invocation: Invocation) -> list[tuple[str, Json]]:
    calls = invocation.called("SendMessageBatch")
    return [(call["QueueUrl"].rpartition("/")[2], entry) for call in calls for entry in call["Entries"]]


def _keys_of(entry: Json, account: Account) -> set[Key]:
    return set() if is_verbatim(entry["MessageAttributes"]) else account.keys(entry["MessageBody"])


def _delivered(invocation: Invocation, account: Account) -> set[Key]:
    return {key for delivery in invocation.deliveries for key in account.keys(delivery.message.body)}


def _demands(invocations: Iterable[Invocation]) -> list[Json]:
    return [line for invocation in invocations for line in invocation.outcomes if "job_run_id" in line]
