"""`gluebrake --environment all status | history | doctor` has a line for each environment, then sums."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

import gluebrake
from gluebrake.outcomes import Outcome
from gluebrake_cli import insights
from gluebrake_cli.commands import doctor, history, status
from gluebrake_cli.health import Alarm, MappingState, QueueDepth
from gluebrake_cli.runs import LogLine
from gluebrake_cli.stack import Deployment
from tests.cli.fleet_aws import CONFIG, DEV, PROD, FleetAws, invoke, run, run_json
from tests.cli.history_aws import COST, HistoryAws
from tests.support.eventually import eventually
from tests.support.fakes.faults import Refused

ALL: Final = ("--environment", "all")
NAMES: Final = [*CONFIG["environments"]]
RUN: Final = f"jr_{'0123456789abcdef' * 4}"


@pytest.fixture
def logs(fleet: FleetAws) -> dict[str, HistoryAws]:
    """Give each environment logs without a line."""
    logs = {name: HistoryAws() for name in NAMES}
    for name, of_place in logs.items():
        fleet[name].connect = of_place.connect
    return logs


def _lines(fleet: FleetAws, *arguments: str, code: int = 0) -> list[str]:
    return [line.rstrip() for line in run(fleet, *ALL, *arguments, code=code).stdout.splitlines()]


class _Healthy(Deployment):
    """A deployment whose sections can all be read, and in which nothing is wrong."""

    def depths(self) -> list[QueueDepth]:
        return []

    def oldest_ages(self, now: datetime) -> Mapping[str, int]:
        del now
        return {}

    def alarms(self) -> list[Alarm]:
        return []

    def mappings(self) -> list[MappingState]:
        return []

    def configuration(self, function: str) -> Mapping[str, Any]:
        del function
        return {}

    def outcomes(self, since: datetime, until: datetime | None = None) -> list[LogLine]:
        del since, until
        return []


def _healthy(deployment: Deployment) -> Deployment:
    return _Healthy(deployment.clients, deployment.stack_id, deployment.outputs)


class TestEachEnvironment:
    """What holds for all of these commands."""

    @pytest.mark.parametrize("command", ["status", "history", "doctor"])
    def test_json_has_an_object_for_each_environment(
        self, fleet: FleetAws, logs: dict[str, HistoryAws], command: str
    ) -> None:
        """It has the members of the command, and the environment, its place, and the error, if any."""
        del logs
        fleet.profiles["prod-us"] = DEV
        alone = run_json(fleet, "--environment", "dev", command, code=0 if command == "history" else 1)
        shown = run_json(fleet, *ALL, command, code=1)
        assert [*shown] == ["environments", "wrong"]
        prod_eu, prod_us, dev = shown["environments"]
        assert [each["environment"] for each in shown["environments"]] == NAMES
        assert (prod_eu["account"], prod_eu["region"], prod_eu["error"]) == (PROD, "eu-west-1", None)
        assert dev.keys() - {"error"} == alone.keys()
        assert alone["environment"] == "dev"
        assert [*prod_us] == ["environment", "account", "region", "error"]
        assert prod_us["error"] in next(text for text in shown["wrong"] if text.startswith("prod-us: "))

    @pytest.mark.parametrize("command", ["status", "history", "doctor", "sweep"])
    def test_environment_that_cannot_be_reached_leaves_the_rest(self, fleet: FleetAws, command: str) -> None:
        """Its line and its error are shown, nothing of it is read, and the exit code is 1."""
        del fleet.profiles["dev"]
        fleet["dev"].connect = HistoryAws().connect
        shown = _lines(fleet, command, *(("--jobs", "*") if command == "sweep" else ()), code=1)
        verb = "swept" if command == "sweep" else "read"
        assert any(line.split()[:3] == ["dev", DEV, "eu-west-1"] for line in shown if f"not {verb}" in line)
        assert any(line.startswith("! dev: no such profile in ~/.aws/config: ") for line in shown)
        assert any("--profile-for NAME=PROFILE" in line for line in shown)
        assert fleet["dev"].is_untouched
        assert "DescribeStacks" in fleet["prod-eu"].calls

    @pytest.mark.parametrize("command", ["status", "history", "doctor"])
    def test_no_environment_can_be_reached(self, fleet: FleetAws, command: str) -> None:
        """There are no sums then: they would be zeros that no one has counted."""
        fleet.profiles.clear()
        shown = _lines(fleet, command, code=1)
        assert shown[-1] == "3 environments: 3 not read."

    def test_standard_error_is_empty_without_a_terminal(
        self, fleet: FleetAws, logs: dict[str, HistoryAws]
    ) -> None:
        """A scheduled job does not send a mail for a bar that no one sees."""
        del logs
        assert run(fleet, *ALL, "history").stderr == ""

    @pytest.mark.parametrize("module", [status, history, doctor])
    def test_example_of_the_help_can_be_run(
        self, fleet: FleetAws, logs: dict[str, HistoryAws], module: object
    ) -> None:
        """The operator can copy it."""
        del logs
        examples: Mapping[str, str] = module.HELP.examples  # type: ignore[attr-defined]
        (example,) = [line for line in examples if "--environment" in line]
        program, *arguments = example.split()
        assert program == "gluebrake"
        assert f"{len(NAMES)} environments: " in invoke(fleet, *arguments).stdout


class TestStatus:
    """`gluebrake --environment all status`."""

    def test_problems_are_explained_under_their_environment(self, fleet: FleetAws) -> None:
        """An environment without problems has its line only. The sums follow."""
        fleet["prod-eu"].connect = fleet["dev"].connect = _healthy
        fleet["prod-us"].simulation.dead_letter_queue.put("x")
        shown = _lines(fleet, "status", code=1)
        assert shown[0] == f"prod-us in us-east-1 (account {PROD})"
        assert shown[1:3] == [
            "! 1 dead letter: requests that could not be carried out",
            "  `gluebrake dead-letters --by-reason` shows why, and what to do.",
        ]
        table = [line.split(maxsplit=3) for line in shown if line.startswith((*NAMES, "environment"))][1:]
        assert table == [
            ["environment", "account", "Region", "result"],
            ["prod-eu", PROD, "eu-west-1", "all is well"],
            ["prod-us", PROD, "us-east-1", "6 problems"],
            ["dev", DEV, "eu-west-1", "all is well"],
        ]
        assert shown[-3:] == [
            "3 environments: 2 without problems, 1 with problems.",
            "1 dead letter, 0 alarms in ALARM, 0 mappings not enabled.",
            "5 sections could not be read, so these numbers may be higher.",
        ]

    def test_nothing_is_wrong(self, fleet: FleetAws) -> None:
        """The exit code is 0, and each line has the verdict."""
        for place in fleet.places.values():
            place.connect = _healthy
        shown = _lines(fleet, "status")
        assert shown[-2:] == [
            "3 environments: 3 without problems.",
            "0 dead letters, 0 alarms in ALARM, 0 mappings not enabled.",
        ]
        assert run_json(fleet, *ALL, "status")["wrong"] == []

    def test_environment_that_observes_is_named(self, fleet: FleetAws, logs: dict[str, HistoryAws]) -> None:
        """Nothing is stopped there, which no count of problems shows."""
        logs["dev"].settings["observe"] = True
        shown = _lines(fleet, "status", code=1)
        assert any(line.startswith("dev ") and line.endswith(", observes") for line in shown)
        assert shown[-1] == "1 environment with `observe: true`: nothing is stopped there."


class TestHistory:
    """`gluebrake --environment all history`."""

    def test_runs_are_under_their_environment(self, fleet: FleetAws, logs: dict[str, HistoryAws]) -> None:
        """An operator who knows only the run id finds out where it was stopped."""
        logs["prod-us"].record(Outcome.STOPPED, RUN, measures=COST, ago=timedelta(minutes=3))
        shown = _lines(fleet, "history", "--run", RUN)
        assert shown[0] == f"prod-us in us-east-1 (account {PROD})"
        assert RUN in shown
        results = [line.split(maxsplit=3)[3] for line in shown if line.startswith(tuple(NAMES))][1:]
        assert results == ["nothing found", "1 of 1 stopped, about $1.41 (an estimate)", "nothing found"]

    def test_sums_are_those_of_all_environments(self, fleet: FleetAws, logs: dict[str, HistoryAws]) -> None:
        """Usage and cost are summed, each run once, and so is what Logs Insights has scanned."""
        for name in ("prod-us", "dev"):
            logs[name].record(Outcome.STOPPED, RUN, measures=COST)
            logs[name].record(Outcome.FAILED, "jr_2")
        shown = _lines(fleet, "history")
        assert shown[-3] == "3 environments: 3 without problems."
        assert shown[-2].startswith("4 runs found, 2 stopped: 6.4 DPU-hours, about $2.82 in sum (an estimate)")
        assert shown[-1].startswith("Logs Insights scanned ")

    def test_nothing_is_found(self, fleet: FleetAws, logs: dict[str, HistoryAws]) -> None:
        """That is no error."""
        del logs
        assert "0 runs found, 0 stopped." in _lines(fleet, "history")

    def test_result_that_is_not_complete_is_a_problem(
        self, fleet: FleetAws, logs: dict[str, HistoryAws], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The exit code is 1, and the text is below the runs of that environment."""
        monkeypatch.setattr(insights, "MOST_LINES", 1)
        logs["dev"].record(Outcome.STOPPED, RUN)
        assert any("older ones are missing" in line for line in _lines(fleet, "history", code=1))
        (wrong,) = run_json(fleet, *ALL, "history", code=1)["wrong"]
        assert wrong.startswith("dev: the query returned 1 log lines")

    def test_query_that_is_refused_leaves_the_rest(self, fleet: FleetAws, logs: dict[str, HistoryAws]) -> None:
        """The permission that is missing in one account is named."""
        logs["dev"].refused = {"StartQuery": "AccessDeniedException"}
        logs["prod-eu"].record(Outcome.STOPPED, RUN)
        shown = _lines(fleet, "history", code=1)
        assert any(line.startswith("! dev: you lack the permission logs:StartQuery") for line in shown)
        assert (
            "1 run found, 1 stopped: DPU-hours of 1 run are not known; dollars of 1 run are not known." in shown
        )

    def test_ctrl_c_stops_the_query_of_each_environment(
        self, fleet: FleetAws, logs: dict[str, HistoryAws]
    ) -> None:
        """After it, no query runs, and costs, without anything that reads its result."""
        for of_place in logs.values():
            of_place.statuses = ["Running"] * 1000

        def press() -> None:
            eventually(lambda: all(of_place.queries for of_place in logs.values()))
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=press).start()
        assert invoke(fleet, *ALL, "history").exit_code == 130
        assert [of_place.stopped for of_place in logs.values()] == [["query-1"]] * 3


class TestDoctor:
    """`gluebrake --environment all doctor`."""

    def test_checks_that_are_not_right_are_under_their_environment(self, fleet: FleetAws) -> None:
        """The command that fixes a problem names the environment. Checks that are right are counted only."""
        for name in ("prod-eu", "prod-us"):
            fleet[name].outputs["Version"] = gluebrake.__version__
        shown = _lines(fleet, "doctor", code=1)
        position = shown.index(f"dev in eu-west-1 (account {DEV})")
        wrong = next(number for number, line in enumerate(shown) if line.startswith("wrong "))
        assert position < wrong
        assert shown[wrong + 1] == "    with your configuration: make deploy CDK_OPTIONS=... ENVIRONMENT=dev"
        assert not any(line.startswith("right ") for line in shown)
        results = [line.split(maxsplit=3)[3] for line in shown if line.startswith(tuple(NAMES))]
        assert results[-3:] == [
            *["10 checks: 9 not checked, 1 right"] * 2,
            "10 checks: 9 not checked, 1 wrong (1 problem)",
        ]
        assert shown[-2:] == [
            "3 environments: 2 without problems, 1 with problems.",
            "30 checks: 27 not checked, 2 right, 1 wrong (1 problem)",
        ]


def test_call_that_is_refused_is_a_problem_of_its_environment(fleet: FleetAws) -> None:
    """One account's throttling does not hide another's numbers."""
    for place in fleet.places.values():
        place.connect = lambda deployment: deployment
    fleet["dev"].simulation.aws.faults.add(Refused("ThrottlingException"), operation="GetQueueAttributes")
    shown = run_json(fleet, *ALL, "status", code=1)
    assert [len(each["queues"]) for each in shown["environments"]] == [3, 3, 0]
