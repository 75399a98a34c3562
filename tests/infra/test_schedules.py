"""Schedule expressions are accepted as EventBridge Scheduler accepts them."""

import zoneinfo
from collections.abc import Iterator

import pytest

from infra import schedules
from infra.schedules import is_time_zone, is_window, mistake

_VALID = [
    "rate(1 minute)",
    "rate(5 minutes)",
    "rate(1 hours)",  # AWS's own examples for Scheduler have both forms
    "rate(12 hours)",
    "rate(7 days)",
    "rate(99999 days)",
    # The examples of AWS's documentation.
    "cron(0 10 * * ? *)",
    "cron(15 12 * * ? *)",
    "cron(0 18 ? * MON-FRI *)",
    "cron(0 8 1 * ? *)",
    "cron(0/15 * * * ? *)",
    "cron(0/10 * ? * MON-FRI *)",
    "cron(0/5 8-17 ? * MON-FRI *)",
    "cron(0/30 20-2 ? * MON-FRI *)",
    "cron(15 10 ? * 6L 2019-2022)",
    # Each special character in each field that may have it.
    "cron(*/5 */2 * * ? *)",
    "cron(5,35 1-7/2,11-23/2,9 ? * mon,Wed-fri *)",
    "cron(0 0 L * ? *)",
    "cron(0 0 LW JAN,jul-SEP,12 ? 2026/2)",
    "cron(0 0 31W 1/3 ? 2026,2028-2030)",
    "cron(0 0 ? * 3#2 *)",
    "cron(0 0 ? * TUE#5 *)",
    "cron(0 0 ? * friL *)",
    "cron(0 0 ? * L *)",
    "cron(0 0 ? NOV-FEB FRI-MON 1970-2199)",
    "cron(0  20\t* * ? *)",
]

_INVALID = [
    ("", "should be"),
    ("rate(0 hours)", "should be"),
    ("rate(100000 days)", "should be"),
    ("rate(1.5 hours)", "should be"),
    ("rate(1 week)", "should be"),
    ("rate(1  hour)", "should be"),
    ("rate(1 hour) ", "should be"),
    ("at(2026-11-24T20:00:00)", "one-time schedules are not allowed"),
    ("0 20 * * ? *", "should be"),
    ("cron()", "should be"),
    ("cron(0 20 * * ? *", "should be"),
    ("cron(0 20 * * ?)", "6 fields, minutes, hours, day of month, month, day of week, year, not 5"),
    ("cron(0 20 * * ? * *)", "not 7"),
    ("cron(60 20 * * ? *)", "'60' is no minutes"),
    ("cron(-1 20 * * ? *)", "'-1' is no minutes"),
    ("cron(*/60 20 * * ? *)", "'*/60' is no minutes"),
    ("cron(0/0 20 * * ? *)", "'0/0' is no minutes"),
    ("cron(? 20 * * ? *)", "'?' is no minutes"),
    ("cron(L 20 * * ? *)", "'L' is no minutes"),
    ("cron(*-5 20 * * ? *)", "'*-5' is no minutes"),
    ("cron(1,,2 20 * * ? *)", "'1,,2' is no minutes"),
    ("cron(1, 20 * * ? *)", "'1,' is no minutes"),
    ("cron(\u0663 20 * * ? *)", "'\u0663' is no minutes"),
    ("cron(0 24 * * ? *)", "'24' is no hours"),
    ("cron(0 20-24 * * ? *)", "'20-24' is no hours"),
    ("cron(0 1-2-3 * * ? *)", "'1-2-3' is no hours"),
    ("cron(0 0/24 * * ? *)", "'0/24' is no hours"),
    ("cron(0 20 0 * ? *)", "'0' is no day of month"),
    ("cron(0 20 32W * ? *)", "'32W' is no day of month"),
    ("cron(0 20 W * ? *)", "'W' is no day of month"),
    ("cron(0 20 1,L * ? *)", "'1,L' is no day of month"),
    ("cron(0 20 1 13 ? *)", "'13' is no month"),
    ("cron(0 20 1 JANUARY ? *)", "'JANUARY' is no month"),
    ("cron(0 20 1 MON ? *)", "'MON' is no month"),
    ("cron(0 20 ? * 0 *)", "'0' is no day of week"),
    ("cron(0 20 ? * 8 *)", "'8' is no day of week"),
    ("cron(0 20 ? * 3#6 *)", "'3#6' is no day of week"),
    ("cron(0 20 ? * 3#1,6#3 *)", "'3#1,6#3' is no day of week"),
    ("cron(0 20 ? * JAN *)", "'JAN' is no day of week"),
    ("cron(0 20 * * ? 1969)", "'1969' is no year"),
    ("cron(0 20 * * ? 2200)", "'2200' is no year"),
    ("cron(0 20 * * ? 2030-2026)", "'2030-2026' is no year"),
    ("cron(0 20 * * * *)", 'must be "?"'),
    ("cron(0 20 1 * MON *)", 'must be "?"'),
    ("cron(0 20 ? * ? *)", 'must be "?", and only one'),
]


@pytest.mark.parametrize("expression", _VALID)
def test_an_expression_of_the_grammar_is_accepted(expression: str) -> None:
    """Whatever AWS documents is accepted."""
    assert mistake(expression) == ""


@pytest.mark.parametrize(("expression", "message"), _INVALID)
def test_any_other_expression_has_a_mistake(expression: str, message: str) -> None:
    """The mistake names the field that AWS would reject at deployment."""
    assert message in mistake(expression)


@pytest.mark.parametrize(
    ("hours", "is_a_window"),
    [
        ("20", True),
        ("20,21,22,23,0,1,2,3,4,5", True),
        ("20-23,0-5", True),
        ("20-5", True),
        ("1-23", True),
        ("0-23", False),
        ("6-5", False),
        ("0-11,12-23", False),
        (",".join(map(str, range(24))), False),
        ("*", False),
        ("*/2", False),
        ("0/12", False),
        ("20-23/2", False),
        ("20-24", False),
        ("", False),
    ],
)
def test_a_window_has_plain_hours_and_not_all_of_them(hours: str, *, is_a_window: bool) -> None:
    """A policy without a limit may stop runs in the window, so that there is time outside of it."""
    assert is_window(f"cron(0/30 {hours} ? * MON-FRI *)") is is_a_window


@pytest.mark.parametrize("expression", ["rate(1 hour)", "at(2026-11-24T20:00:00)", "cron(0 20 * * * *)", ""])
def test_only_a_valid_cron_expression_is_a_window(expression: str) -> None:
    """A rate has no hours, and an invalid expression is reported for its own mistake."""
    assert not is_window(expression)


@pytest.fixture
def time_zones() -> Iterator[None]:
    """Look the time zones up again, before the test and after it."""
    schedules._time_zones.cache_clear()  # noqa: SLF001 - the lookup is made once for a synthesis
    yield
    zoneinfo.reset_tzpath()
    schedules._time_zones.cache_clear()  # noqa: SLF001 - the same


@pytest.mark.usefixtures("time_zones")
@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("UTC", True),
        ("Europe/Berlin", True),
        ("America/Argentina/Buenos_Aires", True),
        ("Etc/GMT+5", True),
        ("europe/berlin", False),
        ("Berlin", False),
        ("CEST", False),
        ("+01:00", False),
        ("localtime", False),
        ("Factory", False),
        ("", False),
    ],
)
def test_a_time_zone_has_an_iana_name(name: str, *, known: bool) -> None:
    """The name is that of the IANA database, with its case."""
    assert is_time_zone(name) is known


@pytest.mark.usefixtures("time_zones")
def test_a_machine_without_the_database_knows_the_same_time_zones() -> None:
    """The package tzdata, which is installed with the CDK, has what a container without time zones lacks."""
    zoneinfo.reset_tzpath(to=())
    assert is_time_zone("Europe/Berlin")
    assert is_time_zone("UTC")
    assert not is_time_zone("Berlin")
