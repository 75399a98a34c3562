"""Types, tags and caps decide which matched runs a sweep reports, and which of them it requests to stop."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import msgspec
import pytest

from gluebrake.contract import StopRequest
from gluebrake.decisions.policies import NotMatched, NotStopped
from gluebrake.decisions.sweep_conclusion import Conclusion, stop_messages
from gluebrake.model import JobDefinition, RunFacts
from gluebrake.policies import Trigger
from gluebrake.prices import Prices
from gluebrake.stages import Queue
from gluebrake.sweep_contract import PolicyReport, ReportedRun
from tests.support.builders import NOON
from tests.support.sweeps import concluded, due, policy, reading, requested, run

pytestmark = pytest.mark.disable_socket

AUTO_SCALING: Final = "--enable-auto-scaling"


def _runs(count: int) -> list[RunFacts]:
    return [run(f"jr_{number}") for number in range(count)]


def _not_stopped(conclusion: Conclusion) -> str:
    """Return why the one matched run is not stopped, and assert that it is reported and not counted."""
    (reported,), (report,) = conclusion.runs, conclusion.reports
    assert (report.matched, report.stoppable, report.stop_requested) == (1, 0, 0)
    assert not reported.stop_requested
    assert conclusion.requests == ()
    return reported.not_stopped


class TestReportedRuns:
    """What is reported of a run."""

    def test_run_is_reported_with_what_a_person_needs_to_judge_it(self) -> None:
        """Ages are counted at the due time, and DPU-hours are an upper bound."""
        active = run(
            "jr_7", minutes=90, state="WAITING", worker_type="G.2X", number_of_workers=5, trigger_name="nightly"
        )
        job = reading(active, job_name="load", succeeded_seconds=(600.0,) * 10)
        assert concluded([due(max_minutes=60)], job).runs == (
            ReportedRun(
                policy="runaway",
                job_name="load",
                job_run_id="jr_7",
                state="WAITING",
                started_on=NOON - timedelta(minutes=90),
                minutes=90,
                usual_minutes=10,
                dpu_hours_at_most=15,
                estimated_cost_usd_at_most=15 * 0.44,
                newly_matched=True,
                trigger_name="nightly",
                stop_requested=True,
            ),
        )

    def test_without_a_price_there_are_no_dollars(self) -> None:
        """The DPU-hours are reported without them."""
        (reported,) = concluded([due()], reading(run()), prices=Prices(standard=None)).runs
        assert (reported.dpu_hours_at_most, reported.estimated_cost_usd_at_most) == (10, None)

    def test_what_is_not_known_is_left_out(self) -> None:
        """A run without DPUs, history and trigger has none of them in the report."""
        (reported,) = concluded([due()], reading(run(max_capacity=None))).runs
        assert {*msgspec.json.decode(msgspec.json.encode(reported))} == {
            "policy",
            "jobName",
            "jobRunId",
            "state",
            "startedOn",
            "minutes",
            "newlyMatched",
            "stopRequested",
        }

    def test_runs_are_in_the_order_of_the_policies(self) -> None:
        """The runs of the first policy come first, and a run that two policies match is reported for each."""
        policies = [due("b", max_minutes=30), due("a")]
        conclusion = concluded(policies, reading(run("new", minutes=1), run("old")))
        assert [(reported.policy, reported.job_run_id) for reported in conclusion.runs] == [
            ("b", "old"),
            ("a", "new"),
            ("a", "old"),
        ]

    def test_run_near_the_limit_is_a_warning(self) -> None:
        """It is reported, not counted against the cap and not stopped."""
        limited = due(max_minutes=75, warn_at_percent=80, schedule="rate(15 minutes)", max_runs=1)
        conclusion = concluded([limited], reading(run("near", minutes=60), run("over", minutes=76)))
        assert [(found.job_run_id, found.warning, found.stop_requested) for found in conclusion.runs] == [
            ("near", True, False),
            ("over", False, True),
        ]
        (report,) = conclusion.reports
        assert (report.matched, report.warned, report.stoppable, report.over_cap) == (1, 1, 1, False)


class TestTypes:
    """Which jobs a policy means, by their types."""

    @pytest.mark.parametrize(
        ("job_type", "types", "reason"),
        [
            ("glueetl", None, None),
            ("pythonshell", None, None),
            ("gluestreaming", None, NotMatched.OTHER_TYPE),
            ("glueray", None, NotMatched.OTHER_TYPE),
            ("a type of a later Glue", None, NotMatched.OTHER_TYPE),
            ("gluestreaming", ("gluestreaming",), None),
            ("glueetl", ("gluestreaming", "glueray"), NotMatched.OTHER_TYPE),
            ("", ("gluestreaming", "glueray"), NotMatched.UNKNOWN_TYPE),
        ],
    )
    def test_type_decides(self, job_type: str, types: Any, reason: NotMatched | None) -> None:
        """By default a policy means neither streaming nor Ray jobs, nor types that it cannot know."""
        due_policy = due(**({"types": types} if types else {}))
        conclusion = concluded([due_policy], reading(run()), definitions={"etl": JobDefinition(job_type)})
        assert [left.reason for left in conclusion.left] == ([reason] if reason else [])
        assert len(conclusion.runs) == len(conclusion.requests) == (0 if reason else 1)

    def test_job_without_a_definition_is_of_an_unknown_type(self) -> None:
        """BatchGetJobs failed, or did not find the job: its runs are left alone and counted."""
        conclusion = concluded([due()], reading(run()), definitions={"other": JobDefinition("glueetl")})
        assert [left.reason for left in conclusion.left] == [NotMatched.UNKNOWN_TYPE]
        assert conclusion.reports[0].not_matched == {"UnknownType": 1}
        assert (conclusion.runs, conclusion.requests) == ((), ())

    def test_run_near_the_limit_of_a_policy_for_other_types_is_within_the_limit(self) -> None:
        """Each active run is explained: as a match, as a warning, or with the first reason against it."""
        limited = due(max_minutes=75, warn_at_percent=80, schedule="rate(15 minutes)")
        streaming = {"etl": JobDefinition("gluestreaming")}
        conclusion = concluded([limited], reading(run(minutes=60)), definitions=streaming)
        assert [left.reason for left in conclusion.left] == [NotMatched.WITHIN_LIMIT]
        assert conclusion.runs == ()


class TestNotStopped:
    """Runs that a policy matches and does not stop: they are reported, and do not count against the cap."""

    def test_run_of_a_protected_job(self) -> None:
        """The protect tag vetoes the stop."""
        assert _not_stopped(concluded([due()], reading(run()), protected={"etl": True})) == NotStopped.PROTECTED

    def test_run_of_a_job_whose_tags_are_unknown(self) -> None:
        """Nothing shows that the job is not protected."""
        assert _not_stopped(concluded([due()], reading(run()), protected={})) == NotStopped.TAGS_UNKNOWN

    @pytest.mark.parametrize(
        ("of_run", "default", "fixed", "scales"),
        [
            ({}, {}, {}, False),
            ({AUTO_SCALING: "true"}, {}, {}, True),
            ({}, {AUTO_SCALING: "true"}, {}, True),
            ({}, {}, {AUTO_SCALING: "true"}, True),
            ({AUTO_SCALING: "false"}, {AUTO_SCALING: "true"}, {}, False),
            ({AUTO_SCALING: "true"}, {AUTO_SCALING: "false"}, {}, True),
            ({AUTO_SCALING: "false"}, {AUTO_SCALING: "false"}, {AUTO_SCALING: "true"}, True),
            ({AUTO_SCALING: "true"}, {AUTO_SCALING: "true"}, {AUTO_SCALING: "false"}, False),
            ({AUTO_SCALING: "FALSE"}, {}, {}, False),
            ({AUTO_SCALING: ""}, {}, {}, True),
            ({AUTO_SCALING: None}, {}, {}, True),
            ({AUTO_SCALING: True}, {}, {}, True),
            ({"--other": "true"}, {"--another": "true"}, {}, False),
        ],
    )
    def test_run_with_auto_scaling_under_a_limit_of_dpu_hours(
        self, of_run: dict[str, Any], default: dict[str, Any], fixed: dict[str, Any], *, scales: bool
    ) -> None:
        """Its DPUs are only a maximum. A job's fixed arguments precede the run's, and these the defaults."""
        job = reading(run(minutes=600, arguments=of_run))
        definitions = {"etl": JobDefinition("glueetl", default, fixed)}
        by_dpu_hours = concluded([due(max_dpu_hours=1)], job, definitions=definitions)
        assert by_dpu_hours.runs[0].not_stopped == (NotStopped.AUTO_SCALING if scales else "")
        assert len(requested(by_dpu_hours)) == (0 if scales else 1)
        assert by_dpu_hours.runs[0].dpu_hours_at_most == 100
        by_minutes = concluded([due(max_minutes=1)], job, definitions=definitions)
        assert len(requested(by_minutes)) == 1

    def test_limit_of_dpu_hours_beside_another_does_not_stop_a_run_with_auto_scaling(self) -> None:
        """A run must exceed every limit, and nothing shows that it exceeds this one."""
        job = reading(run(minutes=600, arguments={AUTO_SCALING: "true"}))
        conclusion = concluded([due(max_dpu_hours=1, max_minutes=1)], job)
        assert _not_stopped(conclusion) == NotStopped.AUTO_SCALING

    def test_protected_run_is_protected_for_every_policy(self) -> None:
        """The first reason is the tag's."""
        job = reading(run(minutes=600, arguments={AUTO_SCALING: "true"}))
        conclusion = concluded([due(max_dpu_hours=1)], job, protected={"etl": True})
        assert _not_stopped(conclusion) == NotStopped.PROTECTED

    def test_runs_that_are_not_stopped_do_not_count(self) -> None:
        """A policy with a cap of one stops one run beside any number of protected ones."""
        jobs = [reading(*_runs(5), job_name="a"), reading(run("only"), job_name="b")]
        conclusion = concluded([due(max_runs=1)], *jobs, protected={"a": True, "b": False})
        assert requested(conclusion) == [("policy/runaway", "b", "only")]
        (report,) = conclusion.reports
        assert (report.matched, report.stoppable, report.over_cap) == (6, 1, False)


class TestCaps:
    """A policy that would stop more runs than its cap stops none."""

    @pytest.mark.parametrize(("count", "stopped"), [(0, 0), (9, 9), (10, 10), (11, 0), (500, 0)])
    def test_more_than_the_cap_stops_none(self, count: int, stopped: int) -> None:
        """The cap itself is allowed. Over it, every run is still reported."""
        conclusion = concluded([due(max_runs=10)], reading(*_runs(count)))
        (report,) = conclusion.reports
        assert len(requested(conclusion)) == report.stop_requested == stopped
        assert (report.matched, report.stoppable, report.max_runs) == (count, count, 10)
        assert report.over_cap is (count > 10)
        assert len(conclusion.runs) == count

    def test_cap_counts_over_all_jobs(self) -> None:
        """Six runs of each of two jobs are twelve."""
        jobs = [reading(*_runs(6), job_name=name) for name in ("a", "b")]
        assert concluded([due(max_runs=11)], *jobs).requests == ()
        assert len(requested(concluded([due(max_runs=12)], *jobs))) == 12

    def test_policy_over_its_cap_shields_nothing_from_the_next(self) -> None:
        """The next policy that is within its own cap stops the same runs."""
        conclusion = concluded([due("first", max_runs=2), due("second", max_runs=3)], reading(*_runs(3)))
        assert {requester for requester, _, _ in requested(conclusion)} == {"policy/second"}
        assert [report.over_cap for report in conclusion.reports] == [True, False]
        assert [report.stop_requested for report in conclusion.reports] == [0, 3]

    def test_run_of_two_policies_counts_for_both(self) -> None:
        """What the first policy stops still counts against the cap of the second."""
        policies = [due("first", max_minutes=30), due("second", max_runs=2)]
        conclusion = concluded(policies, reading(run("old"), run("new", minutes=1), run("newer", minutes=0)))
        assert requested(conclusion) == [("policy/first", "etl", "old")]
        assert [report.stoppable for report in conclusion.reports] == [1, 3]
        assert [report.over_cap for report in conclusion.reports] == [False, True]

    def test_report_mode_stops_nothing_and_shows_the_cap(self) -> None:
        """A policy that only reports shows whether it would exceed its cap."""
        conclusion = concluded([due(mode="report", max_runs=2)], reading(*_runs(3)))
        assert conclusion.requests == ()
        (report,) = conclusion.reports
        assert (report.mode, report.stoppable, report.over_cap, report.stop_requested) == ("report", 3, True, 0)


class TestRequests:
    """The stop requests of a sweep."""

    def test_run_is_named_once_by_the_first_policy_that_stops(self) -> None:
        """Report mode and the cap let the next policy name it, and the others only report it."""
        policies = [
            due("reports", mode="report"),
            due("capped", max_runs=1),
            due("stops"),
            due("late"),
        ]
        conclusion = concluded(policies, reading(*_runs(2)))
        assert requested(conclusion) == [("policy/stops", "etl", "jr_0"), ("policy/stops", "etl", "jr_1")]
        assert [
            (found.policy, found.stop_requested) for found in conclusion.runs if found.job_run_id == "jr_0"
        ] == [
            ("reports", False),
            ("capped", False),
            ("stops", True),
            ("late", False),
        ]

    def test_second_policy_names_what_the_first_left(self) -> None:
        """Each policy requests only what no earlier policy requested, and the last of them nothing."""
        policies = [due("first", max_minutes=30), due("second"), due("third")]
        conclusion = concluded(policies, reading(run("old"), run("new", minutes=1)))
        assert requested(conclusion) == [("policy/first", "etl", "old"), ("policy/second", "etl", "new")]
        assert [report.stop_requested for report in conclusion.reports] == [1, 1, 0]

    def test_runs_of_the_same_id_in_two_jobs_are_two_runs(self) -> None:
        """A run is a job and an id."""
        conclusion = concluded([due()], reading(run(), job_name="a"), reading(run(), job_name="b"))
        assert requested(conclusion) == [("policy/runaway", "a", "jr_1"), ("policy/runaway", "b", "jr_1")]

    def test_request_names_the_runs_the_reason_and_the_policy(self) -> None:
        """It is an ordinary stop request, which can mean no run that starts later."""
        (sent,) = concluded([due()], reading(*_runs(2))).requests
        assert sent.request == StopRequest(
            job_name="etl",
            job_run_ids=("jr_0", "jr_1"),
            reason="runaway says so",
            requested_by="policy/runaway",
        )
        assert sent.via == f"schedule of policy runaway {policy().hash}, due 2026-11-24T12:00:00+00:00"

    @pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (25, [25]), (26, [25, 1]), (75, [25, 25, 25])])
    def test_request_has_a_bounded_number_of_ids(self, count: int, sizes: list[int]) -> None:
        """A message has room for so many ids. Each id is in one request."""
        conclusion = concluded([due(max_runs=1000)], reading(*_runs(count)), ids_in_a_request=25)
        assert [len(sent.request.job_run_ids or ()) for sent in conclusion.requests] == sizes
        assert [run_id for _, _, run_id in requested(conclusion)] == [f"jr_{number}" for number in range(count)]

    def test_request_is_of_one_policy_and_job(self) -> None:
        """Two policies that stop runs of one job make two requests, each with its own reason."""
        policies = [due("first", max_minutes=30), due("second")]
        conclusion = concluded(policies, reading(run("old"), run("new", minutes=1)), reading(job_name="idle"))
        assert [(sent.request.reason, sent.request.job_name) for sent in conclusion.requests] == [
            ("first says so", "etl"),
            ("second says so", "etl"),
        ]

    def test_messages_carry_the_requests_to_the_stop_queue(self) -> None:
        """The messages that led to the sweep are done when all stop requests are sent."""
        conclusion = concluded([due()], reading(run(), job_name="a"), reading(run(), job_name="b"))
        messages = stop_messages(conclusion, frozenset({"m-1", "m-2"}))
        assert {message.queue for message in messages} == {Queue.STOP}
        assert {message.message_ids for message in messages} == {frozenset({"m-1", "m-2"})}
        assert [msgspec.json.decode(message.body) for message in messages] == [
            {
                "JobName": name,
                "JobRunIds": ["jr_1"],
                "Reason": "runaway says so",
                "RequestedBy": "policy/runaway",
            }
            for name in ("a", "b")
        ]
        assert {*messages[0].attributes.values()} == {conclusion.requests[0].via}


class TestReports:
    """What is reported of a policy."""

    def test_policy_that_found_nothing_is_reported(self) -> None:
        """Zero is an answer: a policy that never matches anything is visible."""
        at = NOON - timedelta(minutes=3)
        (report,) = concluded([due("idle", at=at, trigger=Trigger.SIGNAL, mode="report")]).reports
        assert report == PolicyReport(
            policy="idle",
            hash=policy("idle", mode="report").hash,
            mode="report",
            trigger="signal",
            due=at,
            jobs=0,
            jobs_not_read=0,
            matched=0,
            warned=0,
            stoppable=0,
            max_runs=10,
            over_cap=False,
            stop_requested=0,
            not_matched={},
        )

    def test_reports_are_in_the_order_of_the_policies(self) -> None:
        """Each due policy has one report."""
        assert [report.policy for report in concluded([due("b"), due("c"), due("a")]).reports] == [
            "b",
            "c",
            "a",
        ]

    def test_jobs_are_counted_for_the_policies_that_considered_them(self) -> None:
        """A job that was not read whole is counted, though none of its runs may be known."""
        jobs = [
            reading(run(), job_name="read"),
            reading(job_name="idle"),
            reading(run("a"), run("b"), job_name="cut", complete=False),
            reading(job_name="unread", complete=False),
        ]
        (report,) = concluded([due()], *jobs).reports
        assert (report.jobs, report.jobs_not_read) == (4, 2)
        assert (report.matched, report.not_matched) == (1, {"JobNotRead": 2})

    def test_runs_that_do_not_match_are_counted_by_the_first_reason(self) -> None:
        """Each active run that a policy considers is matched, warned of, or counted with a reason."""
        limited = due(max_minutes=60, max_times_usual=2)
        known = (60.0,) * 10
        jobs = [
            reading(
                run("over", minutes=90),
                run("within", minutes=10),
                run("stopping", state="STOPPING"),
                run("odd", state="PAUSED"),
                run("no start", started_on=None),
                run("later", minutes=-1),
                run("later still", minutes=-2),
                succeeded_seconds=known,
            ),
            reading(run(), job_name="new"),
            reading(run(minutes=90), job_name="stream", succeeded_seconds=known),
            reading(run(minutes=90), job_name="gone", succeeded_seconds=known),
        ]
        types = {"etl": "glueetl", "new": "glueetl", "stream": "gluestreaming"}
        definitions = {name: JobDefinition(job_type) for name, job_type in types.items()}
        (report,) = concluded([limited], *jobs, definitions=definitions).reports
        assert report.not_matched == {
            "WithinLimit": 1,
            "Stopping": 1,
            "OtherState": 1,
            "NoStartTime": 1,
            "StartedLater": 2,
            "TooLittleHistory": 1,
            "OtherType": 1,
            "UnknownType": 1,
        }
        assert report.matched == 1

    def test_policies_do_not_count_for_each_other(self) -> None:
        """What one policy leaves alone is not in the report of another."""
        policies = [due("waiting", states=("WAITING",)), due("all")]
        waiting, everything = concluded(policies, reading(run(), run("w", state="WAITING"))).reports
        assert (waiting.matched, waiting.not_matched) == (1, {"OtherState": 1})
        assert (everything.matched, everything.not_matched) == (2, {})
