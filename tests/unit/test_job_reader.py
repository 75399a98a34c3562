"""Jobs are read one call at a time, and what was not read is never taken for an answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from gluebrake.aws.call_budget import NotStartedError
from gluebrake.aws.findings import CallError
from gluebrake.aws.job_reader import JobReader, Pace, error_text
from gluebrake.model import TERMINAL_STATES, JobDefinition, JobReading
from tests.support.builders import NOON
from tests.support.fakes.aws_server import ACCOUNT, REGION, FakeAws
from tests.support.fakes.exchange import Answer, Call, Json, Reply
from tests.support.fakes.faults import EmptyBody, Fault, LostAnswer, Refused, Throttle, TruncatedBody
from tests.support.sweeps import Stopwatch

LIST: Final = "ListJobs"
PAGES: Final = "GetJobRuns"
DEFINITIONS: Final = "BatchGetJobs"
TAGS: Final = "GetTags"
ARN_PREFIX: Final = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/"
OLDEST: Final = NOON - timedelta(days=8)
DENIED: Final = Refused("AccessDeniedException", "You are not allowed")
FAILURES: Final[list[tuple[Fault, str]]] = [
    (DENIED, "AccessDeniedException: You are not allowed"),
    (Refused("InternalServiceException", "Oh", status=500), "InternalServiceException: Oh"),
    (LostAnswer(), "ConnectionClosedError: "),
]
THROTTLED: Final = "Glue throttled 3 calls in a row"


@pytest.fixture
def watch() -> Stopwatch:
    """Make the clock of both paces, with a deadline after a quarter of an hour."""
    return Stopwatch()


@pytest.fixture
def reader(aws: FakeAws, watch: Stopwatch) -> JobReader:
    """Connect a reader to the fake, with a client that tries each call only once."""
    return _reader(aws, watch)


def _reader(aws: FakeAws, watch: Stopwatch, **config: Any) -> JobReader:
    options = aws.client_options
    client = boto3.client("glue", **{**options, "config": options["config"].merge(Config(**config))})
    return JobReader(client, ARN_PREFIX, "gluebrake:Protect", _pace(watch), _pace(watch))


def _pace(watch: Stopwatch, seconds_left: Callable[[], float] | None = None) -> Pace:
    return Pace(seconds_left or watch.seconds_left, watch.sleep, watch)


def _answer(payload: Json) -> Fault:
    """Make a fault that answers every call with the payload."""

    def fault(_call: Call, _answer: Answer) -> Reply:
        return Reply(payload=payload)

    return fault


def _add_runs(aws: FakeAws, count: int, *, days: float = 0, first: int = 0, **details: Any) -> None:
    for number in range(first, first + count):
        started_on = NOON - timedelta(days=days, seconds=number)
        aws.glue.add_run("etl", f"jr_{number}", started_on=started_on, **details)


def _ids(reading: JobReading) -> list[str]:
    return sorted(run.run_id for run in reading.not_over)


class TestPace:
    """When the next call may start."""

    def test_at_most_ten_calls_start_each_second(self, watch: Stopwatch) -> None:
        """The first call starts at once, and each further one a tenth of a second after the one before."""
        pace = _pace(watch)
        started = []
        for _ in range(11):
            pace.wait()
            started.append(watch.now)
        assert started == pytest.approx([number / 10 for number in range(11)])

    def test_slow_calls_need_no_pause(self, watch: Stopwatch) -> None:
        """A call that takes a second leaves no pause before the next."""
        pace = _pace(watch)
        for _ in range(3):
            pace.wait()
            watch.now += 1
        assert watch.slept == [0, 0, 0]

    def test_pause_after_throttling_grows_and_ends_with_the_next_success(self, watch: Stopwatch) -> None:
        """Glue gets one second, then two. After a success the calls start at the former rate."""
        pace = _pace(watch)
        for code, throttled in (
            ("ThrottlingException", True),
            ("Throttling", True),
            ("", False),
            ("TooManyRequestsException", True),
            ("AccessDeniedException", False),
        ):
            pace.wait()
            assert pace.record(code) is throttled
        pace.wait()
        assert watch.slept == pytest.approx([0, 1, 2, 0.1, 1, 0.1])
        assert pace.ended == ""

    def test_third_throttled_call_in_a_row_is_the_last(self, watch: Stopwatch) -> None:
        """STOP gets the call rate. No time that passes lets a further call start."""
        pace = _pace(watch)
        for _ in range(3):
            pace.wait()
            pace.record("ThrottlingException")
        watch.now += 60
        assert pace.ended == THROTTLED
        with pytest.raises(NotStartedError, match=THROTTLED):
            pace.wait()

    def test_no_call_starts_without_a_second_for_it(self, watch: Stopwatch) -> None:
        """A call that starts later would be cut off by the function's deadline."""
        pace = _pace(watch)
        watch.now = watch.deadline - 1
        pace.wait()
        watch.now += 0.2
        assert pace.ended == "no time was left"
        with pytest.raises(NotStartedError, match="no time was left"):
            pace.wait()

    def test_pause_counts_as_used_time(self, watch: Stopwatch) -> None:
        """A pause that reaches the deadline is not begun."""
        pace = _pace(watch)
        pace.record("ThrottlingException")
        pace.record("ThrottlingException")
        watch.now = watch.deadline - 2.5
        pace.record("ThrottlingException")
        pace.throttled = 2
        slept = len(watch.slept)
        with pytest.raises(NotStartedError, match="no time was left"):
            pace.wait()
        assert len(watch.slept) == slept

    def test_pace_uses_the_real_clock_by_default(self) -> None:
        """Two calls take at least a tenth of a second."""
        pace = Pace(lambda: 60)
        before = pace.clock()
        pace.wait()
        pace.wait()
        assert pace.clock() - before >= 0.1


class TestNames:
    """The jobs, by their names."""

    def test_all_pages_are_listed(self, aws: FakeAws, reader: JobReader) -> None:
        """The names of more jobs than a page has are listed, with the fewest calls."""
        for number in range(2001):
            aws.glue.add_job(f"job {number:04}")
        assert reader.job_names({}) == [f"job {number:04}" for number in range(2001)]
        assert [call["MaxResults"] for call in aws.requests(LIST)] == [1000, 1000, 1000]
        assert "Tags" not in aws.requests(LIST)[0]
        assert reader.calls == {"list_jobs": 3}

    def test_tags_are_those_of_every_page(self, aws: FakeAws, reader: JobReader) -> None:
        """Only jobs with all the tags are listed."""
        for number in range(1001):
            aws.glue.add_job(f"job {number:04}", tags={"env": "dev", "team": "x"})
        aws.glue.add_job("other", tags={"env": "dev"})
        assert len(reader.job_names({"env": "dev", "team": "x"})) == 1001
        assert [call["Tags"] for call in aws.requests(LIST)] == [{"env": "dev", "team": "x"}] * 2

    def test_call_has_the_members_of_the_api(self, reader: JobReader) -> None:
        """The parameters are those of botocore's model."""
        with Stubber(reader.client) as stubber:
            stubber.add_response(
                "list_jobs",
                {"JobNames": ["a"], "NextToken": "t"},
                {"MaxResults": 1000, "Tags": {"env": "dev"}},
            )
            stubber.add_response(
                "list_jobs", {"JobNames": ["b"]}, {"MaxResults": 1000, "Tags": {"env": "dev"}, "NextToken": "t"}
            )
            assert reader.job_names({"env": "dev"}) == ["a", "b"]
            stubber.assert_no_pending_responses()

    @pytest.mark.parametrize(("fault", "text"), FAILURES)
    @pytest.mark.parametrize("page", [1, 2])
    def test_failed_listing_is_an_error(
        self, aws: FakeAws, reader: JobReader, fault: Fault, text: str, page: int
    ) -> None:
        """A part of the names is not taken for all of them."""
        for number in range(1001):
            aws.glue.add_job(f"job {number}")
        aws.faults.add(fault, when=lambda _: len(aws.calls) == page)
        with pytest.raises(CallError) as raised:
            reader.job_names({})
        assert error_text(raised.value).startswith(text)
        assert len(aws.calls) == page

    @pytest.mark.parametrize(
        "fault", [EmptyBody(), TruncatedBody(), _answer({"JobNames": 7}), _answer({"JobNames": None})]
    )
    def test_answer_without_names_is_an_error(self, aws: FakeAws, reader: JobReader, fault: Fault) -> None:
        """It is not taken for an account without jobs."""
        aws.glue.add_job("etl")
        aws.faults.add(fault)
        with pytest.raises(CallError) as raised:
            reader.job_names({})
        assert error_text(raised.value).startswith("NoAnswer: ")

    def test_names_that_cannot_be_used_are_left_out(self, aws: FakeAws, reader: JobReader) -> None:
        """A value that is no name, or has characters that Glue does not accept, is no job."""
        aws.faults.add(_answer({"JobNames": ["a", "", "b\n", "c" * 256, None, 7, "d"]}))
        assert reader.job_names({}) == ["a", "d"]

    def test_repeated_token_is_an_error(self, aws: FakeAws, reader: JobReader) -> None:
        """Pages that always have the same token do not lead to an endless loop."""
        aws.faults.add(_answer({"JobNames": ["a"], "NextToken": "again"}))
        with pytest.raises(CallError, match="same NextToken twice"):
            reader.job_names({})
        assert len(aws.calls) == 2

    def test_listing_without_end_ends_with_the_time(self, aws: FakeAws, watch: Stopwatch) -> None:
        """Pages that always have another token are read until no time is left."""

        def endless(_call: Call, _answer: Answer) -> Reply:
            return Reply(payload={"JobNames": [], "NextToken": str(len(aws.calls))})

        aws.faults.add(endless)
        watch.deadline = 5.05
        with pytest.raises(NotStartedError, match="no time was left"):
            _reader(aws, watch).job_names({})
        assert len(aws.calls) == 41


class TestRuns:
    """The runs of a job."""

    def test_runs_that_are_not_over_are_read(self, aws: FakeAws, reader: JobReader) -> None:
        """A run that is stopping is read, and so is one in an unknown state."""
        for state in ("RUNNING", "STARTING", "WAITING", "PAUSED", "STOPPING", *TERMINAL_STATES):
            aws.glue.add_run("etl", state, started_on=NOON, state=state, stopping_seconds=None)
        reading = reader.read("etl", OLDEST)
        assert (reading.job_name, reading.complete, reading.error) == ("etl", True, "")
        assert _ids(reading) == ["PAUSED", "RUNNING", "STARTING", "STOPPING", "WAITING"]
        assert aws.requests(PAGES) == [{"JobName": "etl", "MaxResults": 200}]
        assert reader.calls == {"get_job_runs": 1}

    def test_run_has_what_a_policy_needs(self, aws: FakeAws, reader: JobReader) -> None:
        """The facts are Glue's fields of those names."""
        aws.glue.add_run(
            "etl",
            "jr_1",
            started_on=NOON,
            ExecutionClass="FLEX",
            TriggerName="nightly",
            PreviousRunId="jr_0",
            Arguments={"--enable-auto-scaling": "true"},
        )
        (facts,) = reader.read("etl", OLDEST).not_over
        assert (facts.execution_class, facts.trigger_name, facts.previous_run_id) == ("FLEX", "nightly", "jr_0")
        assert facts.arguments == {"--enable-auto-scaling": "true"}
        assert (facts.worker_type, facts.number_of_workers, facts.started_on) == ("G.1X", 10, NOON)

    @pytest.mark.parametrize("complete", [True, False])
    def test_time_of_each_successful_first_attempt_is_read(
        self, aws: FakeAws, reader: JobReader, *, complete: bool
    ) -> None:
        """Other ends, retries, active runs and runs without a time do not show what is usual."""
        _add_runs(aws, 3, state="SUCCEEDED", ExecutionTime=60)
        _add_runs(aws, 1, first=3, state="SUCCEEDED", ExecutionTime=90)
        _add_runs(aws, 1, first=4, state="SUCCEEDED", ExecutionTime=1, PreviousRunId="jr_9")
        _add_runs(aws, 1, first=5, state="SUCCEEDED", ExecutionTime=0)
        _add_runs(aws, 1, first=6, state="SUCCEEDED", ExecutionTime=None)
        for number, state in enumerate(("FAILED", "STOPPED", "TIMEOUT", "RUNNING"), 7):
            _add_runs(aws, 1, first=number, state=state, ExecutionTime=5)
        if not complete:
            _add_runs(aws, 200, first=20, state="STOPPED")
            aws.faults.add(DENIED, when=lambda _: len(aws.calls) == 2)
        reading = reader.read("etl", OLDEST)
        assert reading.complete is complete
        assert sorted(reading.succeeded_seconds) == [60, 60, 60, 90]

    def test_pages_are_read_while_they_can_hold_an_active_run(self, aws: FakeAws, reader: JobReader) -> None:
        """A page whose oldest run started before the oldest active run can have started is the last."""
        _add_runs(aws, 200, days=1, state="SUCCEEDED")
        _add_runs(aws, 199, days=8 - 0.01, first=200, state="SUCCEEDED")
        for page in ("second", "third"):
            aws.glue.add_run("etl", f"on the {page} page", started_on=OLDEST)
        aws.glue.add_run("etl", "old", started_on=OLDEST - timedelta(seconds=1))
        _add_runs(aws, 300, days=9, first=500, state="SUCCEEDED")
        reading = reader.read("etl", OLDEST)
        assert reading.complete
        assert _ids(reading) == ["old", "on the second page", "on the third page"]
        assert len(aws.requests(PAGES)) == 3

    def test_pages_without_start_times_do_not_end_the_reading(self, aws: FakeAws, reader: JobReader) -> None:
        """Such a run shows nothing of the age of the next page."""
        _add_runs(aws, 200, days=9, StartedOn=None)
        aws.glue.add_run("etl", "next", started_on=NOON - timedelta(days=10))
        assert len(reader.read("etl", OLDEST).not_over) == 201

    def test_run_on_two_pages_is_read_once(self, reader: JobReader) -> None:
        """A run that starts meanwhile moves other runs to the next page, which has their newer state."""

        def run(run_id: str, state: str) -> Json:
            return {"Id": run_id, "JobRunState": state, "StartedOn": NOON, "ExecutionTime": 7}

        with Stubber(reader.client) as stubber:
            first = [run("a", "RUNNING"), run("b", "RUNNING"), run("c", "SUCCEEDED")]
            stubber.add_response("get_job_runs", {"JobRuns": first, "NextToken": "t"})
            second = [run("a", "RUNNING"), run("b", "SUCCEEDED"), run("c", "SUCCEEDED")]
            stubber.add_response("get_job_runs", {"JobRuns": second})
            reading = reader.read("etl", OLDEST)
        assert _ids(reading) == ["a"]
        assert reading.succeeded_seconds == (7, 7)

    def test_repeated_token_leaves_the_job_incomplete(self, aws: FakeAws, reader: JobReader) -> None:
        """Pages that always have the same token do not lead to an endless loop."""
        aws.faults.add(_answer({"JobRuns": [], "NextToken": "again"}))
        reading = reader.read("etl", OLDEST)
        assert not reading.complete
        assert reading.error == "NoAnswer: Glue gave the same NextToken twice, so the list has no end"
        assert len(aws.calls) == 2

    def test_job_that_never_ran_is_read_whole(self, aws: FakeAws, reader: JobReader) -> None:
        """No runs are an answer."""
        aws.glue.add_job("etl")
        assert reader.read("etl", OLDEST) == JobReading("etl", complete=True)

    @pytest.mark.parametrize(
        ("fault", "text"),
        [
            *FAILURES,
            (EmptyBody(), "NoAnswer: Glue's answer has no list of runs"),
            (TruncatedBody(), "NoAnswer: Glue's answer has no list of runs"),
            (_answer({"JobRuns": {"Id": "jr_1"}}), "NoAnswer: "),
            (_answer({"JobRuns": [{"Id": "jr_1", "Arguments": ["--a"]}]}), "NoAnswer: AttributeError("),
        ],
    )
    @pytest.mark.parametrize("page", [1, 2, 3])
    def test_job_whose_page_fails_is_not_complete(
        self, aws: FakeAws, reader: JobReader, fault: Fault, text: str, page: int
    ) -> None:
        """The runs of the pages before it are reported with the error, and are not all."""
        _add_runs(aws, 500)
        aws.faults.add(fault, when=lambda _: len(aws.calls) == page)
        reading = reader.read("etl", OLDEST)
        assert not reading.complete
        assert reading.error.startswith(text)
        assert len(reading.not_over) == 200 * (page - 1)
        assert len(aws.calls) == page

    def test_deleted_job_is_not_complete(self, reader: JobReader) -> None:
        """Its runs may go on, and Glue lists them no more."""
        assert reader.read("gone", OLDEST) == JobReading("gone", error="EntityNotFoundException: No job gone")

    def test_runs_that_cannot_be_used_are_left_out(self, aws: FakeAws, reader: JobReader) -> None:
        """A run without an id or a state cannot be stopped, and does not hide the others."""
        _add_runs(aws, 1)
        aws.glue.add_run("etl", "odd", started_on=NOON, Id=None)
        aws.glue.add_run("etl", "odder", started_on=NOON, JobRunState=None)
        assert _ids(reader.read("etl", OLDEST)) == ["jr_0"]


class TestThrottling:
    """What a sweep does when Glue throttles it."""

    def test_throttled_call_is_repeated(self, aws: FakeAws, reader: JobReader, watch: Stopwatch) -> None:
        """After a pause the same page is read again, and the reading is complete."""
        _add_runs(aws, 300)
        aws.faults.add(Throttle(), times=2, when=lambda call: "NextToken" in call.parameters)
        reading = reader.read("etl", OLDEST)
        assert (reading.complete, len(reading.not_over)) == (True, 300)
        assert watch.slept == pytest.approx([0, 0.1, 1, 2], abs=0.01)
        assert reader.calls == {"get_job_runs": 4}

    def test_third_throttled_call_ends_all_reading(self, aws: FakeAws, reader: JobReader) -> None:
        """The jobs after it are not read, so that STOP has the rate."""
        _add_runs(aws, 1)
        aws.glue.add_job("other")
        aws.faults.add(Throttle())
        assert reader.read("etl", OLDEST) == JobReading("etl", error=THROTTLED)
        aws.faults.clear()
        assert reader.read("other", OLDEST) == JobReading("other", error=THROTTLED)
        with pytest.raises(NotStartedError, match=THROTTLED):
            reader.job_names({})
        assert len(aws.calls) == 3

    def test_closing_calls_have_their_own_pace(self, aws: FakeAws, reader: JobReader) -> None:
        """What the sweep must know of the jobs with matches is read after the reading ended."""
        aws.glue.add_job("etl")
        aws.faults.add(Throttle(), operation=PAGES)
        reader.read("etl", OLDEST)
        assert reader.definitions(["etl"]) == ({"etl": JobDefinition("glueetl")}, [])
        assert reader.protected(["etl"]) == ({"etl": False}, [])

    def test_time_ends_the_reading(self, aws: FakeAws, reader: JobReader, watch: Stopwatch) -> None:
        """A page that cannot be read in time leaves the job incomplete."""
        _add_runs(aws, 201)

        def slow(call: Call, answer: Answer) -> Reply:
            watch.now += 899.5
            return answer(call)

        aws.faults.add(slow)
        reading = reader.read("etl", OLDEST)
        assert (reading.complete, reading.error, len(reading.not_over)) == (False, "no time was left", 200)

    def test_retries_of_botocore_are_counted(self, aws: FakeAws, watch: Stopwatch) -> None:
        """The number of calls is that of the requests to Glue, also where the last one failed."""
        aws.glue.add_job("etl")
        retrying = _reader(aws, watch, retries={"total_max_attempts": 2, "mode": "standard"})
        aws.faults.add(Refused("InternalServiceException", status=500), times=3)
        assert not retrying.read("etl", OLDEST).complete
        assert retrying.calls == {"get_job_runs": 2}
        assert retrying.read("etl", OLDEST).complete
        assert retrying.calls == {"get_job_runs": 4}


class TestDefinitions:
    """The definitions of the jobs with matches."""

    def test_definitions_are_read_25_at_a_time(self, aws: FakeAws, reader: JobReader) -> None:
        """Each definition has the job's type and its arguments."""
        names = [f"job {number}" for number in range(51)]
        for name in names:
            aws.glue.add_job(
                name,
                command="gluestreaming",
                DefaultArguments={"--a": "1"},
                NonOverridableArguments={"--b": "2"},
            )
        expected = JobDefinition("gluestreaming", {"--a": "1"}, {"--b": "2"})
        assert reader.definitions(names) == (dict.fromkeys(names, expected), [])
        assert [len(call["JobNames"]) for call in aws.requests(DEFINITIONS)] == [25, 25, 1]
        assert reader.calls == {"batch_get_jobs": 3}

    def test_no_jobs_are_no_call(self, aws: FakeAws, reader: JobReader) -> None:
        """A sweep without matches reads neither definitions nor tags."""
        assert reader.definitions([]) == ({}, [])
        assert reader.protected([]) == ({}, [])
        assert not aws.calls

    def test_unknown_jobs_are_left_out(self, aws: FakeAws, reader: JobReader) -> None:
        """A job that Glue does not find has no definition, and is no error."""
        aws.glue.add_job("etl")
        assert reader.definitions(["gone", "etl"]) == ({"etl": JobDefinition("glueetl")}, [])

    @pytest.mark.parametrize(("fault", "text"), FAILURES)
    def test_failed_call_leaves_out_its_jobs_only(
        self, aws: FakeAws, reader: JobReader, fault: Fault, text: str
    ) -> None:
        """The jobs of the other calls have their definitions."""
        names = [f"job {number}" for number in range(60)]
        for name in names:
            aws.glue.add_job(name)
        aws.faults.add(fault, when=lambda _: len(aws.calls) == 2)
        definitions, errors = reader.definitions(names)
        assert [*definitions] == [*names[:25], *names[50:]]
        assert len(errors) == 1
        assert errors[0].startswith(f"BatchGetJobs: {text}")

    def test_calls_that_do_not_start_are_one_error(self, aws: FakeAws, reader: JobReader) -> None:
        """The third throttled call is the last, and hundreds of jobs do not repeat the reason."""
        aws.faults.add(Throttle(), when=lambda _: len(aws.calls) > 1)
        for name in (names := [f"job {number}" for number in range(100)]):
            aws.glue.add_job(name)
        definitions, errors = reader.definitions(names)
        assert (len(definitions), errors) == (25, [f"BatchGetJobs: {THROTTLED}"])
        assert reader.protected(names) == ({}, [f"GetTags: {THROTTLED}"])
        assert len(aws.calls) == 4

    @pytest.mark.parametrize(
        "jobs",
        [
            None,
            "etl",
            [None, {"Name": 7}, {"Command": {"Name": "glueetl"}}, {"Name": "etl\n"}],
            {"Name": "etl"},
        ],
    )
    def test_answer_of_another_form_has_no_definitions(
        self, aws: FakeAws, reader: JobReader, jobs: Any
    ) -> None:
        """Only an object with a usable name is a definition."""
        aws.faults.add(_answer({"Jobs": jobs}))
        assert reader.definitions(["etl"])[0] == {}

    @pytest.mark.parametrize("command", [None, {}, {"Name": None}])
    def test_definition_without_a_type_has_none(self, aws: FakeAws, reader: JobReader, command: Any) -> None:
        """A missing command is not taken for a type."""
        aws.faults.add(_answer({"Jobs": [{"Name": "etl", "Command": command}]}))
        assert reader.definitions(["etl"]) == ({"etl": JobDefinition()}, [])

    def test_answer_that_cannot_be_parsed_is_an_error(self, aws: FakeAws, reader: JobReader) -> None:
        """The sweep goes on without the definitions."""
        aws.faults.add(_answer({"Jobs": [{"Name": "etl", "DefaultArguments": ["--a"]}]}))
        definitions, errors = reader.definitions(["etl"])
        assert definitions == {}
        assert errors == ["BatchGetJobs: NoAnswer: AttributeError(\"'list' object has no attribute 'items'\")"]


class TestTags:
    """The protect tag of the jobs with matches."""

    @pytest.mark.parametrize(
        ("tags", "protected"),
        [
            ({}, False),
            ({"env": "dev"}, False),
            ({"gluebrake:Protect": ""}, True),
            ({"GLUEBRAKE:protect": "no"}, True),
            ({"gluebrake:Protected": "true"}, False),
        ],
    )
    def test_key_decides_in_any_case(
        self, aws: FakeAws, reader: JobReader, tags: dict[str, str], *, protected: bool
    ) -> None:
        """IAM compares tag keys without regard to case, and the value does not count."""
        aws.glue.add_job("etl", tags=tags)
        assert reader.protected(["etl"]) == ({"etl": protected}, [])
        assert aws.requests(TAGS) == [{"ResourceArn": f"{ARN_PREFIX}etl"}]
        assert reader.calls == {"get_tags": 1}

    @pytest.mark.parametrize(
        ("fault", "text"),
        [
            *FAILURES,
            (EmptyBody(), "NoAnswer: Glue's answer has no tags"),
            (_answer({"Tags": None}), "NoAnswer: Glue's answer has no tags"),
            (_answer({"Tags": ["gluebrake:protect"]}), "NoAnswer: AttributeError("),
        ],
    )
    def test_job_whose_tags_cannot_be_read_is_left_out(
        self, aws: FakeAws, reader: JobReader, fault: Fault, text: str
    ) -> None:
        """Nothing shows that it is not protected. The other jobs are read."""
        for name in ("a", "b", "c"):
            aws.glue.add_job(name)
        aws.faults.add(fault, when=lambda _: len(aws.calls) == 2)
        protected, errors = reader.protected(["a", "b", "c"])
        assert protected == {"a": False, "c": False}
        assert len(errors) == 1
        assert errors[0].startswith(f"GetTags of b: {text}")
