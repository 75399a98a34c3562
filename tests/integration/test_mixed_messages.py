"""Tests of many different messages in one batch: each has its outcome, up to the final one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.fakes.faults import Refused
from tests.support.simulated_aws import STOP, Invocation, SimulatedAws, stop_request, stop_request_event

TOO_MANY = stop_request("etl", *(f"jr_{number}" for number in range(21)))
UNREADABLE = ("stop everything!", '{"JobName": "etl", "JobRunIds": ["first"], "DryRum": true}')


@pytest.fixture
def simulation() -> Iterator[SimulatedAws]:
    """Set up different jobs and runs, and put messages about them on the stop queue."""
    jobs = ["etl", "night*", "vip", "tagged", "denied"]
    with SimulatedAws(jobs=jobs, protected_jobs=["vip*"], max_runs_per_request=20) as simulation:
        _add_runs(simulation)
        _send_messages(simulation)
        yield simulation


def _add_runs(simulation: SimulatedAws) -> None:
    glue = simulation.aws.glue
    for run_id in ("first", "second"):
        glue.add_run("etl", run_id, started_on=simulation.clock() - timedelta(hours=1))
    glue.add_run("etl", "hangs", state="WAITING", stopping_seconds=None)
    glue.add_run("etl", "done", state="SUCCEEDED")
    glue.add_run("etl", "stopping", state="STOPPING", stopping_seconds=20)
    glue.add_run("nightly", "faster", stops_as="FAILED")
    for job_name in ("vip", "payroll", "denied"):
        glue.add_run(job_name, "kept")
    glue.add_run("tagged", "kept")
    glue.add_job("tagged", tags={"gluebrake:protect": ""})
    denied = Refused("AccessDeniedException", "no permission")
    simulation.aws.faults.add(
        denied,
        operation="BatchStopJobRun",
        when=lambda call: call.parameters["JobName"] in {"tagged", "denied"},
    )


def _send_messages(simulation: SimulatedAws) -> None:
    simulation.request_stop("etl", "first", "second", "first", Reason="over budget", RequestedBy="guardrail")
    simulation.clock.advance(0.001)
    simulation.put(stop_request_event(stop_request("etl", "second", "hangs", Reason="second message")))
    simulation.request_stop("etl", "done", "gone", "stopping")
    simulation.request_stop("etl", "first", "done", "gone", DryRun=True)
    for job_name in ("vip", "payroll", "tagged", "denied"):
        simulation.request_stop(job_name, "kept")
    simulation.request_stop("payroll", "kept", DryRun=True)
    simulation.request_stop("nightly", "faster")
    for body in (*UNREADABLE, TOO_MANY):
        simulation.put(body)


def _by_run(invocation: Invocation) -> Counter[tuple[str, ...]]:
    """Count the outcomes of each target; `?` marks a dry run."""
    return Counter(
        (line["job_name"], line["job_run_id"] + "?" * line["dry_run"], line["outcome"])
        for line in invocation.outcomes
        if "job_run_id" in line
    )


def test_each_target_has_one_outcome(simulation: SimulatedAws) -> None:
    """However many messages name a run, an invocation has one outcome for each target and unusable message."""
    invocation = simulation.deliver_due(STOP)
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
            ("vip", "kept", "Protected"),
            ("payroll", "kept", "NotAllowed"),
            ("payroll", "kept?", "NotAllowed"),
            ("tagged", "kept", "Protected"),
            ("denied", "kept", "Failed"),
        ]
    )
    message_outcomes = [line["outcome"] for line in invocation.outcomes if "job_run_id" not in line]
    assert sorted(message_outcomes) == ["InvalidRequest", "InvalidRequest", "TooManyRuns"]
    assert invocation.answer == {"batchItemFailures": []}


def test_invocation_makes_the_fewest_calls(simulation: SimulatedAws) -> None:
    """Each job needs one stop call, one page for its unknown states, and one read for a run not on the page."""
    invocation = simulation.deliver_due(STOP)
    stopped = [(call["JobName"], sorted(call["JobRunIds"])) for call in invocation.called("BatchStopJobRun")]
    assert sorted(stopped) == [
        ("denied", ["kept"]),
        ("etl", ["done", "first", "gone", "hangs", "second", "stopping"]),
        ("nightly", ["faster"]),
        ("tagged", ["kept"]),
    ]
    # One page for the runs that Glue refused, and one for the dry run.
    page = {"JobName": "etl", "MaxResults": 200}
    assert invocation.called("GetJobRuns") == [page, page]
    assert invocation.called("GetJobRun") == [{"JobName": "etl", "RunId": "gone"}] * 2
    # The tags of the jobs that IAM denies, and of the job of the dry run.
    arns = sorted(call["ResourceArn"].rpartition("/")[2] for call in invocation.called("GetTags"))
    assert arns == ["denied", "etl", "tagged"]
    assert len(invocation.called("SendMessageBatch")) == 3


def test_metrics_count_what_the_log_has(simulation: SimulatedAws) -> None:
    """The metrics have the service, every outcome, the calls, and the duplicate runs."""
    invocation = simulation.deliver_due(STOP)
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
    assert {"NotFound", "UnexpectedErrors"}.isdisjoint(invocation.values)


def test_log_line_has_the_requester_and_the_reason(simulation: SimulatedAws) -> None:
    """A line has the reason, requester and sender of the earliest message, and the ids of all messages."""
    invocation = simulation.deliver_due(STOP)
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
            "function_request_id": simulation.context.aws_request_id,
            "will_redeliver": False,
        }.items()
    )


def test_message_that_names_a_run_twice_is_listed_once(simulation: SimulatedAws) -> None:
    """The message ids of a target are distinct."""
    invocation = simulation.deliver_due(STOP)
    ids = [line["message_ids"] for line in invocation.outcomes if line.get("job_run_id") == "first"]
    assert ids == [[invocation.deliveries[0].message_id], [invocation.deliveries[3].message_id]]


def test_each_target_has_one_final_outcome(simulation: SimulatedAws) -> None:
    """Through retries and confirmation, each target has exactly one final outcome."""
    simulation.run()
    assert simulation.history("etl", "first") == ["StopSubmitted", "WouldStop", "Stopped"]
    assert simulation.history("etl", "second") == ["StopSubmitted", "Stopped"]
    assert simulation.history("nightly", "faster") == ["StopSubmitted", "FinishedBeforeStop"]
    assert simulation.history("etl", "stopping") == ["AlreadyStopping", "NotYetConfirmed", "Stopped"]
    assert simulation.history("etl", "done") == ["AlreadyFinished"] * 2
    assert simulation.history("etl", "gone") == ["Retrying", "Retrying", "NotFound", "NotFound"]
    submitted, *polls, end = simulation.history("etl", "hangs")
    assert (submitted, set(polls), end) == ("StopSubmitted", {"NotYetConfirmed"}, "StopTimedOut")


def test_dead_letters_have_their_errors(simulation: SimulatedAws) -> None:
    """Each run that was not stopped, and each unusable message, is a dead letter with its error."""
    simulation.run()
    dead_letters = sorted(simulation.dead_letters(), key=str)
    too_many = "JobRunIds: names 21 runs, but maxRunsPerRequest is 20; none was stopped"
    not_json, misspelt = UNREADABLE
    assert [(body, code, attempts) for body, code, _, attempts in dead_letters] == [
        (not_json, "InvalidRequest", "0"),
        ({"JobName": "denied", "JobRunIds": ["kept"]}, "AccessDeniedException", "0"),
        ({"JobName": "etl", "JobRunIds": ["first"], "DryRum": True}, "InvalidRequest", "0"),
        ({"JobName": "etl", "JobRunIds": ["gone"]}, "EntityNotFoundException", "1"),
        (
            {
                "JobName": "etl",
                "JobRunIds": ["hangs"],
                "Reason": "second message",
                "RequestedBy": "guardrail",
            },
            *("StopTimedOut", "11"),
        ),
        ({"JobName": "etl", "JobRunIds": [f"jr_{n}" for n in range(21)]}, "TooManyRuns", "0"),
        ({"JobName": "payroll", "JobRunIds": ["kept"]}, "NotAllowed", "0"),
    ]
    errors = {code: error for _, code, error, _ in dead_letters}
    assert errors["AccessDeniedException"] == "no permission"
    assert errors["EntityNotFoundException"] == "No job run gone"
    assert errors["StopTimedOut"] == (
        "The run had not stopped 1800 seconds after it was submitted for stopping. "
        "Glue reports the run as STOPPING."
    )
    assert errors["TooManyRuns"] == too_many
    assert errors["NotAllowed"] == "the job matches none of jobs"
    assert errors["InvalidRequest"] in {
        (
            "DryRum: unknown field; allowed: JobName, JobRunIds, Select, Reason, RequestedBy, DryRun,"
            " IncludeAttempts, AttemptsStartedBefore"
        ),
        "the body: is not JSON (invalid character (byte 0))",
    }
    bodies = [message.body for message in simulation.dead_letter_queue]
    assert {not_json, misspelt, TOO_MANY} < set(bodies)
    error = {"ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"}
    for message in simulation.dead_letter_queue:
        is_from_event = "second message" in message.body
        assert message.attributes.keys() == error | ({"GluebrakeVia"} if is_from_event else set())


def test_redriven_dead_letter_stops_the_run_again(simulation: SimulatedAws) -> None:
    """A run that hung in STOPPING is stopped again when its dead letter is moved to the stop queue."""
    simulation.run()
    (hanging,) = [m for m in simulation.dead_letter_queue if "hangs" in m.body]
    simulation.dead_letter_queue.take()
    run = simulation.aws.glue.run("etl", "hangs")
    run.become("RUNNING")
    run.stopping_seconds = 10
    calls = len(simulation.stop_calls())
    simulation.stop_queue.put(hanging.body, attributes=hanging.attributes)
    simulation.run()
    assert simulation.stop_calls()[calls:] == [("etl", ["hangs"])]
    assert simulation.history("etl", "hangs")[-2:] == ["StopSubmitted", "Stopped"]
    assert run.state == "STOPPED"


def test_all_dead_letters_can_be_redriven(simulation: SimulatedAws) -> None:
    """Every dead letter can be moved to the stop queue unchanged, and has the same outcome again."""
    simulation.run()
    before = Counter((str(body), code) for body, code, *_ in simulation.dead_letters())
    simulation.redrive()
    simulation.run()
    assert Counter((str(body), code) for body, code, *_ in simulation.dead_letters()) == before


def test_no_other_run_is_stopped(simulation: SimulatedAws) -> None:
    """Runs of protected and denied jobs, and runs of dry runs or of no message, are still running."""
    simulation.aws.glue.add_run("etl", "bystander")
    simulation.request_stop("nightly", "dry", DryRun=True)
    simulation.aws.glue.add_run("nightly", "dry")
    simulation.run()
    running = {(run.job_name, run.run_id) for run in simulation.aws.glue if run.state == "RUNNING"}
    kept = {(job_name, "kept") for job_name in ("vip", "payroll", "tagged", "denied")}
    assert running == {("etl", "bystander"), ("nightly", "dry")} | kept


def test_answer_has_the_messages_of_failed_sends(simulation: SimulatedAws) -> None:
    """The answer has the ids of exactly the messages whose results could not be sent."""
    simulation.aws.faults.add(
        Refused("InternalFailure", status=500),
        operation="SendMessageBatch",
        when=lambda call: call.parameters["QueueUrl"] == simulation.confirm_queue.url,
    )
    invocation = simulation.deliver_due(STOP)
    sources = [d.message_id for d in invocation.deliveries if _leads_to_confirm_queue(d.message.body)]
    assert invocation.answer is not None
    assert sorted(invocation.failures) == sorted(sources)
    assert invocation.answer["batchItemFailures"] == [{"itemIdentifier": id_} for id_ in invocation.failures]
    will_redeliver = {
        line["job_run_id"]: line["will_redeliver"] for line in invocation.outcomes if "job_run_id" in line
    }
    assert (will_redeliver["hangs"], will_redeliver["kept"]) == (True, False)


def test_all_messages_of_an_unsent_dead_letter_are_redelivered(simulation: SimulatedAws) -> None:
    """If SQS does not accept a dead letter, it redelivers each message that names the run. Nothing is lost."""
    second = simulation.request_stop("payroll", "kept", Reason="second request")
    simulation.aws.faults.add(
        Refused("InternalFailure", status=500),
        operation="SendMessageBatch",
        when=lambda call: call.parameters["QueueUrl"] == simulation.dead_letter_queue.url,
        times=1,
    )
    invocation = simulation.deliver_due(STOP)
    first = [d for d in invocation.deliveries if d.message.body == stop_request("payroll", "kept")]
    assert {second, first[0].message_id} <= set(invocation.failures)
    simulation.run()
    assert [body["JobName"] for body, code, *_ in simulation.dead_letters() if code == "NotAllowed"] == [
        "payroll"
    ]


def _leads_to_confirm_queue(body: str) -> bool:
    return body not in {TOO_MANY, *UNREADABLE} and any(
        name in body for name in ("second", '"stopping"', "faster")
    )


def test_order_of_the_records_changes_no_outcome(simulation: SimulatedAws) -> None:
    """In any order the targets have the same outcomes, and the reason of the earliest message."""
    deliveries = simulation.deliver_due(STOP).deliveries
    with SimulatedAws(jobs=simulation.jobs, protected_jobs=["vip*"], max_runs_per_request=20) as reversed_order:
        _add_runs(reversed_order)
        forwards = _by_run(simulation.invocations[0])
        backwards = reversed_order.deliver(STOP, deliveries[::-1])
        assert _by_run(backwards) == forwards
        reasons = {line["job_run_id"]: line["reason"] for line in backwards.outcomes if "job_run_id" in line}
        assert reasons["second"] == "over budget"
