"""Settings: from the environment, all mistakes at once."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from gluebrake.settings import PREFIX, Settings, SettingsError, checked, environment, settings

pytestmark = pytest.mark.disable_socket

VALUES: Final[dict[str, Any]] = {
    "stop_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/stop",
    "confirm_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/confirm",
    "dead_letter_queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
    "event_bus_name": "gluebrake-bus",
    "trusted_sender_ids": ("AROASTOP", "AROACONFIRM"),
    "job_arn_prefix": "arn:aws:glue:eu-west-1:123456789012:job/",
    "jobs": ("*",),
    "protected_jobs": (),
    "protect_tag": "gluebrake:protect",
    "max_runs_per_request": 1000,
    "calls_at_once": 8,
    "max_attempts": 8,
    "retry_seconds": (5, 900),
    "confirm_seconds": (15, 300),
    "confirm_deadline_seconds": 1800,
}


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _problems(**changes: Any) -> list[str]:
    """Read an environment that cannot be used, and return what is said of it."""
    with pytest.raises(SettingsError) as error:
        settings(environment({**VALUES, **changes}))
    return str(error.value).split("; ")


class TestReading:
    """From environment variables."""

    def test_environment_says_what_the_settings_are(self) -> None:
        """Each variable is a field, and other variables are nobody's business."""
        read = settings({**environment(VALUES), "PATH": "/bin", "AWS_REGION": "eu-west-1"})
        assert structs.asdict(read) == VALUES

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
                "retry_seconds": st.tuples(st.integers(1, 900), st.integers(1, 900)).map(sorted).map(tuple),
                "confirm_seconds": st.tuples(st.integers(1, 900), st.integers(1, 900)).map(sorted).map(tuple),
                "confirm_deadline_seconds": st.integers(1, 86_400),
            }
        )
    )
    def test_what_the_infrastructure_writes_is_read_back(self, values: dict[str, Any]) -> None:
        """Any valid values survive the way through the environment, text that looks like JSON included."""
        read = settings(environment({**VALUES, **values}))
        assert structs.asdict(read) == {**VALUES, **values}

    def test_variables_carry_our_prefix(self) -> None:
        """The variables' names are the fields' own, and their values are text."""
        written = environment(VALUES)
        assert written.keys() == {_variable(name) for name in Settings.__struct_fields__}
        assert all(isinstance(value, str) for value in written.values())
        assert written["GLUEBRAKE_RETRY_SECONDS"] == "[5,900]"


class TestMistakes:
    """What is wrong, and where."""

    def test_all_mistakes_are_named_at_once(self) -> None:
        """Nobody deploys as often as there are mistakes."""
        problems = _problems(jobs=[], max_attempts=0, retry_seconds=[5], protect_tag="", confirm_seconds="soon")
        assert problems == [
            "GLUEBRAKE_JOBS: Expected `array` of length >= 1",
            "GLUEBRAKE_PROTECT_TAG: Expected `str` of length >= 1",
            "GLUEBRAKE_MAX_ATTEMPTS: Expected `int` >= 1",
            "GLUEBRAKE_RETRY_SECONDS: Expected `array` of length 2, got 1",
            "GLUEBRAKE_CONFIRM_SECONDS: Expected `array`, got `str`",
        ]

    def test_all_missing_variables_are_named_at_once(self) -> None:
        """An empty environment says all that has to be in it."""
        with pytest.raises(SettingsError) as error:
            settings({"PATH": "/bin"})
        assert str(error.value).split("; ") == [f"{_variable(name)}: missing" for name in VALUES]

    @pytest.mark.parametrize(
        ("name", "value", "rule"),
        [
            ("job_arn_prefix", "arn:aws:glue:eu-west-1:123456789012:job/etl", "Expected `str` matching regex"),
            ("job_arn_prefix", "arn:aws:glue:eu-west-1:123456789012:job/\n", "Expected `str` matching regex"),
            ("job_arn_prefix", "", "Expected `str` matching regex"),
            ("jobs", "*", "Expected `array`, got `str`"),
            ("protected_jobs", None, "Expected `array`, got `null`"),
            ("protect_tag", "x" * 129, "Expected `str` of length <= 128"),
            ("max_runs_per_request", 0, "Expected `int` >= 1"),
            ("max_runs_per_request", 1.5, "Expected `int`, got `float`"),
            ("max_runs_per_request", True, "Expected `int`, got `bool`"),
            ("calls_at_once", 0, "Expected `int` >= 1"),
            ("calls_at_once", 51, "Expected `int` <= 50"),
            ("max_attempts", 101, "Expected `int` <= 100"),
            ("confirm_deadline_seconds", 0, "Expected `int` >= 1"),
            ("confirm_deadline_seconds", 86_401, "Expected `int` <= 86400"),
        ],
    )
    def test_value_out_of_its_range_is_named(self, name: str, value: Any, rule: str) -> None:
        """The variable and the rule that its value breaks are named."""
        (problem,) = _problems(**{name: value})
        assert problem.startswith(f"{_variable(name)}: {rule}")

    @pytest.mark.parametrize(
        ("name", "value", "where"),
        [
            ("jobs", ["etl", ""], "GLUEBRAKE_JOBS[1]"),
            ("protected_jobs", ["x" * 256], "GLUEBRAKE_PROTECTED_JOBS[0]"),
            ("retry_seconds", [0, 900], "GLUEBRAKE_RETRY_SECONDS[0]"),
            ("confirm_seconds", [15, 901], "GLUEBRAKE_CONFIRM_SECONDS[1]"),
        ],
    )
    def test_item_of_a_list_is_named_by_its_place(self, name: str, value: Any, where: str) -> None:
        """In a list, the item that is wrong is pointed at."""
        (problem,) = _problems(**{name: value})
        assert problem.startswith(f"{where}: Expected")

    @pytest.mark.parametrize("text", ["", "eight", "[", "8 # at once", "0x8"])
    def test_value_that_is_no_json_is_text(self, text: str) -> None:
        """A number that is none is named as the text that it is."""
        (problem,) = _problems(calls_at_once=text)
        assert problem == "GLUEBRAKE_CALLS_AT_ONCE: Expected `int`, got `str`"

    def test_all_mistakes_within_a_list_are_named_at_once(self) -> None:
        """A list with two mistakes has both of them named."""
        assert len(_problems(retry_seconds=[0, 901])) == 2

    @pytest.mark.parametrize("name", ["retry_seconds", "confirm_seconds"])
    def test_first_delay_is_at_most_the_longest(self, name: str) -> None:
        """Delays the wrong way round are a mistake."""
        assert _problems(**{name: [900, 5]})

    def test_both_pairs_of_delays_are_named_at_once(self) -> None:
        """Two pairs of delays the wrong way round are two mistakes."""
        assert len(_problems(retry_seconds=[900, 5], confirm_seconds=[300, 15])) == 2


class TestChecked:
    """What the infrastructure's own configuration is checked with too."""

    class Pair(Struct):
        """Two fields with a rule between them."""

        low: int
        high: int = 10

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low: must not be over high")

    def test_field_with_a_default_may_be_missing(self) -> None:
        """Only what has no default is required."""
        assert checked(self.Pair, {"low": 1}) == self.Pair(1)

    def test_rule_between_fields_is_named_too(self) -> None:
        """A rule that the type itself checks is told like the others."""
        with pytest.raises(SettingsError, match="low: must not be over high"):
            checked(self.Pair, {"low": 11})
