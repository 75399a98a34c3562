"""The command line, in this process, for a Gluebrake whose SQS and Glue are fakes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gluebrake_cli.__main__ import app
from gluebrake_cli.aws import Deployment
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import EntriesFailed, Refused, Reset
from tests.support.simulated_aws import World


def _run(deployment: Deployment, *arguments: str, typed: str = "", code: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments, input=typed, obj=lambda: deployment)
    assert result.exit_code == code, result.output
    return result


def _json(deployment: Deployment, *arguments: str, code: int = 0) -> Any:
    return json.loads(_run(deployment, *arguments, "--json", code=code).stdout)


def _letter(world: World, run_id: str, code: str, job_name: str = "etl") -> str:
    body = json.dumps({"JobName": job_name, "JobRunIds": [run_id]})
    attributes = {"ERROR_CODE": {"DataType": "String", "StringValue": code}}
    return world.dead_letter_queue.put(body, attributes=attributes).message_id


@pytest.fixture
def letters(world: World) -> dict[str, str]:
    """Put a dead letter for each of three reasons; their message ids by run."""
    return {
        "jr_a": _letter(world, "jr_a", "StopTimedOut"),
        "jr_b": _letter(world, "jr_b", "NotAllowed"),
        "jr_c": _letter(world, "jr_c", "NotAllowed", "other"),
    }


class TestStop:
    """`stop` sends one request."""

    def test_a_request_goes_to_the_stop_queue(self, deployment: Deployment, world: World) -> None:
        """What is typed stands in the message, and the answer names it."""
        told = _json(
            deployment, "stop", "etl", "a", "b", "--reason", "why", "--requested-by", "me", "--dry-run"
        )
        (message,) = world.stop_queue
        assert message.message_id == told["message_id"]
        assert json.loads(message.body) == {
            "JobName": "etl",
            "JobRunIds": ["a", "b"],
            "Reason": "why",
            "RequestedBy": "me",
            "DryRun": True,
        }
        assert (told["runs"], told["all_stopped"]) == (None, None)

    def test_without_an_identity_the_user_asks(
        self, deployment: Deployment, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When AWS does not tell who calls, the user's name on this machine stands in the request."""
        monkeypatch.setenv("LOGNAME", "night-shift")
        _run(deployment, "stop", "etl", "a")
        (message,) = world.stop_queue
        assert json.loads(message.body)["RequestedBy"] == "night-shift"

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["etl"], "name the runs, or give --all-active"),
            (["etl", "a", "--all-active"], "one of the two"),
            (["etl", "a", "--older-than", "5"], "--older-than goes with --all-active"),
            (["etl", "a" * 256], "JobRunIds[0]: must be text of length <= 255"),
            (["etl", "--all-active", "--older-than", "-1"], "OlderThanMinutes"),
            (["e\ntl", "a"], "JobName: must be one line of text"),
        ],
    )
    def test_a_wrong_request_is_told_and_not_sent(
        self, deployment: Deployment, world: World, arguments: list[str], told: str
    ) -> None:
        """The rule that the function would refuse it by is told at once; the exit code is usage's."""
        assert told in " ".join(_run(deployment, "stop", *arguments, code=2).stderr.split())
        assert len(world.stop_queue) == 0

    def test_all_active_asks_first(self, deployment: Deployment, world: World) -> None:
        """Who does not say yes stops nothing; who does sends a dated selection."""
        world.aws.glue.add_run("etl", "old", started_on=world.clock() - timedelta(hours=2))
        said = _run(deployment, "stop", "etl", "--all-active", typed="n\n", code=1)
        assert "Stop 1 active runs of etl?" in said.stderr
        assert len(world.stop_queue) == 0
        _run(deployment, "stop", "etl", "--all-active", typed="y\n")
        (message,) = world.stop_queue
        assert set(json.loads(message.body)["Select"]) == {"StartedBefore"}

    def test_with_yes_nothing_is_listed(self, deployment: Deployment, world: World) -> None:
        """A brake needs one permission only, that to send: nobody's runs are looked up for it."""
        world.aws.faults.add(Refused("AccessDeniedException"), operation="GetJobRuns")
        _run(deployment, "stop", "etl", "--all-active", "--yes")
        assert len(world.stop_queue) == 1

    def test_nothing_active_is_nothing_to_send(self, deployment: Deployment, world: World) -> None:
        """A job whose runs are over, or too young, is left alone."""
        world.aws.glue.add_run("etl", "done", state="SUCCEEDED", started_on=world.clock())
        told = _json(deployment, "stop", "etl", "--all-active", "--wait")
        assert (told["message_id"], told["runs"], told["all_stopped"]) == (None, [], True)
        assert "nothing was sent" in _run(deployment, "stop", "etl", "--all-active").stdout
        assert len(world.stop_queue) == 0

    def test_an_unknown_job_is_told(self, deployment: Deployment) -> None:
        """A misspelt name is not a job without active runs."""
        result = CliRunner().invoke(app, ["stop", "elt", "--all-active"], obj=lambda: deployment)
        assert "No job elt" in str(result.exception)

    def test_what_sqs_refuses_is_an_error(self, deployment: Deployment, world: World) -> None:
        """A request that is not on the queue is not called asked."""
        world.aws.faults.add(EntriesFailed(code="InternalError", message="later"), operation="SendMessageBatch")
        result = CliRunner().invoke(app, ["stop", "etl", "a"], obj=lambda: deployment)
        assert (result.exit_code, "InternalError: later" in str(result.exception)) == (1, True)

    @pytest.mark.parametrize(("stopping_seconds", "code"), [(0, 0), (None, 1)])
    def test_waiting_ends_with_0_only_if_all_stopped(
        self, deployment: Deployment, world: World, stopping_seconds: float | None, code: int
    ) -> None:
        """The runs are followed to their end, or to the end of the time."""
        for number in range(30):
            world.aws.glue.add_run("etl", f"jr_{number}", stopping_seconds=stopping_seconds)
        world.aws.faults.add(_WorkedOff(world), operation="SendMessageBatch", times=1)
        runs = [f"jr_{number}" for number in range(30)]
        arguments = ("stop", "etl", *runs, "--wait", "--timeout", "0", "--every", "0", "--json")
        said = _run(deployment, *arguments, code=code)
        told = json.loads(said.stdout)
        assert ("30 runs were still on their way" in said.stderr) is (code == 1)
        assert [run["job_run_id"] for run in told["runs"]] == runs
        assert told["all_stopped"] is (code == 0)
        # A page holds them all: they are not looked at one by one.
        assert world.aws.requests("GetJobRun") == []


class _WorkedOff:
    """A fault that has Glue stop what is sent before the answer arrives."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, call: Call, answer: Answer) -> Reply:
        reply = answer(call)
        for message in self._world.stop_queue.take():
            for run_id in json.loads(message.body)["JobRunIds"]:
                self._world.aws.glue.run("etl", run_id).become("STOPPING")
        return reply


class TestDeadLetters:
    """`dead-letters` shows, and changes nothing."""

    def test_they_are_listed(self, deployment: Deployment, world: World, letters: dict[str, str]) -> None:
        """Each letter is a row, and afterwards all are where they were."""
        shown = _run(deployment, "dead-letters").stdout
        for text in ("StopTimedOut", "NotAllowed", "the job is outside `jobs`", letters["jr_a"][:8]):
            assert text in shown
        assert len(world.dead_letter_queue.visible()) == 3

    @pytest.mark.parametrize("arguments", [(), ("--by-reason",), ("--reason", "Nope")])
    def test_that_there_are_none_is_said(self, deployment: Deployment, arguments: tuple[str, ...]) -> None:
        """An empty table would leave the operator wondering."""
        assert _run(deployment, "dead-letters", *arguments).stdout == "No dead letters.\n"

    def test_json_has_the_documented_shape(self, deployment: Deployment, letters: dict[str, str]) -> None:
        """Machines read the same names for ever."""
        told = _json(deployment, "dead-letters", "--reason", "Stop*", "--job", "etl")
        (letter,) = told["letters"]
        assert told["complete"] is True
        assert letter["message_id"] == letters["jr_a"]
        assert list(letter) == [
            *("message_id", "reason", "meaning", "remedy", "error_message", "job_name"),
            *("job_run_ids", "sent_at", "age_seconds", "attempts"),
        ]

    @pytest.mark.usefixtures("letters")
    def test_reasons_are_counted(self, deployment: Deployment) -> None:
        """The reasons come with their counts by job."""
        told = _json(deployment, "dead-letters", "--by-reason")
        assert [(one["reason"], one["count"], one["jobs"]) for one in told["reasons"]] == [
            ("NotAllowed", 2, {"etl": 1, "other": 1}),
            ("StopTimedOut", 1, {"etl": 1}),
        ]
        assert "add it to `jobs`" in _run(deployment, "dead-letters", "--by-reason").stdout

    @pytest.mark.usefixtures("letters")
    def test_that_some_may_be_missing_is_said(self, deployment: Deployment, world: World) -> None:
        """When another reader holds a letter, the list is not called complete."""
        world.dead_letter_queue.receive(1, 60)
        assert "This may not be all: 3 were counted" in _run(deployment, "dead-letters").stderr
        assert _json(deployment, "dead-letters")["complete"] is False

    def test_one_is_shown_whole(self, deployment: Deployment, letters: dict[str, str]) -> None:
        """The beginning of an id will do while it is one letter's alone."""
        told = _json(deployment, "dead-letters", "show", letters["jr_b"])
        assert json.loads(told["body"])["JobRunIds"] == ["jr_b"]
        assert told["attributes"]["ERROR_CODE"]["StringValue"] == "NotAllowed"
        assert "jr_b" in _run(deployment, "dead-letters", "show", letters["jr_b"]).stdout

    @pytest.mark.parametrize(("start", "count"), [("nope", 0), ("0", 3)])
    @pytest.mark.usefixtures("letters")
    def test_an_id_must_be_one_letters(self, deployment: Deployment, start: str, count: int) -> None:
        """None and several are errors."""
        result = CliRunner().invoke(app, ["dead-letters", "show", start], obj=lambda: deployment)
        assert f"{count} dead letters have an id" in str(result.exception)


class TestRedrive:
    """`redrive` brings back exactly what is meant."""

    def test_one_reason_is_brought_back(
        self, deployment: Deployment, world: World, letters: dict[str, str]
    ) -> None:
        """The letters of the reason move, the others stay and are visible."""
        told = _json(deployment, "redrive", "--reason", "NotAllowed", "--job", "oth*")
        assert told["meant"] == told["done"] == [letters["jr_c"]]
        assert {message.message_id for message in world.dead_letter_queue.visible()} == {
            letters["jr_a"],
            letters["jr_b"],
        }
        (message,) = world.stop_queue
        assert json.loads(message.body)["JobRunIds"] == ["jr_c"]

    @pytest.mark.usefixtures("letters")
    def test_a_dry_run_moves_nothing(self, deployment: Deployment, world: World) -> None:
        """It shows what would be moved."""
        assert (
            "2 dead letters would be redriven"
            in _run(deployment, "redrive", "--job", "etl", "--dry-run").stdout
        )
        assert len(world.dead_letter_queue.visible()) == 3
        assert len(world.stop_queue) == 0

    @pytest.mark.usefixtures("letters")
    def test_a_reason_that_nobody_has_is_told(self, deployment: Deployment) -> None:
        """A misspelt code moves nothing, and what there is stands beside."""
        said = _run(deployment, "redrive", "--reason", "notallowed")
        assert "0 of 0 dead letters redriven." in said.stdout
        assert "NotAllowed (2), StopTimedOut (1)" in said.stderr

    @pytest.mark.usefixtures("letters")
    def test_what_could_not_be_sent_is_told(self, deployment: Deployment, world: World) -> None:
        """The exit code says that not all is done, and the text which and why."""
        failing = EntriesFailed(when=lambda entry: "jr_a" in entry["MessageBody"], message="later")
        world.aws.faults.add(failing, operation="SendMessageBatch")
        said = _run(deployment, "redrive", code=1)
        assert "2 of 3 dead letters redriven." in said.stdout
        assert "could not be sent: InternalError: later" in said.stderr

    def test_what_was_done_before_an_error_is_told(self, deployment: Deployment, world: World) -> None:
        """When the network goes half way, the operator reads how far it came."""
        for number in range(15):
            _letter(world, f"jr_{number}", "StopTimedOut")
        sends = iter((False, True))
        world.aws.faults.add(Reset(), operation="SendMessageBatch", when=lambda _: next(sends))
        result = CliRunner().invoke(app, ["redrive"], obj=lambda: deployment)
        assert "10 of 15 dead letters were done with before this" in result.stderr
        assert len(world.dead_letter_queue.visible()) == 5


class TestDrop:
    """`drop` deletes what was shown, and asks first."""

    def test_it_asks_and_shows(self, deployment: Deployment, world: World, letters: dict[str, str]) -> None:
        """Who says no drops nothing; who says yes drops what was shown."""
        said = _run(deployment, "drop", "--job", "other", typed="n\n", code=1)
        assert letters["jr_c"][:8] in said.stderr
        assert len(world.dead_letter_queue.visible()) == 3
        said = _run(deployment, "drop", "--job", "other", typed="y\n")
        assert "1 of 1 dead letters dropped." in said.stdout
        assert len(world.dead_letter_queue.visible()) == 2
        assert len(world.stop_queue) == 0

    def test_what_came_since_is_not_dropped(
        self, deployment: Deployment, world: World, letters: dict[str, str]
    ) -> None:
        """Only what the operator saw is gone, though another letter would have been meant as well."""
        reads = iter(range(100))

        def arrives(call: Call, answer: Answer) -> Reply:
            if next(reads) == 3:
                _letter(world, "jr_late", "NotAllowed")
            return answer(call)

        world.aws.faults.add(arrives, operation="ReceiveMessage")
        _run(deployment, "drop", "--reason", "NotAllowed", typed="y\n")
        left = {json.loads(message.body)["JobRunIds"][0] for message in world.dead_letter_queue}
        assert left == {"jr_a", "jr_late"}
        assert letters

    @pytest.mark.usefixtures("letters")
    def test_scripts_say_yes(self, deployment: Deployment, world: World) -> None:
        """With --yes nothing is asked; with --dry-run nothing is dropped."""
        assert len(_json(deployment, "drop", "--dry-run")["meant"]) == 3
        assert len(world.dead_letter_queue.visible()) == 3
        assert len(_json(deployment, "drop", "--yes")["done"]) == 3
        assert len(world.dead_letter_queue) == 0


def test_status_shows_what_can_be_read(deployment: Deployment, letters: dict[str, str]) -> None:
    """Where only SQS answers, its queues are shown, and why the rest is not known."""
    told = _json(deployment, "status", code=1)
    assert [queue["messages"] for queue in told["queues"]] == [0, 0, len(letters)]
    assert set(told["unknown"]) == {"age of the oldest message", "alarms", "mappings", "config", "outcomes"}
    assert "dead letters: 3" in told["wrong"]
    assert "! alarms: " in _run(deployment, "status", code=1).stdout


def test_help_teaches(deployment: Deployment) -> None:
    """Each command's help has examples, and the first one the exit codes."""
    assert "Exit codes: 0" in _run(deployment, "--help").stdout
    for command in ("stop", "dead-letters", "redrive", "drop", "status"):
        assert f"gluebrake {command}" in _run(deployment, command, "--help").stdout
