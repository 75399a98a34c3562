"""`gluebrake --environment all sweep` shows the runs of all environments and, with --stop, asks once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Final

import pytest

from gluebrake.aws import job_reader
from gluebrake_cli.commands import sweep
from tests.cli.fleet_aws import CONFIG, DEV, PROD, FleetAws, Place, invoke, run, run_json
from tests.cli.policies_aws import PoliciesAws
from tests.cli.queues import StopsAtOnce
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import AfterFirst, Refused
from tests.support.sweeps import policy

ALL: Final = ("--environment", "all")
SWEEP: Final = (*ALL, "sweep", "--jobs", "*", "--older-than", "2h")
STOP: Final = (*SWEEP, "--stop", "--no-wait")
NAMES: Final = [*CONFIG["environments"]]
QUESTION: Final = "Stop 3 runs of 3 jobs in 2 environments (prod-eu 2, dev 1)? Type the number of runs: "


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the calls of a sweep follow each other at once."""
    monkeypatch.setattr(job_reader, "_SECONDS_BETWEEN_CALLS", 0.0)


@pytest.fixture
def stacks(fleet: FleetAws) -> dict[str, PoliciesAws]:
    """Give each environment a stack with policies."""
    stacks = {name: PoliciesAws() for name in NAMES}
    for name, stack in stacks.items():
        fleet[name].connect = stack.connect
    return stacks


@pytest.fixture
def runs(fleet: FleetAws, stacks: dict[str, PoliciesAws]) -> FleetAws:
    """Start old runs in two environments, and a young run in each of the three."""
    del stacks
    fleet["prod-eu"].start("nightly", "eu-old", hours=14)
    fleet["prod-eu"].start("hourly", "eu-older", hours=20)
    fleet["dev"].start("nightly", "dev-old", hours=3)
    for name, place in fleet.places.items():
        place.start("nightly", f"{name}-young", hours=0.5)
    return fleet


def _stopped(fleet: FleetAws) -> dict[str, set[str]]:
    """Return the run ids that are requested to stop in each environment."""
    return {
        name: {run_id for request in place.stop_requests for run_id in request["JobRunIds"]}
        for name, place in fleet.places.items()
    }


NOTHING: Final = {name: set[str]() for name in NAMES}
EXACTLY: Final = {"prod-eu": {"eu-old", "eu-older"}, "prod-us": set[str](), "dev": {"dev-old"}}


def _results(shown: str) -> dict[str, str]:
    """Return the result of each environment in the table of the report."""
    table = shown.partition("environment  account")[2]
    rows = [line.split(maxsplit=3) for line in table.splitlines() if line.startswith(tuple(NAMES))]
    return {row[0]: row[3].strip() for row in rows}


class TestReport:
    """What is shown."""

    def test_each_run_is_under_its_environment(self, runs: FleetAws) -> None:
        """Then a line for each environment follows, and the sums. Nothing is stopped."""
        shown = run(runs, *SWEEP).stdout
        prod_eu, dev = (shown.index(f"{name} in eu-west-1 (account") for name in ("prod-eu", "dev"))
        assert prod_eu < shown.index("eu-older") < shown.index("eu-old\n") < dev < shown.index("dev-old")
        assert "prod-us in us-east-1" not in shown
        assert _results(shown) == {
            "prod-eu": "2 can be stopped, 2 matched",
            "prod-us": "0 can be stopped, 0 matched",
            "dev": "1 can be stopped, 1 matched",
        }
        assert shown.splitlines()[-3:] == [
            "3 environments: 3 without problems.",
            "4 jobs considered, 3 active runs matched, 3 can be stopped.",
            "--stop stops 3 runs.",
        ]
        assert _stopped(runs) == NOTHING

    def test_explain_shows_what_is_left_in_each(self, runs: FleetAws) -> None:
        """An environment without a matching run then has a section as well."""
        shown = run(runs, *SWEEP, "--explain").stdout
        assert all(f"{name}-young" in shown for name in NAMES)
        assert f"prod-us in us-east-1 (account {PROD})" in shown

    def test_json_has_the_members_of_a_sweep_for_each(self, runs: FleetAws) -> None:
        """A script reads each environment as it reads a single one."""
        alone = run_json(runs, "--environment", "dev", *SWEEP[2:])
        shown = run_json(runs, *SWEEP)
        assert shown["environments"][2].keys() - {"error"} == alone.keys()
        assert [len(each["report"]["runs"]) for each in shown["environments"]] == [2, 0, 1]
        assert shown["wrong"] == []

    def test_job_that_cannot_be_read_is_a_problem_of_its_environment(self, runs: FleetAws) -> None:
        """The report may lack runs there. The exit code is 1."""
        fault = Refused("InternalServiceException", "Oh", status=500)
        for name in ("prod-us", "dev"):
            runs[name].simulation.aws.faults.add(fault, operation="GetJobRuns")
        shown = run(runs, *SWEEP, code=1).stdout
        assert "! prod-us: 1 job not read whole: nightly" in shown
        assert "3 environments: 1 without problems, 2 with problems." in shown
        assert "dev: 1 job not read whole: nightly" in run_json(runs, *SWEEP, code=1)["wrong"]

    def test_policy_is_that_of_each_stack(self, runs: FleetAws, stacks: dict[str, PoliciesAws]) -> None:
        """The environments may configure it differently. A stack without it is not swept."""
        stacks["prod-eu"].policies = [policy("runaway", max_minutes=15 * 60)]
        stacks["prod-us"].policies = [policy("other")]
        shown = run(runs, *ALL, "sweep", "runaway", code=1).stdout
        assert _results(shown) == {
            "prod-eu": "1 can be stopped, 1 matched",
            "prod-us": "not swept",
            "dev": "1 can be stopped, 1 matched",
        }
        assert "! prod-us: the stack has no policy 'runaway': its policies are other" in shown

    def test_environment_that_observes_is_named(self, runs: FleetAws) -> None:
        """Its runs are shown, and --stop stops none of them."""
        runs["dev"].outputs["Observe"] = "true"
        shown = run(runs, *SWEEP).stdout
        assert _results(shown)["dev"] == "1 can be stopped, 1 matched, observes"
        assert "--stop stops 2 runs." in shown


class TestStop:
    """The organisation's red button."""

    def test_exactly_the_shown_runs_are_stopped(self, runs: FleetAws) -> None:
        """One question has the total. The requests are in the stop queue of the runs' own environment."""
        result = run(runs, *STOP, answer="3\n")
        assert result.stderr.count("Type the number of runs") == 1
        assert QUESTION in result.stderr
        assert _stopped(runs) == EXACTLY
        assert _results(result.stdout.rpartition("can be stopped.")[2]) == {
            "prod-eu": "2 stop requests for 2 runs",
            "prod-us": "nothing was sent",
            "dev": "1 stop request for 1 run",
        }
        assert "3 runs requested to stop. `gluebrake status` shows the latest outcomes." in result.stdout

    def test_request_names_who_asks_and_why(self, runs: FleetAws) -> None:
        """The operator is known in each account by the role there."""
        run(runs, *STOP, "--yes", "3", "--reason", "incident 4711")
        (request,) = runs["dev"].stop_requests
        assert request == {
            "JobName": "nightly",
            "JobRunIds": ["dev-old"],
            "Reason": "incident 4711",
            "RequestedBy": f"arn:aws:sts::{DEV}:assumed-role/ops/alice",
        }

    @pytest.mark.parametrize("answer", ["2", "1", "y", "4", ""])
    def test_another_answer_stops_nothing_anywhere(self, runs: FleetAws, answer: str) -> None:
        """Neither is the number of one environment an answer."""
        result = run(runs, *STOP, answer=f"{answer}\n", code=1)
        assert f"your number is {answer}, and the report has 3 runs that can be stopped" in result.stderr
        assert _stopped(runs) == NOTHING

    def test_no_answer_stops_nothing_anywhere(self, runs: FleetAws) -> None:
        """At the end of the input the exit code is 1."""
        run(runs, *STOP, code=1)
        assert _stopped(runs) == NOTHING

    def test_yes_must_have_the_total(self, runs: FleetAws) -> None:
        """The JSON says why nothing was stopped."""
        shown = run_json(runs, *STOP, "--yes", "2", code=1)
        assert shown["wrong"] == [
            "your number is 2, and the report has 3 runs that can be stopped: nothing was stopped"
        ]
        assert [each["requests"] for each in shown["environments"]] == [None] * 3
        assert _stopped(runs) == NOTHING
        shown = run_json(runs, *STOP, "--yes", "3")
        assert [len(each["requests"]) for each in shown["environments"]] == [2, 0, 1]
        assert _stopped(runs) == EXACTLY

    def test_question_follows_the_report_also_with_json(self, runs: FleetAws) -> None:
        """The report is on standard error then, so that standard output is JSON."""
        result = run(runs, *STOP, "--json", answer="3\n")
        assert result.stderr.index("eu-older") < result.stderr.index("Type the number")
        assert len(json.loads(result.stdout)["environments"]) == 3

    def test_without_a_run_to_stop_there_is_no_question(self, fleet: FleetAws, stacks: object) -> None:
        """The number 0 is right, and every other number is not."""
        del stacks
        for place in fleet.places.values():
            place.simulation.aws.glue.add_job("idle")
        shown = run(fleet, *STOP).stdout
        assert "0 runs requested to stop" in shown
        run(fleet, *STOP, "--yes", "0")
        run(fleet, *STOP, "--yes", "1", code=1)

    def test_run_of_an_environment_that_is_not_swept_is_not_stopped(self, runs: FleetAws) -> None:
        """The operator reads that before the question. The rest is stopped, and the exit code is 1."""
        runs.profiles["prod-eu"] = DEV
        result = run(runs, *STOP, answer="1\n", code=1)
        warning = result.stderr.index(
            "prod-eu was not swept, so no run is stopped there: the profile 'prod-eu' "
        )
        assert warning < result.stderr.index("Stop 1 run of 1 job in 1 environment (dev 1)?")
        assert _stopped(runs) == {**NOTHING, "dev": {"dev-old"}}
        assert runs["prod-eu"].is_untouched

    def test_environment_that_observes_gets_no_request(self, runs: FleetAws) -> None:
        """Its stack would consume the request and stop nothing. Its jobs are not read."""
        runs["dev"].outputs["Observe"] = "true"
        result = run(runs, *STOP, "--yes", "2", code=1)
        assert "dev was not swept, so no run is stopped there: the stack 'Gluebrake' observes" in result.stderr
        assert _stopped(runs) == {**EXACTLY, "dev": set()}
        assert runs["dev"].simulation.aws.requests("ListJobs") == []

    def test_error_in_one_environment_leaves_the_rest(self, runs: FleetAws) -> None:
        """What was sent before the error is reported as sent."""
        runs["prod-eu"].simulation.aws.faults.add(
            AfterFirst(Refused("AccessDenied", "no")), operation="SendMessageBatch"
        )
        shown = run_json(runs, *STOP, "--yes", "3", code=1)
        prod_eu, _, dev = shown["environments"]
        assert (len(prod_eu["requests"]), len(dev["requests"])) == (1, 1)
        assert shown["wrong"] == [f"prod-eu: {prod_eu['wrong'][0]}"]
        assert prod_eu["wrong"][0].startswith("1 of 2 stop requests were sent before this error: you lack the")
        assert _stopped(runs)["dev"] == {"dev-old"}

    def test_ctrl_c_says_what_was_sent(self, runs: FleetAws) -> None:
        """No further request is sent, and the command ends."""
        runs["prod-eu"].simulation.aws.faults.add(_press_ctrl_c, operation="SendMessageBatch")
        result = invoke(runs, *STOP, "--yes", "3")
        assert result.exit_code == 130
        assert "prod-eu: 1 of 2 stop requests were sent before this error:" in result.stderr
        assert len(runs["prod-eu"].stop_requests) == 1

    @pytest.mark.parametrize(("stopping_seconds", "code"), [(0, 0), (None, 3)])
    def test_runs_of_all_environments_are_followed(
        self, runs: FleetAws, stopping_seconds: float | None, code: int
    ) -> None:
        """Exit code 3 means that in some environment a run may still be running."""
        runs["dev"].start("slow", "slow", hours=9)
        for name in ("prod-eu", "dev"):
            simulation = runs[name].simulation
            for each in simulation.aws.glue:
                each.stopping_seconds = 0 if each.run_id != "slow" else stopping_seconds
            simulation.aws.faults.add(StopsAtOnce(simulation), operation="SendMessageBatch")
        result = run(runs, *SWEEP, "--stop", "--yes", "4", "--timeout", "0", "--every", "0", code=code)
        assert f"2 of 2 stopped in eu-west-1 (account {PROD})" in result.stdout
        assert f"4 runs requested to stop, {4 if code == 0 else 3} stopped." in result.stdout
        assert ("! dev: 1 run had not ended after --timeout." in result.stdout) is (code == 3)

    def test_runs_that_cannot_be_followed_are_reported_as_requested(self, runs: FleetAws) -> None:
        """Neither states nor outcomes can be read in one account. The requests were sent nevertheless."""
        for operation in ("GetJobRuns", "GetJobRun"):
            runs["dev"].simulation.aws.faults.add(
                Refused("AccessDeniedException", "no"), when=_after_the_stop(runs["dev"], operation)
            )
        stack = PoliciesAws(refused={"FilterLogEvents": "AccessDeniedException"})
        runs["dev"].connect = stack.connect
        for name in ("prod-eu", "dev"):
            simulation = runs[name].simulation
            simulation.aws.faults.add(StopsAtOnce(simulation), operation="SendMessageBatch")
        arguments = (*SWEEP, "--stop", "--yes", "3", "--timeout", "0")
        shown = run_json(runs, *arguments, code=3)
        prod_eu, _, dev = shown["environments"]
        assert (len(dev["requests"]), dev["runs"], len(prod_eu["runs"])) == (1, None, 2)
        assert dev["wrong"][0].startswith("the request was sent, but its runs cannot be followed: ")


def test_example_of_the_help_can_be_run(runs: FleetAws) -> None:
    """The operator can copy it, and is asked."""
    (example,) = [line for line in sweep.HELP.examples if "--environment" in line]
    result = invoke(runs, *example.replace("'", "").split()[1:])
    assert "Stop 2 runs of 2 jobs in 1 environment (prod-eu 2)?" in result.stderr
    assert _stopped(runs) == NOTHING


def _press_ctrl_c(call: Call, answer: Answer) -> Reply:
    """Answer the call when the main thread has got the signal."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
    return answer(call)


def _after_the_stop(place: Place, operation: str) -> Callable[[Call], bool]:
    return lambda call: call.operation == operation and bool(place.simulation.aws.requests("SendMessageBatch"))
