"""One busy morning: many messages of every kind go in, and each is accounted for to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.fakes.faults import Refused
from tests.support.simulated_aws import STOP, Invocation, World, stop_request, stop_requested

TOO_MANY = stop_request("etl", *(f"jr_{number}" for number in range(21)))
UNREADABLE = ("stop everything!", '{"JobName": "etl", "JobRunIds": ["first"], "DryRum": true}')


@pytest.fixture
def world() -> Iterator[World]:
    """Set up jobs and runs of every kind, and put messages about them on the stop queue."""
    jobs = ["etl", "night*", "vip", "tagged", "denied"]
    with World(jobs=jobs, protected_jobs=["vip*"], max_runs_per_request=20) as world:
        _add_runs(world)
        _ask(world)
        yield world


def _add_runs(world: World) -> None:
    glue = world.aws.glue
    for run_id in ("first", "second"):
        glue.add_run("etl", run_id, started_on=world.clock() - timedelta(hours=1))
    glue.add_run("etl", "hangs", state="WAITING", stopping_seconds=None)
    glue.add_run("etl", "done", state="SUCCEEDED")
    glue.add_run("etl", "stopping", state="STOPPING", stopping_seconds=20)
    glue.add_run("nightly", "faster", stops_as="FAILED")
    for job_name in ("vip", "payroll", "denied"):
        glue.add_run(job_name, "theirs")
    glue.add_run("tagged", "theirs")
    glue.add_job("tagged", tags={"gluebrake:protect": ""})
    denied = Refused("AccessDeniedException", "not you")
    world.aws.faults.add(
        denied,
        operation="BatchStopJobRun",
        when=lambda call: call.parameters["JobName"] in {"tagged", "denied"},
    )


def _ask(world: World) -> None:
    world.ask("etl", "first", "second", "first", Reason="over budget", RequestedBy="guardrail")
    world.clock.advance(0.001)
    world.put(stop_requested(stop_request("etl", "second", "hangs", Reason="too late to be heard")))
    world.ask("etl", "done", "gone", "stopping")
    world.ask("etl", "first", "done", "gone", DryRun=True)
    for job_name in ("vip", "payroll", "tagged", "denied"):
        world.ask(job_name, "theirs")
    world.ask("payroll", "theirs", DryRun=True)
    world.ask("nightly", "faster")
    for body in (*UNREADABLE, TOO_MANY):
        world.put(body)


def _by_run(invocation: Invocation) -> Counter[tuple[str, ...]]:
    """Count what was said of each demand; `?` marks a dry run."""
    return Counter(
        (line["job_name"], line["job_run_id"] + "?" * line["dry_run"], line["outcome"])
        for line in invocation.outcomes
        if "job_run_id" in line
    )


def test_each_demand_has_one_outcome(world: World) -> None:
    """However many messages name a run, the first invocation says one thing of each demand and message."""
    invocation = world.deliver_due(STOP)
    assert _by_run(invocation) == Counter(
        [
            ("etl", "first", "StopSubmitted"),
            ("etl", "second", "StopSubmitted"),
            ("etl", "hangs", "StopSubmitted"),
            ("nightly", "faster", "StopSubmitted"),
            ("etl", "done", "AlreadyFinished"),
            ("etl", "gone", "Retrying"),
            ("etl", "stopping", "AlreadyStopping"),
            ("etl", "first?", "WouldStop"),
            ("etl", "done?", "AlreadyFinished"),
            ("etl", "gone?", "Retrying"),
            ("vip", "theirs", "Protected"),
            ("payroll", "theirs", "NotAllowed"),
            ("payroll", "theirs?", "NotAllowed"),
            ("tagged", "theirs", "Protected"),
            ("denied", "theirs", "Failed"),
        ]
    )
    of_messages = [line["outcome"] for line in invocation.outcomes if "job_run_id" not in line]
    assert sorted(of_messages) == ["InvalidRequest", "InvalidRequest", "TooManyRuns"]
    assert invocation.answer == {"batchItemFailures": []}


def test_calls_are_as_few_as_can_be(world: World) -> None:
    """One stop call a job, one page for a job's runs in doubt, one read for what is not on it, no more."""
    invocation = world.deliver_due(STOP)
    stopped = [(call["JobName"], sorted(call["JobRunIds"])) for call in invocation.called("BatchStopJobRun")]
    assert sorted(stopped) == [
        ("denied", ["theirs"]),
        ("etl", ["done", "first", "gone", "hangs", "second", "stopping"]),
        ("nightly", ["faster"]),
        ("tagged", ["theirs"]),
    ]
    # Once for the runs that Glue refused, once for the dry run.
    page = {"JobName": "etl", "MaxResults": 200}
    assert invocation.called("GetJobRuns") == [page, page]
    assert invocation.called("GetJobRun") == [{"JobName": "etl", "RunId": "gone"}] * 2
    arns = sorted(call["ResourceArn"].rpartition("/")[2] for call in invocation.called("GetTags"))
    assert arns == ["denied", "tagged"]
    assert len(invocation.called("SendMessageBatch")) == 3


def test_counts_are_those_of_the_log(world: World) -> None:
    """The metrics carry the service, every outcome, the calls, and what was asked more than once."""
    invocation = world.deliver_due(STOP)
    assert invocation.counts == {
        "StopSubmitted": 4,
        "AlreadyStopping": 1,
        "AlreadyFinished": 2,
        "Retrying": 2,
        "WouldStop": 1,
        "Protected": 2,
        "NotAllowed": 2,
        "Failed": 1,
        "InvalidRequest": 2,
        "TooManyRuns": 1,
        "RunsRequested": 17,
        "DuplicateRuns": 2,
        "StopCalls": 4,
        "StateReads": 4,
    }
    (metrics,) = invocation.metrics
    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Gluebrake", [["service"]])
    assert metrics["service"] == STOP
    assert invocation.values["NotFound"] == [0]
    assert invocation.values["UnexpectedErrors"] == [0]


def test_log_says_who_asked_and_why(world: World) -> None:
    """A line carries the reason, requester and sender of the earliest message, and all messages' ids."""
    invocation = world.deliver_due(STOP)
    (line,) = [line for line in invocation.outcomes if line.get("job_run_id") == "second"]
    first, event = (delivery.message_id for delivery in invocation.deliveries[:2])
    assert (
        line.items()
        >= {
            "level": "INFO",
            "service": STOP,
            "message": "StopSubmitted",
            "reason": "over budget",
            "requested_by": "guardrail",
            "sender": "AROAEXAMPLE:producer",
            "message_ids": [first, event],
            "attempt": 0,
            "function_request_id": world.context.aws_request_id,
            "will_redeliver": False,
        }.items()
    )


def test_message_that_names_a_run_twice_is_listed_once(world: World) -> None:
    """The ids of the messages behind a demand are distinct."""
    invocation = world.deliver_due(STOP)
    ids = [line["message_ids"] for line in invocation.outcomes if line.get("job_run_id") == "first"]
    assert ids == [[invocation.deliveries[0].message_id], [invocation.deliveries[3].message_id]]


def test_each_demand_comes_to_one_end(world: World) -> None:
    """Followed through retries and confirmation, each demand has exactly one last outcome."""
    world.run()
    assert world.history("etl", "first") == ["StopSubmitted", "WouldStop", "Stopped"]
    assert world.history("etl", "second") == ["StopSubmitted", "Stopped"]
    assert world.history("nightly", "faster") == ["StopSubmitted", "FinishedBeforeStop"]
    assert world.history("etl", "stopping") == ["AlreadyStopping", "NotYetConfirmed", "Stopped"]
    assert world.history("etl", "done") == ["AlreadyFinished"] * 2
    assert world.history("etl", "gone") == ["Retrying", "Retrying", "NotFound", "NotFound"]
    submitted, *looks, end = world.history("etl", "hangs")
    assert (submitted, set(looks), end) == ("StopSubmitted", {"NotYetConfirmed"}, "StopTimedOut")


def test_dead_letters_say_why(world: World) -> None:
    """Each run that was not stopped, and each message of no use, is a dead letter with its reason."""
    world.run()
    letters = sorted(world.dead_letters(), key=str)
    too_many = "JobRunIds: names 21 runs, but maxRunsPerRequest is 20; none was stopped"
    no_json, misspelt = UNREADABLE
    assert [(body, code, attempts) for body, code, _, attempts in letters] == [
        (no_json, "InvalidRequest", "0"),
        ({"JobName": "denied", "JobRunIds": ["theirs"]}, "AccessDeniedException", "0"),
        ({"JobName": "etl", "JobRunIds": ["first"], "DryRum": True}, "InvalidRequest", "0"),
        ({"JobName": "etl", "JobRunIds": ["gone"]}, "EntityNotFoundException", "1"),
        ({"JobName": "etl", "JobRunIds": ["hangs"], "Reason": "too late to be heard"}, "StopTimedOut", "11"),
        ({"JobName": "etl", "JobRunIds": [f"jr_{n}" for n in range(21)]}, "TooManyRuns", "0"),
        ({"JobName": "payroll", "JobRunIds": ["theirs"]}, "NotAllowed", "0"),
    ]
    reasons = {code: error for _, code, error, _ in letters}
    assert reasons["AccessDeniedException"] == "not you"
    assert reasons["EntityNotFoundException"] == "No job run gone"
    assert reasons["StopTimedOut"] == (
        "The run had not stopped 1800 seconds after it was submitted for stopping. "
        "Glue says that the run is STOPPING."
    )
    assert reasons["TooManyRuns"] == too_many
    assert reasons["NotAllowed"] == "the job matches none of jobs"
    assert reasons["InvalidRequest"] in {
        "DryRum: unknown field; allowed: JobName, JobRunIds, Select, Reason, RequestedBy, DryRun",
        "the body: is not JSON (invalid character (byte 0))",
    }
    bodies = [message.body for message in world.dead_letter_queue]
    assert {no_json, misspelt, TOO_MANY} < set(bodies)
    names = {name for message in world.dead_letter_queue for name in message.attributes}
    assert names == {"ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"}


def test_redriven_dead_letter_stops_the_run_again(world: World) -> None:
    """A run that hung in STOPPING is stopped again when its dead letter is moved to the stop queue."""
    world.run()
    (hanging,) = [m for m in world.dead_letter_queue if "hangs" in m.body]
    world.dead_letter_queue.take()
    run = world.aws.glue.run("etl", "hangs")
    run.become("RUNNING")
    run.stopping_seconds = 10
    calls = len(world.stop_calls())
    world.stop_queue.put(hanging.body, attributes=hanging.attributes)
    world.run()
    assert world.stop_calls()[calls:] == [("etl", ["hangs"])]
    assert world.history("etl", "hangs")[-2:] == ["StopSubmitted", "Stopped"]
    assert run.state == "STOPPED"


def test_all_dead_letters_can_be_redriven(world: World) -> None:
    """Every dead letter can go to the stop queue as it is, and is judged anew, to the same end."""
    world.run()
    before = Counter((str(body), code) for body, code, *_ in world.dead_letters())
    world.redrive()
    world.run()
    assert Counter((str(body), code) for body, code, *_ in world.dead_letters()) == before


def test_nothing_else_was_touched(world: World) -> None:
    """Runs of protected, foreign and denied jobs, and runs that only a dry run or no message named, run on."""
    world.aws.glue.add_run("etl", "bystander")
    world.ask("nightly", "rehearsed", DryRun=True)
    world.aws.glue.add_run("nightly", "rehearsed")
    world.run()
    running = {(run.job_name, run.run_id) for run in world.aws.glue if run.state == "RUNNING"}
    others = {(job_name, "theirs") for job_name in ("vip", "payroll", "tagged", "denied")}
    assert running == {("etl", "bystander"), ("nightly", "rehearsed")} | others


def test_answer_names_the_messages_behind_failed_sends(world: World) -> None:
    """The answer has SQS's shape, and names exactly the messages whose consequences were not sent."""
    world.aws.faults.add(
        Refused("InternalFailure", status=500),
        operation="SendMessageBatch",
        when=lambda call: call.parameters["QueueUrl"] == world.confirm_queue.url,
    )
    invocation = world.deliver_due(STOP)
    behind = [d.message_id for d in invocation.deliveries if _hands_on_to_confirm(d.message.body)]
    assert invocation.answer is not None
    assert sorted(invocation.failures) == sorted(behind)
    assert invocation.answer["batchItemFailures"] == [{"itemIdentifier": id_} for id_ in invocation.failures]
    will_redeliver = {
        line["job_run_id"]: line["will_redeliver"] for line in invocation.outcomes if "job_run_id" in line
    }
    assert (will_redeliver["hangs"], will_redeliver["theirs"]) == (True, False)


def test_all_messages_behind_a_dead_letter_come_back(world: World) -> None:
    """When a dead letter is not taken, each message that named its run comes back, and nothing is lost."""
    again = world.ask("payroll", "theirs", Reason="once more")
    world.aws.faults.add(
        Refused("InternalFailure", status=500),
        operation="SendMessageBatch",
        when=lambda call: call.parameters["QueueUrl"] == world.dead_letter_queue.url,
        times=1,
    )
    invocation = world.deliver_due(STOP)
    named = [d for d in invocation.deliveries if d.message.body == stop_request("payroll", "theirs")]
    assert {again, named[0].message_id} <= set(invocation.failures)
    world.run()
    assert [body["JobName"] for body, code, *_ in world.dead_letters() if code == "NotAllowed"] == ["payroll"]


def _hands_on_to_confirm(body: str) -> bool:
    return body not in {TOO_MANY, *UNREADABLE} and any(
        name in body for name in ("second", '"stopping"', "faster")
    )


def test_messages_are_worked_in_any_order(world: World) -> None:
    """The order of the records changes neither the demands nor whose words are kept: the earliest message's."""
    deliveries = world.deliver_due(STOP).deliveries
    with World(jobs=world.jobs, protected_jobs=["vip*"], max_runs_per_request=20) as other:
        _add_runs(other)
        forwards = _by_run(world.invocations[0])
        backwards = other.deliver(STOP, deliveries[::-1])
        assert _by_run(backwards) == forwards
        reasons = {line["job_run_id"]: line["reason"] for line in backwards.outcomes if "job_run_id" in line}
        assert reasons["second"] == "over budget"
