"""Settings are read from the environment, and one error names every mistake."""

from __future__ import annotations

from typing import Annotated, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, structs

from gluebrake.outcomes import NoticeKind
from gluebrake.prices import Prices
from gluebrake.settings import (
    PREFIX,
    ConfirmSettings,
    Settings,
    SettingsError,
    StopSettings,
    checked,
    environment,
    load,
    mistakes,
)

pytestmark = pytest.mark.disable_socket

SHARED: Final[dict[str, Any]] = {
    "dead_letter_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
    "event_bus_name": "gluebrake-bus",
    "trusted_sender_ids": ("AROASTOP", "AROACONFIRM"),
    "job_arn_prefix": "arn:aws:glue:eu-west-1:123456789012:job/",
    "max_runs_per_request": 1000,
    "calls_at_once": 8,
}
"""The values that every function reads, in the order of the fields."""

SHARED_OPTIONAL: Final[dict[str, Any]] = {
    "price_per_dpu_hour": Prices(),
    "notice_topic_arn": "",
    "notify_on": (),
    "detailed_metrics": False,
}
"""The values that every function reads if they are there, with their defaults, in the order of the fields."""

OPTIONAL: Final[dict[str, Any]] = {
    **SHARED_OPTIONAL,
    "observe": False,
    "alarm_namespaces": (),
    "alarm_accounts": (),
    "sweep_sender_ids": (),
}
"""The values that STOP reads if they are there, with their defaults, in the order of the fields."""

CONFIRM: Final[dict[str, Any]] = {
    **SHARED,
    **SHARED_OPTIONAL,
    "confirm_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/confirm",
    "confirm_seconds": (15, 300),
    "confirm_deadline_seconds": 1800,
}
"""The values that CONFIRM reads, in the order of the fields."""

VALUES: Final[dict[str, Any]] = {
    **CONFIRM,
    "stop_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/stop",
    "jobs": ("*",),
    "protected_jobs": (),
    "protect_tag": "gluebrake:protect",
    "max_attempts": 8,
    "retry_seconds": (5, 900),
    **OPTIONAL,
}
"""The values that STOP reads, in the order of the fields."""


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _problems(**changes: Any) -> list[str]:
    """Load an environment that has mistakes, and return each problem that the error names."""
    with pytest.raises(SettingsError) as error:
        load(StopSettings, environment({**VALUES, **changes}))
    return str(error.value).split("; ")


class TestReading:
    """Settings that are read from environment variables."""

    def test_each_variable_is_a_field(self) -> None:
        """A variable without the prefix is ignored."""
        settings = load(StopSettings, {**environment(VALUES), "PATH": "/bin", "AWS_REGION": "eu-west-1"})
        assert structs.asdict(settings) == VALUES

    def test_optional_variable_has_a_default(self) -> None:
        """New code may run with the variables of the version before it, which has no such variable."""
        required = {name: value for name, value in VALUES.items() if name not in OPTIONAL}
        assert structs.asdict(load(StopSettings, environment(required))) == VALUES

    def test_each_function_reads_only_its_own_settings(self) -> None:
        """CONFIRM starts without the variables of STOP, and ignores them where they are set."""
        for written in (CONFIRM, VALUES):
            assert structs.asdict(load(ConfirmSettings, environment(written))) == CONFIRM

    @given(
        st.fixed_dictionaries(
            {
                "jobs": st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=3).map(tuple),
                "protected_jobs": st.lists(st.text(min_size=1, max_size=9), max_size=3).map(tuple),
                "protect_tag": st.one_of(
                    st.sampled_from(["null", "5", "[]", '"']), st.text(min_size=1, max_size=128)
                ),
                "max_runs_per_request": st.integers(1, 2**63 - 1),
                "calls_at_once": st.integers(1, 50),
                "max_attempts": st.integers(1, 100),
                "observe": st.booleans(),
                "price_per_dpu_hour": st.builds(Prices, st.floats(0, 1000) | st.none()),
                "notify_on": st.lists(st.sampled_from(NoticeKind)).map(tuple),
                "alarm_namespaces": st.lists(st.text(min_size=1, max_size=9), max_size=3).map(tuple),
                "alarm_accounts": st.lists(st.from_regex(r"[0-9]{12}", fullmatch=True)).map(tuple),
                "retry_seconds": st.tuples(st.integers(1, 900), st.integers(1, 900)).map(sorted).map(tuple),
                "confirm_seconds": st.tuples(st.integers(1, 900), st.integers(1, 900)).map(sorted).map(tuple),
                "confirm_deadline_seconds": st.integers(1, 86_400),
            }
        )
    )
    def test_values_that_the_infrastructure_writes_are_read_unchanged(self, values: dict[str, Any]) -> None:
        """All valid values are read as they were written, also text that looks like JSON."""
        settings = load(StopSettings, environment({**VALUES, **values}))
        assert structs.asdict(settings) == {**VALUES, **values}

    def test_variables_have_the_prefix(self) -> None:
        """A variable is named after its field, and its value is text."""
        written = environment(VALUES)
        assert written.keys() == {_variable(name) for name in StopSettings.__struct_fields__}
        assert {*environment({**SHARED, **SHARED_OPTIONAL})} == {
            _variable(name) for name in Settings.__struct_fields__
        }
        assert all(isinstance(value, str) for value in written.values())
        assert written["GLUEBRAKE_RETRY_SECONDS"] == "[5,900]"

    def test_former_name_of_a_variable_is_read(self) -> None:
        """New code may run with the variables of the version before it. The present name takes precedence."""
        present = environment(VALUES)
        former = {**present, "GLUEBRAKE_OWN_SENDERS": '["AROAFORMER"]'}
        assert load(StopSettings, former).trusted_sender_ids == VALUES["trusted_sender_ids"]
        del former["GLUEBRAKE_TRUSTED_SENDER_IDS"]
        assert load(StopSettings, former).trusted_sender_ids == ("AROAFORMER",)


class TestMistakes:
    """What is wrong with a value, and in which variable."""

    def test_all_mistakes_are_named_at_once(self) -> None:
        """One error names every mistake, so that one deployment fixes all of them."""
        problems = _problems(jobs=[], max_attempts=0, retry_seconds=[5], protect_tag="", confirm_seconds="soon")
        assert problems == [
            "GLUEBRAKE_CONFIRM_SECONDS: Expected `array`, got `str`",
            "GLUEBRAKE_JOBS: Expected `array` of length >= 1",
            "GLUEBRAKE_PROTECT_TAG: Expected `str` of length >= 1",
            "GLUEBRAKE_MAX_ATTEMPTS: Expected `int` >= 1",
            "GLUEBRAKE_RETRY_SECONDS: Expected `array` of length 2, got 1",
        ]

    @pytest.mark.parametrize(("kind", "values"), [(StopSettings, VALUES), (ConfirmSettings, CONFIRM)])
    def test_all_missing_variables_are_named_at_once(
        self, kind: type[Settings], values: dict[str, Any]
    ) -> None:
        """The error for an empty environment names every variable that the function reads."""
        with pytest.raises(SettingsError) as error:
            load(kind, {"PATH": "/bin"})
        assert str(error.value).split("; ") == [
            f"{_variable(name)}: missing" for name in values if name not in OPTIONAL
        ]

    @pytest.mark.parametrize(
        ("name", "value", "rule"),
        [
            ("job_arn_prefix", "arn:aws:glue:eu-west-1:123456789012:job/etl", "Expected `str` matching regex"),
            ("job_arn_prefix", "arn:aws:glue:eu-west-1:123456789012:job/\n", "Expected `str` matching regex"),
            ("job_arn_prefix", "", "Expected `str` matching regex"),
            ("trusted_sender_ids", [], "Expected `array` of length >= 1"),
            ("jobs", "*", "Expected `array`, got `str`"),
            ("protected_jobs", None, "Expected `array`, got `null`"),
            ("protect_tag", "x" * 129, "Expected `str` of length <= 128"),
            ("max_runs_per_request", 0, "Expected `int` >= 1"),
            ("max_runs_per_request", 1.5, "Expected `int`, got `float`"),
            ("max_runs_per_request", True, "Expected `int`, got `bool`"),
            ("observe", "yes", "Expected `bool`, got `str`"),
            ("observe", 1, "Expected `bool`, got `int`"),
            ("calls_at_once", 0, "Expected `int` >= 1"),
            ("calls_at_once", 51, "Expected `int` <= 50"),
            ("max_attempts", 101, "Expected `int` <= 100"),
            ("confirm_deadline_seconds", 0, "Expected `int` >= 1"),
            ("confirm_deadline_seconds", 86_401, "Expected `int` <= 86400"),
        ],
    )
    def test_value_out_of_its_range_is_named(self, name: str, value: Any, rule: str) -> None:
        """The error names the variable and the rule that its value breaks."""
        (problem,) = _problems(**{name: value})
        assert problem.startswith(f"{_variable(name)}: {rule}")

    @pytest.mark.parametrize(
        ("name", "value", "place"),
        [
            ("jobs", ["etl", ""], "GLUEBRAKE_JOBS[1]"),
            ("protected_jobs", ["x" * 256], "GLUEBRAKE_PROTECTED_JOBS[0]"),
            ("retry_seconds", [0, 900], "GLUEBRAKE_RETRY_SECONDS[0]"),
            ("confirm_seconds", [15, 901], "GLUEBRAKE_CONFIRM_SECONDS[1]"),
            ("alarm_namespaces", ["Own", ""], "GLUEBRAKE_ALARM_NAMESPACES[1]"),
            ("alarm_accounts", ["123456789012", "12345678901"], "GLUEBRAKE_ALARM_ACCOUNTS[1]"),
            ("alarm_accounts", ["123456789012\n"], "GLUEBRAKE_ALARM_ACCOUNTS[0]"),
            ("alarm_accounts", [123456789012], "GLUEBRAKE_ALARM_ACCOUNTS[0]"),
        ],
    )
    def test_item_of_a_list_is_named_by_its_index(self, name: str, value: Any, place: str) -> None:
        """The error has the index of the item that is wrong."""
        (problem,) = _problems(**{name: value})
        assert problem.startswith(f"{place}: Expected")

    @pytest.mark.parametrize("text", ["", "eight", "[", "8 # at once", "0x8"])
    def test_value_that_is_not_json_is_text(self, text: str) -> None:
        """A value that is not JSON is reported as a string."""
        (problem,) = _problems(calls_at_once=text)
        assert problem == "GLUEBRAKE_CALLS_AT_ONCE: Expected `int`, got `str`"

    def test_all_mistakes_within_a_list_are_named_at_once(self) -> None:
        """A list with two mistakes leads to two problems."""
        assert len(_problems(retry_seconds=[0, 901])) == 2

    @pytest.mark.parametrize("name", ["retry_seconds", "confirm_seconds"])
    def test_first_delay_is_at_most_the_longest(self, name: str) -> None:
        """A first delay over the longest is a mistake."""
        assert _problems(**{name: [900, 5]})

    def test_both_pairs_of_delays_are_named_at_once(self) -> None:
        """Two pairs of delays in the wrong order are two mistakes."""
        problems = _problems(retry_seconds=[900, 5], confirm_seconds=[300, 15])
        assert len(problems) == 2
        assert sorted(problem.partition(":")[0] for problem in problems) == [
            "GLUEBRAKE_CONFIRM_SECONDS",
            "GLUEBRAKE_RETRY_SECONDS",
        ]


class TestChecked:
    """The check that the infrastructure's configuration uses too."""

    class Pair(Struct):
        """Two fields with a rule between them."""

        low: int
        high: int = 10

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low: must not be over high")

    def test_field_with_a_default_may_be_missing(self) -> None:
        """Only fields without a default are required."""
        assert checked(self.Pair, {"low": 1}) == self.Pair(1)

    def test_rule_between_fields_is_reported(self) -> None:
        """A rule that the type itself checks is reported like the others."""
        with pytest.raises(SettingsError, match="low: must not be over high"):
            checked(self.Pair, {"low": 11})


class TestMistakesOfObjects:
    """The mistakes of objects in a list, such as the policies of the configuration."""

    class Limit(Struct, forbid_unknown_fields=True, rename="camel"):
        """An object with a required and an optional field, and a rule between them."""

        max_runs: Annotated[int, Meta(ge=1)]
        job_names: tuple[Annotated[str, Meta(min_length=1)], ...] = ()

        def __post_init__(self) -> None:
            if len(self.job_names) > self.max_runs:
                raise ValueError("more jobs than runs")

    class Open(Struct):
        """An object that may have further fields."""

        size: int

    LIMITS: Final = tuple[Annotated[Limit, Meta(description="a limit")], ...]

    def _mistakes(self, *limits: Any) -> list[tuple[str, str]]:
        return [(mistake.path, mistake.rule) for mistake in mistakes("limits", limits, self.LIMITS)]

    def test_valid_objects_have_no_mistakes(self) -> None:
        """A field with a default may be missing."""
        assert self._mistakes({"maxRuns": 1}, {"maxRuns": 2, "jobNames": ["a", "b"]}) == []
        assert self._mistakes() == []

    def test_all_mistakes_of_all_objects_are_named_at_once(self) -> None:
        """They are in the order of the fields, and unknown fields follow in the order of the object."""
        unknown = "unknown; the fields are jobNames, maxRuns"
        assert self._mistakes(
            {"z": 1, "jobNames": ["a", "", 7], "y": 2, "maxRuns": 0},
            {"maxRuns": 1},
            {"max_runs": 1, "jobNames": "a"},
        ) == [
            ("limits[0].maxRuns", "Expected `int` >= 1"),
            ("limits[0].jobNames[1]", "Expected `str` of length >= 1"),
            ("limits[0].jobNames[2]", "Expected `str`, got `int`"),
            ("limits[0].z", unknown),
            ("limits[0].y", unknown),
            ("limits[2].maxRuns", "missing"),
            ("limits[2].jobNames", "Expected `array`, got `str`"),
            ("limits[2].max_runs", unknown),
        ]

    @pytest.mark.parametrize("value", [None, 7, "a", ["maxRuns"]])
    def test_value_that_is_no_object_is_one_mistake(self, value: Any) -> None:
        """Its type is that of the object, with its description."""
        (mistake,) = mistakes("limits", [{"maxRuns": 1}, value], self.LIMITS)
        assert (mistake.path, mistake.value) == ("limits[1]", value)
        assert mistake.kind.__metadata__[0].description == "a limit"
        assert mistake.rule.startswith("Expected `object`")

    def test_mistake_has_the_value_and_the_type_of_its_place(self) -> None:
        """A missing field has no value, and an unknown one has no type."""
        missing, unknown = mistakes("limit", {"color": "red"}, self.Limit)
        assert (missing.value, missing.kind) == (UNSET, Annotated[int, Meta(ge=1)])
        assert (unknown.value, unknown.kind) == ("red", None)

    def test_rule_between_fields_is_a_mistake_of_the_object(self) -> None:
        """It is found when no part of the object has a mistake."""
        assert self._mistakes({"maxRuns": 1, "jobNames": ["a", "b"]}) == [("limits[0]", "more jobs than runs")]

    def test_object_may_allow_further_fields(self) -> None:
        """Only a type that forbids unknown fields has them as mistakes."""
        assert mistakes("open", {"size": 1, "color": "red"}, self.Open) == []
        assert [mistake.path for mistake in mistakes("open", {"color": "red"}, self.Open)] == ["open.size"]
