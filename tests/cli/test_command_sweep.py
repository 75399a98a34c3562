"""`gluebrake sweep` shows what a policy matches now and, with --stop, stops exactly the runs that it shows."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from typer.testing import Result

from docs.generate import DOCS
from gluebrake.aws import job_reader
from gluebrake.decisions.policies import NotStopped
from gluebrake_cli.commands.sweep import HELP
from gluebrake_cli.policy_options import OPTIONS
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, run, run_json
from tests.cli.policies_aws import PoliciesAws
from tests.cli.queues import StopsAtOnce
from tests.docs.document import Document, text_of
from tests.support.fakes.faults import AfterFirst, Refused
from tests.support.simulated_aws import SimulatedAws
from tests.support.sweeps import policy

OLDER: Final = ("sweep", "--jobs", "*", "--older-than", "2h")
PROTECT: Final = {"gluebrake:protect": "true"}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the calls of a sweep follow each other at once."""
    monkeypatch.setattr(job_reader, "_SECONDS_BETWEEN_CALLS", 0.0)


@pytest.fixture
def stack() -> PoliciesAws:
    """Return the stack and its policies; a test may change it."""
    return PoliciesAws()


@pytest.fixture
def swept(stack: PoliciesAws, deployment: Deployment) -> Deployment:
    """Return the deployment with policies."""
    return stack.connect(deployment)


@pytest.fixture
def runs(simulation: SimulatedAws) -> SimulatedAws:
    """Start three old runs, of which one is protected, a young one, a streaming one, and a stopping one."""
    _start(simulation, "nightly", "old", hours=14, TriggerName="at-night")
    _start(simulation, "nightly", "young", hours=0.5)
    _start(simulation, "dev-load", "dev", hours=3, state="WAITING", tags={"env": "dev"})
    _start(simulation, "payroll", "protected", hours=30, tags=PROTECT)
    _start(simulation, "stream", "streaming", hours=300, command="gluestreaming")
    _start(simulation, "nightly", "stopping", hours=5, state="STOPPING", stopping_seconds=None)
    return simulation


def _start(  # noqa: PLR0913 - a run and its job have many properties
    simulation: SimulatedAws,
    job: str,
    run_id: str,
    *,
    hours: float,
    tags: dict[str, str] | None = None,
    command: str = "glueetl",
    **details: Any,
) -> None:
    glue = simulation.aws.glue
    if job not in glue.list_jobs({})["JobNames"]:
        glue.add_job(job, tags=tags, command=command)
    glue.add_run(job, run_id, started_on=datetime.now(UTC) - timedelta(hours=hours), **details)


def _requests(simulation: SimulatedAws) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in simulation.stop_queue]


def _matched(shown: dict[str, Any]) -> list[str]:
    return [run["jobRunId"] for run in shown["report"]["runs"]]


class TestReport:
    """What the command shows."""

    def test_json_has_the_documented_members(self, swept: Deployment, runs: SimulatedAws) -> None:
        """The report has the members of a report event. The runs to stop are first, each the oldest first."""
        shown = run_json(swept, *OLDER)
        assert list(shown) == [
            *("account", "region", "stack", "observes", "policy", "report", "left", "requests", "runs"),
            *("all_stopped", "all_over", "wrong"),
        ]
        assert _matched(shown) == ["old", "dev", "protected"]
        (summary,) = shown["report"]["policies"]
        assert (summary["policy"], summary["trigger"], summary["mode"]) == ("by-hand", "command", "report")
        assert (summary["jobs"], summary["matched"], summary["stoppable"]) == (4, 3, 2)
        assert summary["notMatched"] == {"WithinLimit": 1, "Stopping": 1, "OtherType": 1}
        assert [shown[name] for name in ("left", "requests", "runs", "all_stopped", "wrong")] == [
            *[None] * 4,
            [],
        ]
        assert _requests(runs) == []

    def test_screen_names_the_place_and_each_run(self, swept: Deployment, runs: SimulatedAws) -> None:
        """The operator reads what runs, since when, by which trigger, at which cost, and what is protected."""
        _succeed(runs, "nightly", minutes=40)
        shown = run(swept, *OLDER).stdout
        assert f"Gluebrake {PLACE}" in shown
        row = next(line for line in shown.splitlines() if "at-night" in line)
        assert row.split() == ["nightly", "RUNNING", "14h", "0m", "40m", "0s", "at-night", "140.0"]
        assert next(line for line in shown.splitlines() if "payroll" in line).split()[-1] == "Protected"
        assert "by-hand: 4 jobs considered, 3 active runs matched, 2 can be stopped." in shown
        assert "Protected: the job has the protect tag." in shown
        assert "--stop stops 2 runs." in shown

    def test_a_policy_of_the_stack_is_swept_by_its_name(
        self, stack: PoliciesAws, deployment: Deployment, runs: SimulatedAws
    ) -> None:
        """The report has the policy's own mode and hash. No stop is requested, although its mode is stop."""
        stack.policies = [policy("runaway", max_minutes=600), policy("other")]
        shown = run_json(stack.connect(deployment), "sweep", "runaway")
        (summary,) = shown["report"]["policies"]
        assert (summary["mode"], summary["hash"]) == ("stop", stack.policies[0].hash)
        assert (summary["stoppable"], summary["stopRequested"]) == (1, 0)
        assert [run.get("stopRequested", False) for run in shown["report"]["runs"]] == [False, False]
        assert _requests(runs) == []

    def test_an_unknown_policy_is_an_error(self, stack: PoliciesAws, deployment: Deployment) -> None:
        """The error lists the policies of the stack, or says that there are none."""
        connected = stack.connect(deployment)
        assert "no policy 'runway': its policies are runaway, budget" in _error(connected, "sweep", "runway")
        stack.policies = []
        assert "it has none. docs/policies.md has examples, or give --jobs" in _error(connected, "sweep", "x")

    def test_a_policy_of_a_newer_version_is_an_error(self, stack: PoliciesAws, deployment: Deployment) -> None:
        """A field that the command does not know could narrow the policy down, so it must not be ignored."""
        stack.more = {"onlyOnSundays": True}
        error = _error(stack.connect(deployment), "sweep", "runaway")
        assert "the policy 'runaway' is of another version than this command" in error
        assert "onlyOnSundays" in error

    @pytest.mark.parametrize(
        "change",
        [{"tags": {"team": "M?nchen"}}, {"tags": {"gr?n": "1"}}, {"jobs": ["*", "?rger"]}, {"except": ["?"]}],
    )
    def test_a_condition_that_cloudformation_changes_is_an_error(
        self, stack: PoliciesAws, deployment: Deployment, change: dict[str, Any]
    ) -> None:
        """With a question mark in place of a letter, the policy could mean other jobs."""
        stack.more = change
        error = _error(stack.connect(deployment), "sweep", "runaway")
        assert "CloudFormation does not return the policy 'runaway' as it was deployed" in error
        assert "Give the conditions of the policy as options" in error

    def test_a_reason_that_cloudformation_changes_is_none(
        self, stack: PoliciesAws, deployment: Deployment, runs: SimulatedAws
    ) -> None:
        """It decides nothing. A question mark that was deployed is no change either."""
        stack.policies = [policy("runaway", max_minutes=60, jobs=("nightly", "a?b"))]
        connected = stack.connect(deployment)
        assert _matched(run_json(connected, "sweep", "runaway")) == ["old"]
        stack.policies = [policy("runaway", max_minutes=60, jobs=("nightly",))]
        stack.more = {"reason": "l?uft zu lange"}
        run(connected, "sweep", "runaway", "--stop", "--no-wait", "--yes", "1")
        assert [request["Reason"] for request in _requests(runs)] == ["l?uft zu lange"]

    @pytest.mark.usefixtures("runs")
    def test_a_warning_is_shown(self, stack: PoliciesAws, deployment: Deployment) -> None:
        """A run near the limit is shown, and is none of the runs to stop."""
        stack.policies = [policy("runaway", max_minutes=60, warn_at_percent=40, schedule="rate(1 hour)")]
        shown = run(stack.connect(deployment), "sweep", "runaway").stdout
        assert "2 can be stopped, 1 near the limit." in shown
        assert next(line for line in shown.splitlines() if "30m 0s" in line).endswith("near limit ")
        assert [*_ids(shown)][-1] == "young"

    def test_explain_shows_why_each_other_run_is_left(self, swept: Deployment, runs: SimulatedAws) -> None:
        """Every active run of the jobs in question is in one of the two lists, with the first reason."""
        shown = run_json(swept, *OLDER, "--explain")
        assert {run["jobRunId"]: run["reason"] for run in shown["left"]} == {
            "stopping": "Stopping",
            "young": "WithinLimit",
            "streaming": "OtherType",
        }
        assert {*_matched(shown), *(run["jobRunId"] for run in shown["left"])} == {
            r.run_id for r in runs.aws.glue
        }
        text = run(swept, *OLDER, "--explain").stdout
        for meaning in ("the run is already STOPPING", "the run is within the policy's limits"):
            assert meaning in text

    def test_a_run_without_a_start_time_is_explained(self, swept: Deployment, simulation: SimulatedAws) -> None:
        """Such a run has no age."""
        _start(simulation, "etl", "a", hours=1, StartedOn=None)
        (left,) = run_json(swept, *OLDER, "--explain")["left"]
        assert (left["startedOn"], left["meaning"]) == (None, "Glue gives no start time")
        assert "Glue gives no start time" in run(swept, *OLDER, "--explain").stdout

    def test_jobs_are_limited_as_deployed(
        self, stack: PoliciesAws, deployment: Deployment, runs: SimulatedAws
    ) -> None:
        """`jobs`, `protectedJobs` and the protect tag are those of the STOP function."""
        stack.settings |= {"jobs": ["*l*"], "protected_jobs": ["dev-*"], "protect_tag": "env"}
        assert _matched(run_json(stack.connect(deployment), *OLDER)) == ["protected", "old"]
        assert {request["JobName"] for request in runs.aws.requests("GetJobRuns")} == {"nightly", "payroll"}

    def test_settings_of_another_version_are_an_error(self, stack: PoliciesAws, deployment: Deployment) -> None:
        """Without the limits of the STOP function, no job is read."""
        del stack.settings["protect_tag"]
        error = _error(stack.connect(deployment), *OLDER)
        assert error.startswith("the stack is of another version than this command")
        assert "GLUEBRAKE_PROTECT_TAG: missing" in error

    @pytest.mark.usefixtures("runs")
    def test_no_considered_job_is_a_fault(self, swept: Deployment) -> None:
        """A misspelt pattern is not a quiet account. The exit code is 1."""
        shown = run(swept, "sweep", "--jobs", "nigthly", code=1).stdout
        assert "! by-hand considered 0 jobs: no job matches its patterns, within `jobs`" in shown
        shown = run_json(swept, "sweep", "--jobs", "*", "--tag", "env=none", code=1)["wrong"]
        assert shown[0].startswith(
            "by-hand considered 0 jobs: no job has all its tags and matches its patterns"
        )

    def test_a_policy_over_its_cap_is_shown(
        self, stack: PoliciesAws, deployment: Deployment, runs: SimulatedAws
    ) -> None:
        """The text says that the cap guards SWEEP only. By hand, the runs can be stopped."""
        stack.policies = [policy("runaway", max_minutes=60, max_runs=1)]
        connected = stack.connect(deployment)
        shown = run(connected, "sweep", "runaway").stdout
        assert "runaway is over its cap: 2 runs, and maxRuns is 1. SWEEP stops none of them." in shown
        assert "The cap guards SWEEP only" in shown
        run(connected, "sweep", "runaway", "--stop", "--no-wait", "--yes", "2")
        assert len(_requests(runs)) == 2
        stack.policies = [policy("runaway", max_minutes=60, max_runs=1, mode="report")]
        assert "In the mode stop, SWEEP stops none." in run(connected, "sweep", "runaway").stdout

    def test_a_job_that_cannot_be_read_is_shown(self, swept: Deployment, runs: SimulatedAws) -> None:
        """The other jobs are reported. The exit code is 1, because the report may lack runs."""
        runs.aws.faults.add(Refused("InternalServiceException", "Oh", status=500), when=_reads("nightly"))
        result = run(swept, *OLDER, "--json", code=1)
        shown = json.loads(result.stdout)
        assert _matched(shown) == ["dev", "protected"]
        assert shown["report"]["complete"] is False
        assert shown["wrong"] == [
            "1 job not read whole: nightly",
            "InternalServiceException: Oh",
        ]

    def test_many_unread_jobs_are_shortened(self, swept: Deployment, simulation: SimulatedAws) -> None:
        """A screen is not filled with names. The JSON has them all."""
        for number in range(7):
            simulation.aws.glue.add_job(f"etl-{number}")
        simulation.aws.faults.add(Refused("AccessDeniedException", "no"), operation="GetJobRuns")
        shown = run_json(swept, *OLDER, code=1)
        assert shown["wrong"][0] == "7 jobs not read whole: etl-0, etl-1, etl-2, etl-3, etl-4 and 2 more"
        assert len(shown["report"]["jobsNotRead"]) == 7

    @pytest.mark.parametrize("operation", ["ListJobs", "GetJobRuns", "BatchGetJobs", "GetTags"])
    def test_a_missing_permission_is_named(
        self, swept: Deployment, simulation: SimulatedAws, operation: str
    ) -> None:
        """The operator reads which permission to ask for."""
        _start(simulation, "etl", "a", hours=3)
        simulation.aws.faults.add(Refused("AccessDeniedException", "no"), operation=operation)
        wrong = run_json(swept, *OLDER, code=1)["wrong"]
        assert f"you lack the permission glue:{operation} on the resource of the call" in wrong[-1]


class TestStop:
    """How runs are stopped."""

    def test_exactly_the_shown_runs_are_requested(self, swept: Deployment, runs: SimulatedAws) -> None:
        """A request names the ids of a job's runs, and why and by whom they are stopped. Others are left."""
        _start(runs, "nightly", "older", hours=20)
        result = run(swept, *OLDER, "--stop", "--no-wait", answer="3\n")
        assert f"Stop 3 runs of 2 jobs {PLACE}? Type the number of runs: " in result.stderr
        assert f"Sent 2 stop requests for 3 runs {PLACE}." in result.stdout
        assert sorted(_requests(runs), key=lambda request: str(request["JobName"])) == [
            {**_why("gluebrake sweep --jobs '*' --older-than 2h"), "JobName": "dev-load", "JobRunIds": ["dev"]},
            {
                **_why("gluebrake sweep --jobs '*' --older-than 2h"),
                "JobName": "nightly",
                "JobRunIds": ["older", "old"],
            },
        ]

    @pytest.mark.parametrize("arguments", [(), ("--reason", "incident 4711")])
    def test_the_reason_is_that_of_the_policy_or_of_the_operator(
        self, swept: Deployment, runs: SimulatedAws, arguments: Sequence[str]
    ) -> None:
        """The log then says why the runs were stopped. A policy has a reason of its own."""
        run(swept, "sweep", "runaway", "--stop", "--no-wait", "--yes", "2", *arguments)
        assert {request["Reason"] for request in _requests(runs)} == {*arguments[1:]} or {"runaway says so"}

    @pytest.mark.parametrize("answer", ["3", "1", "y", "yes", "2.0", "-2"])
    def test_another_answer_stops_nothing(self, swept: Deployment, runs: SimulatedAws, answer: str) -> None:
        """Only the number itself is an answer. The error has both, and the exit code is 1."""
        result = run(swept, *OLDER, "--stop", "--no-wait", answer=f"{answer}\n", code=1)
        assert f"your number is {answer}, and the report has 2 runs that can be stopped" in result.stderr
        assert "nothing was stopped" in result.stderr
        assert _requests(runs) == []

    def test_no_answer_stops_nothing(self, swept: Deployment, runs: SimulatedAws) -> None:
        """At the end of the input, or after Ctrl-C, the exit code is 1."""
        run(swept, *OLDER, "--stop", "--no-wait", code=1)
        assert _requests(runs) == []

    def test_yes_must_have_the_number_that_is_found(self, swept: Deployment, runs: SimulatedAws) -> None:
        """A script that expects two runs stops neither one nor three. The JSON says so as well."""
        shown = run_json(swept, *OLDER, "--stop", "--no-wait", "--yes", "3", code=1)
        assert shown["wrong"] == [
            "your number is 3, and the report has 2 runs that can be stopped: nothing was stopped"
        ]
        assert (shown["requests"], _requests(runs)) == (None, [])
        shown = run_json(swept, *OLDER, "--stop", "--no-wait", "--yes", "2")
        assert [request["message_id"] for request in shown["requests"]] == [
            message.message_id for message in runs.stop_queue
        ]
        assert [run.get("stopRequested", False) for run in shown["report"]["runs"]] == [True, True, False]
        assert shown["report"]["policies"][0]["stopRequested"] == 2

    def test_the_question_follows_the_report_also_with_json(
        self, swept: Deployment, runs: SimulatedAws
    ) -> None:
        """The report is on standard error then, so that standard output is JSON."""
        result = run(swept, *OLDER, "--stop", "--no-wait", "--json", answer="2\n")
        assert result.stderr.index("can be stopped") < result.stderr.index("Type the number")
        assert len(json.loads(result.stdout)["requests"]) == len(_requests(runs)) == 2

    def test_without_a_run_to_stop_there_is_no_question(self, swept: Deployment, runs: SimulatedAws) -> None:
        """A protected run is no such run. The number 0 is right, and every other number is not."""
        shown = run(swept, "sweep", "--jobs", "payroll", "--stop", "--no-wait").stdout
        assert f"No run to stop {PLACE}: nothing was sent." in shown
        run(swept, "sweep", "--jobs", "payroll", "--stop", "--no-wait", "--yes", "0")
        run(swept, "sweep", "--jobs", "payroll", "--stop", "--no-wait", "--yes", "1", code=1)
        assert run_json(swept, "sweep", "--jobs", "payroll", "--stop", "--wait")["runs"] == []
        assert _requests(runs) == []

    @pytest.mark.parametrize("operation", ["GetTags", "BatchGetJobs"])
    def test_a_job_whose_tags_or_type_are_unknown_is_not_stopped(
        self, swept: Deployment, runs: SimulatedAws, operation: str
    ) -> None:
        """What cannot be read may protect the run. The exit code is 1, because the report is incomplete."""
        runs.aws.faults.add(Refused("InternalServiceException"), operation=operation)
        run(swept, *OLDER, "--stop", "--no-wait", "--yes", "0", code=1)
        assert _requests(runs) == []

    def test_a_run_with_auto_scaling_is_not_stopped_for_its_dpu_hours(
        self, swept: Deployment, simulation: SimulatedAws
    ) -> None:
        """Its DPU-hours are only an upper bound."""
        _start(simulation, "etl", "a", hours=3, Arguments={"--enable-auto-scaling": "true"})
        shown = run(
            swept, "sweep", "--jobs", "*", "--dpu-hours", "5", "--stop", "--no-wait", "--yes", "0"
        ).stdout
        assert "AutoScaling: the run has auto scaling, so its DPU-hours are not known." in shown
        assert _requests(simulation) == []

    def test_requests_are_no_larger_than_the_stack_allows(
        self, stack: PoliciesAws, deployment: Deployment, simulation: SimulatedAws
    ) -> None:
        """STOP refuses a request that names more than maxRunsPerRequest runs."""
        stack.settings["max_runs_per_request"] = 2
        for number in range(5):
            _start(simulation, "etl", f"jr_{number}", hours=3 + number)
        run(stack.connect(deployment), *OLDER, "--stop", "--no-wait", "--yes", "5")
        assert [request["JobRunIds"] for request in _requests(simulation)] == [
            ["jr_4", "jr_3"],
            ["jr_2", "jr_1"],
            ["jr_0"],
        ]

    def test_an_error_says_how_many_requests_were_sent(self, swept: Deployment, runs: SimulatedAws) -> None:
        """The operator then knows that some runs are being stopped."""
        runs.aws.faults.add(AfterFirst(Refused("AccessDenied", "no")), operation="SendMessageBatch")
        result = invoke(swept, *OLDER, "--stop", "--no-wait", "--yes", "2")
        assert "1 of 2 stop requests were sent before this error:" in result.stderr
        assert (result.exit_code, len(_requests(runs))) == (1, 1)

    def test_a_stack_that_observes_gets_no_request(
        self, stack: PoliciesAws, deployment: Deployment, runs: SimulatedAws
    ) -> None:
        """The error precedes any reading. A report alone is shown, and says that the stack observes."""
        connected = stack.connect(deployment)
        observing = dataclasses.replace(connected, outputs={**connected.outputs, "Observe": "true"})
        error = _error(observing, *OLDER, "--stop", "--yes", "2")
        assert error.endswith("Deploy with `observe: false` first, or leave out --stop")
        assert runs.aws.requests("ListJobs") == []
        shown = run(observing, *OLDER).stdout
        assert "It observes: it stops nothing (observe: true)." in shown
        assert "--stop" not in shown
        assert run_json(observing, *OLDER)["observes"] is True

    @pytest.mark.parametrize(("stopping_seconds", "code"), [(0, 0), (None, 3)])
    def test_wait_follows_the_runs_of_all_jobs(
        self, swept: Deployment, simulation: SimulatedAws, stopping_seconds: float | None, code: int
    ) -> None:
        """Exit code 0 means that none of them is running any more. The table then has their jobs."""
        for job in ("one", "two"):
            for number in range(4):
                _start(simulation, job, f"{job}_{number}", hours=3, stopping_seconds=stopping_seconds)
        simulation.aws.faults.add(StopsAtOnce(simulation), operation="SendMessageBatch")
        arguments = (*OLDER, "--stop", "--yes", "8", "--wait", "--timeout", "0", "--every", "0")
        result = run(swept, *arguments, "--json", code=code)
        shown = json.loads(result.stdout)
        assert {run["job_run_id"] for run in shown["runs"]} == {r.run_id for r in simulation.aws.glue}
        assert (shown["all_stopped"], shown["all_over"]) == (code == 0, code == 0)
        assert ("8 runs had not ended after --timeout." in result.stderr) is (code == 3)
        # A page of each job has them all.
        assert simulation.aws.requests("GetJobRun") == []

    def test_followed_runs_are_a_table(self, swept: Deployment, runs: SimulatedAws) -> None:
        """The last poll is shown, with the job of each run."""
        runs.aws.faults.add(StopsAtOnce(runs), operation="SendMessageBatch")
        shown = run(swept, *OLDER, "--stop", "--yes", "2", "--timeout", "0", code=3).stdout
        *_, first, second, last = shown.splitlines()
        assert {line.split()[1] for line in (first, second)} == {"nightly", "dev-load"}
        assert last == f"0 of 2 stopped {PLACE}"


class TestOptions:
    """How a policy is given by options."""

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--jobs", "n*", "--jobs", "dev-*"], {"old", "young", "dev"}),
            (["--jobs", "*", "--except", "n*", "--except", "pay*"], {"dev"}),
            (["--jobs", "*", "--tag", "env=dev"], {"dev"}),
            (["--jobs", "*", "--older-than", "840"], {"old", "protected"}),
            (["--jobs", "*", "--older-than", "15m"], {"old", "young", "dev", "protected"}),
            (["--jobs", "*", "--older-than", "1d"], {"protected"}),
            (["--jobs", "*", "--times-usual", "2.5"], {"old"}),
            (["--jobs", "*", "--dpu-hours", "100"], {"old", "protected"}),
            (["--jobs", "*", "--type", "gluestreaming"], {"streaming"}),
            (["--jobs", "*", "--all-types"], {"old", "young", "dev", "protected", "streaming"}),
            (["--jobs", "*", "--state", "WAITING", "--state", "STARTING"], {"dev"}),
            (["--jobs", "*", "--execution-class", "FLEX"], {"flex"}),
        ],
    )
    def test_each_option_narrows_the_runs_down(
        self, swept: Deployment, runs: SimulatedAws, options: list[str], expected: set[str]
    ) -> None:
        """All options that are given must hold."""
        _succeed(runs, "nightly", minutes=120)
        if "FLEX" in options:
            _start(runs, "flex", "flex", hours=1, ExecutionClass="FLEX")
        assert set(_matched(run_json(swept, "sweep", *options))) == expected

    @pytest.mark.parametrize("example", [line for line in HELP.examples if line.startswith("gluebrake sweep")])
    @pytest.mark.usefixtures("runs")
    def test_each_example_of_the_help_can_be_run(self, swept: Deployment, example: str) -> None:
        """The operator can copy it. An example that stops runs asks for their number, or has one."""
        _, *arguments = shlex.split(example)
        result = invoke(swept, *arguments)
        asks = "--stop" in arguments
        assert result.exit_code == (1 if asks else 0), result.output
        assert ("Type the number of runs: " in result.stderr) is (asks and "--yes" not in arguments)

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ([], "name a policy of the stack, or give --jobs: --jobs '*' means every job"),
            (["--older-than", "2h"], "name a policy of the stack, or give --jobs"),
            (["runaway", "--jobs", "*"], "the policy runaway has its own conditions: leave out --jobs"),
            (["runaway", "--all-types"], "the policy runaway has its own conditions: leave out --all-types"),
            (["--jobs", "*", "--type", "glueray", "--all-types"], "give --type or --all-types: one of the two"),
            (["--jobs", "*", "--type", "etl"], '--type etl: should be "glueetl", "pythonshell"'),
            (["--jobs", ""], "--jobs : should be a job name or a pattern, 1 to 255 characters"),
            (
                ["--jobs", "*", "--older-than", "2w"],
                "--older-than 2w: must be a number of minutes, or such as 90m",
            ),
            (
                ["--jobs", "*", "--older-than", "99d"],
                "--older-than 99d: should be a whole number of minutes from 1",
            ),
            (
                ["--jobs", "*", "--older-than", "0"],
                "--older-than 0: should be a whole number of minutes from 1",
            ),
            (["--jobs", "*", "--times-usual", "1"], "--times-usual 1.0: should be a number over 1"),
            (["--jobs", "*", "--dpu-hours", "0"], "--dpu-hours 0.0: should be a number over 0"),
            (["--jobs", "*", "--tag", "env"], "--tag env: must be KEY=VALUE, such as --tag env=dev"),
            (["--jobs", "*", "--tag", "a=1", "--tag", "a=2"], "--tag a: is given twice"),
            (
                ["--jobs", "*", "--tag", "a" * 129 + "=1"],
                "should be KEY=VALUE: a key of at most 128 characters",
            ),
            (["--jobs", "*", "--state", "STOPPED"], '--state STOPPED: should be "STARTING", "RUNNING" or'),
            (["--jobs", "*", "--execution-class", "flex"], 'flex: should be "STANDARD" or "FLEX"'),
            (["--jobs", "*", "--reason", "a\0b"], "should be a text of 1 to 1024 characters without control"),
            (["runaway", "--reason", "a" * 1025], "should be a text of 1 to 1024 characters"),
            (["runaway", "--yes", "3"], "--yes requires --stop"),
            (["runaway", "--wait"], "--wait requires --stop"),
        ],
    )
    def test_a_wrong_command_line_is_refused(
        self, swept: Deployment, simulation: SimulatedAws, arguments: list[str], error: str
    ) -> None:
        """The error names the option and what is allowed, and AWS is not called."""
        shown = run(swept, "sweep", *arguments, code=2).stderr.replace("│", " ")
        assert error in " ".join(shown.split())
        assert simulation.aws.calls == []

    def test_all_mistakes_are_named_at_once(self, swept: Deployment) -> None:
        """The operator corrects the command line once."""
        options = ("--type", "x", "--state", "y", "--times-usual", "0")
        shown = run(swept, "sweep", "--jobs", "*", *options, code=2).stderr
        assert all(option in shown for option in ("--type x", "--state y", "--times-usual 0"))

    def test_the_default_reason_is_one_that_stop_accepts(
        self, swept: Deployment, simulation: SimulatedAws
    ) -> None:
        """The reason is the command, cut to the longest reason, without control characters."""
        _start(simulation, "etl", "a", hours=1)
        jobs = [word for pattern in ("e\ttl", *["x" * 250] * 5, "*") for word in ("--jobs", pattern)]
        run(swept, "sweep", *jobs, "--stop", "--no-wait", "--yes", "1")
        (request,) = _requests(simulation)
        assert request["Reason"].startswith("gluebrake sweep --jobs 'e?tl' --jobs xxx")
        assert len(request["Reason"]) == 1024


class TestDocuments:
    """The help and docs/command.md have what the command takes and shows."""

    def test_each_field_of_a_policy_has_an_option_in_the_help(self, swept: Deployment) -> None:
        """An operator can describe the runs without the name of a policy."""
        shown = run(swept, "sweep", "--help").stdout
        assert [option for option in OPTIONS.values() if f" {option} " not in shown] == []

    def test_each_reason_for_no_stop_is_documented(self) -> None:
        """The table has the words of the column `not stopped`."""
        rows = Document(DOCS / "command.md").rows("Sweep")
        assert {text_of(row[0]) for row in rows} == {*NotStopped, "near limit"}


def _succeed(simulation: SimulatedAws, job: str, *, minutes: int) -> None:
    """Give a job enough successful runs to know how long a run usually takes."""
    for number in range(10):
        _start(simulation, job, f"ok_{number}", hours=48, state="SUCCEEDED", ExecutionTime=minutes * 60)


def _why(reason: str) -> dict[str, Any]:
    return {"Reason": reason, "RequestedBy": ANY_TEXT}


class _AnyText:
    """Equals each text that is not empty."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(other)

    __hash__ = None  # type: ignore[assignment]


ANY_TEXT: Final = _AnyText()


def _ids(shown: str) -> list[str]:
    """Return the run ids of a screen: they are indented."""
    return [line.strip() for line in shown.splitlines() if line.startswith("  ")][1:]


def _error(deployment: Deployment, *arguments: str) -> str:
    result: Result = invoke(deployment, *arguments)
    assert result.exit_code == 1
    return str(result.exception)


def _reads(job_name: str) -> Any:
    return lambda call: call.operation == "GetJobRuns" and call.parameters["JobName"] == job_name
