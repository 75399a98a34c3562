"""A sweep lists jobs once for each set of tags, reads each job once, and concludes for all due policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import boto3
import pytest

from gluebrake.aws.job_reader import JobReader, Pace
from gluebrake.policies import DuePolicy
from gluebrake.prices import Prices
from gluebrake.sweeping import Sweep, sweep
from tests.support.builders import NOON, limits
from tests.support.fakes.aws_server import ACCOUNT, REGION, FakeAws
from tests.support.fakes.exchange import Call
from tests.support.fakes.faults import Refused, Throttle
from tests.support.sweeps import Stopwatch, due, requested

DENIED: Final = Refused("AccessDeniedException", "You are not allowed")
THROTTLED: Final = "Glue throttled 3 calls in a row"


@pytest.fixture
def watch() -> Stopwatch:
    """Make the clock of both paces."""
    return Stopwatch()


@pytest.fixture
def reader(aws: FakeAws, watch: Stopwatch) -> JobReader:
    """Connect a reader to the fake."""
    pace, closing_pace = (Pace(watch.seconds_left, watch.sleep, watch) for _ in range(2))
    client = boto3.client("glue", **aws.client_options)
    return JobReader(client, f"arn:aws:glue:{REGION}:{ACCOUNT}:job/", "gluebrake:protect", pace, closing_pace)


def _sweep(reader: JobReader, *policies: DuePolicy, **changes: Any) -> Sweep:
    options: dict[str, Any] = {
        "limits": limits(),
        "ids_in_a_request": 25,
        "prices": Prices(),
        "shuffle": lambda _names: None,
    }
    return sweep(policies, reader, **{**options, **changes})


def _add(aws: FakeAws, *names: str, hours: float = 1, runs: int = 1, **job: Any) -> None:
    for name in names:
        aws.glue.add_job(name, **job)
        for number in range(runs):
            aws.glue.add_run(name, f"{name}_{number}", started_on=NOON - timedelta(hours=hours))


def _named(swept: Sweep) -> list[str]:
    return sorted(run_id for _, _, run_id in requested(swept.conclusion))


def _jobs(calls: Sequence[Call]) -> list[str]:
    """List the jobs whose runs were read, in order."""
    return [call.parameters["JobName"] for call in calls if call.operation == "GetJobRuns"]


class TestCalls:
    """Which calls a sweep makes."""

    def test_jobs_are_read_once_for_all_policies(self, aws: FakeAws, reader: JobReader) -> None:
        """Three policies cost no more calls than one: types and tags are read for matched jobs only."""
        _add(aws, "a", "b", "idle")
        _add(aws, "young", hours=0.1)
        policies = [due(name, max_minutes=30) for name in ("first", "second", "third")]
        assert _named(_sweep(reader, *policies)) == ["a_0", "b_0", "idle_0"]
        assert Counter(call.operation for call in aws.calls) == {
            "ListJobs": 1,
            "GetJobRuns": 4,
            "BatchGetJobs": 1,
            "GetTags": 3,
        }
        assert aws.requests("BatchGetJobs") == [{"JobNames": ["a", "b", "idle"]}]

    def test_jobs_are_listed_once_for_each_set_of_tags(self, aws: FakeAws, reader: JobReader) -> None:
        """The order of a policy's tags does not matter."""
        _add(aws, "dev", tags={"env": "dev", "team": "x"})
        _add(aws, "prod", tags={"env": "prod"})
        policies = [
            due("all", mode="report"),
            due("dev", tags={"env": "dev", "team": "x"}),
            due("same", tags={"team": "x", "env": "dev"}),
            due("prod", tags={"env": "prod"}),
        ]
        swept = _sweep(reader, *policies)
        assert [call.get("Tags") for call in aws.requests("ListJobs")] == [
            None,
            {"env": "dev", "team": "x"},
            {"env": "prod"},
        ]
        assert [report.jobs for report in swept.conclusion.reports] == [2, 1, 1, 1]
        assert [report.stop_requested for report in swept.conclusion.reports] == [0, 1, 0, 1]

    def test_job_that_no_policy_considers_is_not_read(self, aws: FakeAws, reader: JobReader) -> None:
        """Names, `jobs` and `protectedJobs` are checked before the first call for a job."""
        _add(aws, "etl-1", "etl-2", "report", "etl-prod")
        swept = _sweep(
            reader,
            due(jobs=("etl-*",), exclude=("etl-2",)),
            limits=limits(jobs=("etl*", "report"), protected_jobs=("*-prod",)),
        )
        assert _jobs(aws.calls) == ["etl-1"]
        assert (swept.is_complete, swept.conclusion.reports[0].jobs) == (True, 1)

    def test_account_without_jobs_is_swept(self, aws: FakeAws, reader: JobReader) -> None:
        """No jobs are an answer: each policy has a report."""
        swept = _sweep(reader, due("a"), due("b"))
        assert [report.jobs for report in swept.conclusion.reports] == [0, 0]
        assert swept.is_complete
        assert len(aws.calls) == 1

    def test_no_policies_make_no_call(self, aws: FakeAws, reader: JobReader) -> None:
        """A sweep without due policies reads nothing."""
        swept = _sweep(reader)
        assert (swept.conclusion.reports, swept.is_complete) == ((), True)
        assert not aws.calls

    def test_order_of_the_jobs_is_shuffled(self, aws: FakeAws, reader: JobReader) -> None:
        """An incomplete sweep leaves other jobs unread than the one before."""
        _add(aws, "a", "b", "c")
        _sweep(reader, due(), shuffle=list.reverse)
        assert _jobs(aws.calls) == ["c", "b", "a"]

    def test_progress_is_reported_before_each_job(self, aws: FakeAws, reader: JobReader) -> None:
        """The operator sees how many jobs are read, of how many."""
        _add(aws, "a", "b")
        seen: list[tuple[int, int]] = []
        _sweep(reader, due(), progress=lambda done, of: seen.append((done, of)))
        assert seen == [(0, 2), (1, 2)]

    @pytest.mark.parametrize(
        ("types", "days", "pages"),
        [
            (("glueetl",), 8.1, 1),
            (("glueetl",), 7.9, 2),
            (("glueetl", "gluestreaming"), 14.9, 2),
            (("glueetl", "gluestreaming"), 15.1, 1),
        ],
    )
    def test_pages_are_read_as_far_back_as_a_run_can_last(
        self, aws: FakeAws, reader: JobReader, types: tuple[str, ...], days: float, pages: int
    ) -> None:
        """Eight days before the due time, and fifteen where the policy means streaming jobs."""
        at = NOON - timedelta(hours=3)
        for number in range(201):
            started_on = at - timedelta(days=days, seconds=number)
            aws.glue.add_run("etl", f"jr_{number}", started_on=started_on, state="SUCCEEDED")
        _sweep(reader, due(types=types, at=at))
        assert len(aws.requests("GetJobRuns")) == pages

    def test_job_is_read_for_the_policy_that_needs_most(self, aws: FakeAws, reader: JobReader) -> None:
        """A job that only the other policy considers is read as far back as that one needs."""
        for name in ("etl", "stream"):
            for number in range(201):
                started_on = NOON - timedelta(days=10, seconds=number)
                aws.glue.add_run(name, f"jr_{number}", started_on=started_on, state="SUCCEEDED")
        _sweep(reader, due("all"), due("streams", jobs=("stream",), types=("gluestreaming",)))
        assert _jobs(aws.calls) == ["etl", "stream", "stream"]


class TestIncompleteSweeps:
    """What a sweep does with what it could not read."""

    def test_job_that_cannot_be_read_is_named(self, aws: FakeAws, reader: JobReader) -> None:
        """The other jobs' runs are stopped, and the reason is reported once."""
        _add(aws, "a", "b", "c", "d")
        aws.faults.add(DENIED, operation="GetJobRuns", when=lambda call: call.parameters["JobName"] in "ca")
        swept = _sweep(reader, due())
        assert _named(swept) == ["b_0", "d_0"]
        assert (swept.is_complete, swept.jobs_not_read) == (False, ("a", "c"))
        assert swept.errors == ("AccessDeniedException: You are not allowed",)
        (report,) = swept.conclusion.reports
        assert (report.jobs, report.jobs_not_read) == (4, 2)

    def test_throttling_ends_the_reading_and_not_the_sweep(self, aws: FakeAws, reader: JobReader) -> None:
        """What was read before is stopped. The remaining jobs cost no call."""
        _add(aws, "a", "b", "c", "d")
        aws.faults.add(Throttle(), operation="GetJobRuns", when=lambda call: call.parameters["JobName"] != "a")
        swept = _sweep(reader, due())
        assert _named(swept) == ["a_0"]
        assert (swept.jobs_not_read, swept.errors) == (("b", "c", "d"), (THROTTLED,))
        assert _jobs(aws.calls) == ["a", "b", "b", "b"]

    def test_jobs_that_cannot_be_listed_are_not_swept(self, aws: FakeAws, reader: JobReader) -> None:
        """The other policies are applied, and the error has the tags."""
        _add(aws, "dev", tags={"env": "dev"})
        _add(aws, "other")
        aws.faults.add(DENIED, operation="ListJobs", when=lambda call: "Tags" in call.parameters)
        swept = _sweep(reader, due("dev", tags={"env": "dev"}), due("other", jobs=("other",)))
        assert _named(swept) == ["other_0"]
        assert swept.errors == (
            "ListJobs with tags {'env': 'dev'}: AccessDeniedException: You are not allowed",
        )
        assert (swept.is_complete, swept.jobs_not_read) == (False, ())
        assert [report.jobs for report in swept.conclusion.reports] == [0, 1]

    @pytest.mark.parametrize(
        ("fault", "error"), [(DENIED, "AccessDeniedException: You are not allowed"), (Throttle(), THROTTLED)]
    )
    def test_account_that_cannot_be_listed_is_not_swept(
        self, aws: FakeAws, reader: JobReader, fault: Refused, error: str
    ) -> None:
        """The sweep is incomplete, whatever the policies mean."""
        _add(aws, "a")
        aws.faults.add(fault)
        swept = _sweep(reader, due())
        assert (swept.errors, swept.is_complete) == ((f"ListJobs: {error}",), False)
        assert _named(swept) == []

    def test_jobs_of_unknown_type_are_left_alone(self, aws: FakeAws, reader: JobReader) -> None:
        """Without definitions nothing is stopped, and no tag is read."""
        _add(aws, "a", "b")
        aws.faults.add(DENIED, operation="BatchGetJobs")
        swept = _sweep(reader, due())
        assert (_named(swept), swept.is_complete) == ([], False)
        assert swept.errors == ("BatchGetJobs: AccessDeniedException: You are not allowed",)
        assert swept.conclusion.reports[0].not_matched == {"UnknownType": 2}
        assert aws.requests("GetTags") == []

    def test_job_whose_tags_cannot_be_read_is_left_alone(self, aws: FakeAws, reader: JobReader) -> None:
        """The runs of the other jobs are stopped."""
        _add(aws, "a", "b")
        _add(aws, "c", tags={"Gluebrake:Protect": ""})
        aws.faults.add(
            DENIED, operation="GetTags", when=lambda call: call.parameters["ResourceArn"].endswith("/a")
        )
        swept = _sweep(reader, due())
        assert _named(swept) == ["b_0"]
        assert swept.errors == ("GetTags of a: AccessDeniedException: You are not allowed",)
        assert {run.job_name: run.not_stopped for run in swept.conclusion.runs} == {
            "a": "TagsUnknown",
            "b": "",
            "c": "Protected",
        }

    def test_time_that_is_over_leaves_the_rest_unread(
        self, aws: FakeAws, reader: JobReader, watch: Stopwatch
    ) -> None:
        """The closing calls are made for what was read, with the time of their own pace."""
        _add(aws, "a", "b", "c")
        reader.pace.seconds_left = lambda: 1.15 - watch.now
        swept = _sweep(reader, due())
        assert (swept.jobs_not_read, swept.errors) == (("b", "c"), ("no time was left",))
        assert _named(swept) == ["a_0"]


class TestReport:
    """What others see of a sweep."""

    def test_report_has_the_whole_sweep(self, aws: FakeAws, reader: JobReader) -> None:
        """The report has every policy, every run, what was not read and why."""
        _add(aws, "a", "b")
        aws.faults.add(DENIED, operation="GetJobRuns", when=lambda call: call.parameters["JobName"] == "b")
        swept = _sweep(reader, due())
        report = swept.report(NOON)
        assert (report.swept_at, report.complete, report.jobs_not_read) == (NOON, False, ("b",))
        assert (report.policies, report.runs) == (swept.conclusion.reports, swept.conclusion.runs)
        assert report.errors == swept.errors


@pytest.mark.parametrize("change", [{"jobs": ("report",)}, {"protected_jobs": ("e*",)}])
def test_configuration_leaves_jobs_out(aws: FakeAws, reader: JobReader, change: dict[str, Any]) -> None:
    """A policy with `*` considers the jobs in `jobs` without the protected ones. The report names the rest."""
    _add(aws, "etl", "report")
    swept = _sweep(reader, due(), limits=limits(**change))
    assert _named(swept) == ["report_0"]
    assert swept.report(NOON).jobs_left_out == ("etl",)
    assert swept.is_complete
    assert _jobs(aws.calls) == ["report"]
