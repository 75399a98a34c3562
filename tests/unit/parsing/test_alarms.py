"""Tests of alarms: contributors, silenced alarms, and whose metric and whose alarm is obeyed."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec.structs import replace

from gluebrake.contract import StopRequest
from gluebrake.model import ParsedRequest
from gluebrake.parsing.alarm_metrics import EXAMPLE
from tests.support.builders import AWS_ENVIRONMENT, Ignored, Invalid, parse_one
from tests.unit.parsing.events import (
    ALARM_ARN,
    CHANGED_AT,
    ELAPSED_TIME,
    EXPRESSION,
    MUTED,
    QUERY,
    RUN,
    SENT_AT,
    Json,
    alarm_action,
    alarm_data,
    alarm_event,
    alarm_notification,
    attributes,
    composite_data,
    contributor_data,
    contributor_event,
    contributor_notification,
    dimensions,
    message,
    metric,
    metric_math_trigger,
    notification,
    of_alarm,
    query,
    state_of_alarm,
    trigger,
    trigger_metric,
    trigger_query,
)

pytestmark = pytest.mark.disable_socket

MONITORING: Final = "999900001111"
"""An account with alarms on the metrics of this account."""
OTHER: Final = "888800002222"
HERE: Final = AWS_ENVIRONMENT.account
TRUSTING: Final = replace(AWS_ENVIRONMENT, alarm_accounts=(MONITORING,), alarm_namespaces=("Own/Jobs",))
"""An environment that allows one more account and one more namespace."""

ELSEWHERE_ARN: Final = ALARM_ARN.replace(HERE, MONITORING)


def forms(of: dict[str, str] | None = None) -> dict[str, Json]:
    """Build the three forms of a contributor with these attributes."""
    return {
        "event": contributor_event(contributor_data(of)),
        "action": alarm_action(contributor_data(of)),
        "notification": contributor_notification(of),
        "notification in its envelope": notification(contributor_notification(of)),
    }


def whole_alarm(*metrics: Json) -> dict[str, Json]:
    """Build the three forms of an alarm with these entries, which are `query()` and others like it."""
    triggers = [trigger_query(entry["expression"]) for entry in metrics]
    return {
        "event": alarm_event(alarm_data(*metrics)),
        "action": alarm_action(alarm_data(*metrics)),
        "notification": alarm_notification(metric_math_trigger(*triggers)),
    }


def on_query(expression: str) -> Json:
    """Build the event of a contributor of this query."""
    return contributor_event(contributor_data(None, query(expression)))


def monitoring(*metrics: Json, **changes: Any) -> Json:
    """Build the event of a monitoring account's alarm on these metrics."""
    return alarm_event(alarm_data(*metrics), account=MONITORING, resources=[ELSEWHERE_ARN], **changes)


def monitoring_contributor(**attribute: str) -> Json:
    """Build the event of a contributor in a monitoring account, with one more attribute."""
    of = attributes(**attribute)
    return contributor_event(contributor_data(of), account=MONITORING, resources=[ELSEWHERE_ARN])


def requested(event: Json, aws_environment: Any = AWS_ENVIRONMENT) -> StopRequest:
    """Return what the event requests."""
    parsed = parse_one(message(event), aws_environment)
    assert isinstance(parsed, ParsedRequest), parsed.why
    return parsed.request


def why_ignored(event: Json, aws_environment: Any = AWS_ENVIRONMENT) -> str:
    """Return why the event requests nothing."""
    parsed = parse_one(message(event), aws_environment)
    assert isinstance(parsed, Ignored)
    return parsed.why


def why_invalid(event: Json, aws_environment: Any = AWS_ENVIRONMENT) -> str:
    """Return why the event cannot be used."""
    parsed = parse_one(message(event), aws_environment)
    assert isinstance(parsed, Invalid)
    return parsed.why


class TestContributors:
    """An alarm on a query that groups by run names each run by itself."""

    @pytest.mark.parametrize("event", forms().values(), ids=forms())
    def test_run_of_the_contributor_is_stopped(self, event: Json) -> None:
        """Each form names the job and the run, and the request names the run."""
        assert requested(event) == of_alarm(RUN)

    @pytest.mark.parametrize("event", forms(attributes(None)).values(), ids=forms())
    def test_contributor_without_a_run_selects_active_runs(self, event: Json) -> None:
        """A query that groups by job alone means the runs that were active when the state changed."""
        assert requested(event) == of_alarm(at=CHANGED_AT)

    @pytest.mark.parametrize("event", forms(attributes("ALL")).values(), ids=forms())
    def test_sum_over_the_runs_requests_nothing(self, event: Json) -> None:
        """The series of JobRunId ALL adds up parallel runs, none of which need be too long."""
        assert "is the sum over a job's runs" in why_ignored(event)

    @pytest.mark.parametrize("event", whole_alarm(query()).values(), ids=whole_alarm())
    def test_alarm_with_contributors_requests_nothing_by_itself(self, event: Json) -> None:
        """The alarm's own change of state names no run, and its contributors name theirs."""
        assert why_ignored(event).startswith("each time series of the alarm's query has an event of its own")

    @pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
    def test_contributor_in_another_state_requests_nothing(self, state: str) -> None:
        """A contributor that is over its threshold no more stops nothing."""
        event = contributor_event(contributor_data(state=state_of_alarm(state)))
        assert why_ignored(event) == f"the alarm is in {state}"
        assert why_ignored(contributor_notification(NewStateValue=state)) == f"the alarm is in {state}"

    @pytest.mark.parametrize(
        "expression",
        [
            'select max("glue.ALL.jvm.heap.usage") from Glue group by JobName, JobRunId order by max() desc',
            'SELECT AVG("glue.ALL.jvm.heap.usage")\nFROM "Glue"\nGROUP BY JobRunId, JobName',
            '  SELECT  MIN ( "glue.ALL.jvm.heap.usage" )FROM SCHEMA ( "Glue" ,JobName) GROUP BY JobName',
            'SELECT COUNT("glue.ALL.jvm.heap.usage") FROM SCHEMA(Glue)',
            'SELECT MAX("glue.ALL.jvm.heap.usage") FROM Glue GROUP BY JobName, JobRunId, tag.team',
        ],
    )
    def test_any_metric_of_glue_and_any_function_is_allowed(self, expression: str) -> None:
        """Keywords ignore case, and quotes around Glue are optional."""
        assert requested(on_query(expression)) == of_alarm(RUN)

    def test_example_in_the_errors_is_allowed(self) -> None:
        """The query that the errors show is the one that works."""
        assert requested(on_query(EXAMPLE)) == of_alarm(RUN)
        assert "has an event of its own" in why_ignored(alarm_event(alarm_data(query(EXAMPLE))))

    @pytest.mark.parametrize(
        ("expression", "why"),
        [
            (
                QUERY.replace(ELAPSED_TIME, "Stopped"),
                "the metric 'Stopped' in namespace Glue is not one of Glue's",
            ),
            (
                QUERY.replace(ELAPSED_TIME, "Glue.x"),
                "the metric 'Glue.x' in namespace Glue is not one of Glue's",
            ),
            (QUERY.replace("SCHEMA(Glue", 'SCHEMA("Glue/Ray"'), "is in namespace 'Glue/Ray'; allowed: Glue;"),
            (QUERY.replace("SCHEMA(Glue", "SCHEMA(glue"), "is in namespace 'glue'; allowed: Glue;"),
            (QUERY.replace("SCHEMA(Glue", "SCHEMA(Glue/Ray"), "its query selects no metric of Glue"),
            (QUERY.replace("SUM", "P99"), "its query selects no metric of Glue"),
            (QUERY.replace(f'"{ELAPSED_TIME}"', ELAPSED_TIME), "its query selects no metric of Glue"),
            (QUERY.replace(" FROM ", " FROMAGE "), "its query selects no metric of Glue"),
            (f"MAX({QUERY})", "its query selects no metric of Glue"),
            ("SELECT", "its query selects no metric of Glue"),
            ('SELECT SUM("' + "\\" * 5001, "its query selects no metric of Glue"),
            ("", "its query selects no metric of Glue"),
        ],
    )
    def test_query_on_another_metric_is_refused(self, expression: str, why: str) -> None:
        """A contributor is refused unless its query selects one metric of Glue. The error shows an example."""
        assert why_invalid(on_query(expression)).startswith("the contributor: ")
        assert why in why_invalid(on_query(expression))

    @pytest.mark.parametrize(
        "data",
        [
            contributor_data(None, query(), query(id="m2")),
            contributor_data(None, query(), EXPRESSION),
            contributor_data(None, metric()),
            contributor_data(configuration={"metrics": []}),
            contributor_data(configuration=None),
        ],
    )
    def test_contributor_of_anything_but_one_query_is_refused(self, data: Json) -> None:
        """Metric math over queries, a metric, and no configuration do not say what a contributor sums up."""
        assert "its query selects no metric of Glue; allowed is a query like" in why_invalid(alarm_action(data))

    @pytest.mark.parametrize(
        ("of", "why"),
        [
            (attributes(job_name=None), "has no attribute JobName; add JobName to the query's GROUP BY"),
            ({}, "has no attribute JobName"),
            (attributes("Other"), "its JobRunId is Other, which stands for metrics without JobRunId"),
            (attributes(job_name="Other"), "its JobName is Other, which stands for metrics without JobName"),
            (attributes(""), "attributes.JobRunIds[0]: Expected `str` of length >= 1"),
            (attributes(job_name=""), "attributes.JobName: Expected `str` of length >= 1"),
            (attributes(job_name="a\nb"), "attributes.JobName: must be one line of text"),
        ],
    )
    def test_contributor_that_names_no_run_is_refused(self, of: dict[str, str], why: str) -> None:
        """Missing attributes, and the group of the metrics without the dimension, name no run."""
        for event in forms(of).values():
            assert why in why_invalid(event)

    def test_notification_with_the_id_of_a_contributor_alone_is_refused(self) -> None:
        """A notification of a contributor without attributes does not count as the alarm's own."""
        why = why_invalid(contributor_notification(AlarmContributorAttributes=...))
        assert "the contributor: has no attribute JobName" in why

    @pytest.mark.parametrize(
        "contributor", [None, ..., {}, {"attributes": None}, {"attributes": {"JobName": 5}}]
    )
    def test_contributor_event_needs_attributes(self, contributor: Any) -> None:
        """Without the attributes an event of a contributor cannot be used, whatever its metrics are."""
        data = contributor_data(None, metric(dimensions(RUN)), alarmContributor=contributor)
        event = contributor_event({name: value for name, value in data.items() if value is not ...})
        assert why_invalid(event).startswith("detail.alarmContributor")

    @pytest.mark.parametrize(
        "entries",
        [
            [query('SELECT SUM("glue.ALL.jvm.heap.usage") FROM Glue')],
            [query("SELECT SUM(\"glue.ALL.jvm.heap.usage\") FROM Glue WHERE JobName = 'GROUP BY x'")],
            [query(), EXPRESSION],
        ],
        ids=["no group", "a group in a text", "metric math"],
    )
    def test_query_without_contributors_is_refused(self, entries: list[Json]) -> None:
        """An alarm on a query that is aggregated to one series never names a run, which is not silent."""
        for event in whole_alarm(*entries).values():
            assert "the alarm: has no contributors, so it names no job; allowed is a query like" in why_invalid(
                event
            )


class TestSilenced:
    """An alarm whose actions must not happen asks for nothing, though its events are sent."""

    @pytest.mark.parametrize(
        "event",
        [
            alarm_event(alarm_data(muteDetail=MUTED)),
            alarm_action(alarm_data(muteDetail=MUTED)),
            contributor_event(contributor_data(muteDetail=MUTED)),
            alarm_action(contributor_data(muteDetail=MUTED)),
            notification(alarm_event(alarm_data(muteDetail=MUTED))),
            alarm_event(alarm_data(metric({}), muteDetail=MUTED)),
        ],
    )
    def test_muted_alarm_requests_nothing(self, event: Json) -> None:
        """A mute rule silences events, actions and contributors, and the reason names the rule and its end."""
        assert why_ignored(event) == (
            f"the alarm is muted by {MUTED['mutedByArn']} until 2026-03-14T12:00:00.000+0000"
        )

    def test_mute_rule_without_details_silences_as_well(self) -> None:
        """The presence of `muteDetail` decides, whatever it holds."""
        assert why_ignored(alarm_event(alarm_data(muteDetail={}))) == "the alarm is muted by a mute rule"

    def test_mute_detail_that_is_null_silences_nothing(self) -> None:
        """A null means that no mute rule is active."""
        assert requested(alarm_event(alarm_data(muteDetail=None))) == of_alarm()

    @pytest.mark.parametrize("mute_detail", [True, "muted", [MUTED], {"mutedByArn": 5}])
    def test_mute_detail_of_another_type_stops_nothing(self, mute_detail: Any) -> None:
        """A mute detail that is not understood makes the event unusable."""
        assert why_invalid(alarm_event(alarm_data(muteDetail=mute_detail))).startswith("detail.muteDetail")

    def test_suppressed_contributor_requests_nothing(self) -> None:
        """A contributor obeys suppression as an alarm does."""
        event = contributor_event(contributor_data(state=state_of_alarm(actionsSuppressedBy="Alarm")))
        assert why_ignored(event) == "the alarm's actions are suppressed"


class TestWhoseMetric:
    """Only metrics of Glue, and of allowed namespaces, mean runs."""

    @pytest.mark.parametrize("name", ["Stopped", "Glue.driver.x", "glue", ""])
    def test_foreign_metric_in_the_namespace_glue_is_refused(self, name: str) -> None:
        """Any account may publish into the namespace Glue. The error names the metric and what to do."""
        why = (
            f"the alarm: the metric {name!r} in namespace Glue is not one of Glue's own, whose names start with"
            " 'glue.'; publish it in another namespace, and add that to alarmNamespaces"
        )
        assert why_invalid(alarm_event(alarm_data(metric(name=name)))) == why
        assert why_invalid(alarm_notification(trigger(MetricName=name))) == why
        assert why_invalid(alarm_event(alarm_data(metric(name=name))), TRUSTING) == why

    def test_metric_of_another_namespace_is_refused(self) -> None:
        """The error of a metric with a JobName names its namespace, the allowed ones and the setting."""
        why = "is in namespace 'Mine'; allowed: Glue, Own/Jobs; add the namespace to alarmNamespaces"
        assert why in why_invalid(alarm_event(alarm_data(metric(namespace="Mine", name="Minutes"))), TRUSTING)
        assert why in why_invalid(alarm_notification(trigger(namespace="Mine")), TRUSTING)

    @pytest.mark.parametrize(
        "event",
        [
            alarm_event(alarm_data(metric(dimensions(RUN), "Own/Jobs", "Minutes"))),
            alarm_notification(trigger(dimensions(RUN), "Own/Jobs", MetricName="Minutes")),
            on_query('SELECT MAX(Minutes) FROM "Own/Jobs" GROUP BY JobName, JobRunId ORDER BY MAX() DESC'),
        ],
    )
    def test_any_metric_of_an_allowed_namespace_counts(self, event: Json) -> None:
        """A namespace in alarmNamespaces counts like Glue's, with any metric name."""
        assert requested(event, TRUSTING) == of_alarm(RUN)
        assert "allowed: Glue;" in why_invalid(event)

    def test_metric_of_an_allowed_namespace_needs_a_job(self) -> None:
        """A metric without the dimension JobName names no job, in any namespace."""
        event = alarm_event(alarm_data(metric({"Rule": "late"}, "Own/Jobs", "Minutes")))
        assert "watches no metric with the dimension JobName, so it names no job" in why_invalid(
            event, TRUSTING
        )

    def test_foreign_metric_beside_one_of_glue_is_a_baseline(self) -> None:
        """A metric that speaks for no run does not make an alarm ambiguous."""
        entries = metric(dimensions(RUN)), metric(dimensions("ALL", "baseline"), name="Started"), EXPRESSION
        assert requested(alarm_event(alarm_data(*entries))) == of_alarm(RUN)

    def test_metrics_of_two_jobs_in_two_namespaces_are_ambiguous(self) -> None:
        """An allowed namespace is compared like Glue's."""
        event = alarm_event(alarm_data(metric(), metric(dimensions("ALL", "x"), "Own/Jobs")))
        assert "is ambiguous, since it watches more than one job or run" in why_invalid(event, TRUSTING)


class TestWhoseAlarm:
    """The account of the metric decides, and a monitoring account's alarms need a setting."""

    @pytest.mark.parametrize(
        "event",
        [
            monitoring(metric(accountId=HERE)),
            alarm_action(alarm_data(metric(accountId=HERE)), accountId=MONITORING),
            notification(
                alarm_notification(
                    metric_math_trigger(trigger_metric(AccountId=HERE)),
                    AWSAccountId=MONITORING,
                    AlarmArn=ELSEWHERE_ARN,
                )
            ),
            monitoring_contributor(**{"AWS.AccountId": HERE}),
        ],
        ids=["event", "action", "notification", "contributor"],
    )
    def test_alarm_of_a_monitoring_account_needs_the_setting(self, event: Json) -> None:
        """Without alarmAccounts it is refused with a reason, and with it the run's account counts."""
        assert isinstance(parse_one(message(event), TRUSTING), ParsedRequest)
        why = (
            f"the alarm: is of account {MONITORING} and watches account {HERE};"
            f" only alarms of {HERE} are obeyed; add its account to alarmAccounts"
        )
        assert why in why_invalid(event)

    def test_request_of_a_monitoring_account_names_its_alarm(self) -> None:
        """The request is that of an alarm of this account, and says whose alarm it is."""
        event = monitoring(metric(accountId=HERE))
        assert requested(event, TRUSTING) == of_alarm(requested_by=ELSEWHERE_ARN)

    @pytest.mark.parametrize("aws_environment", [AWS_ENVIRONMENT, TRUSTING])
    @pytest.mark.parametrize(
        ("event", "account"),
        [
            (monitoring(metric(accountId=OTHER)), OTHER),
            (monitoring(metric()), MONITORING),
            (monitoring(metric({}, "AWS/EC2")), MONITORING),
            (alarm_event(alarm_data(metric(accountId=OTHER))), OTHER),
            (alarm_event(alarm_data(metric(accountId=OTHER), metric({}, "AWS/EC2"))), OTHER),
            (alarm_event(composite_data(), account=MONITORING), MONITORING),
            (monitoring_contributor(**{"AWS.AccountId": OTHER}), OTHER),
            (monitoring_contributor(**{"AWS.AccountId": MONITORING}), MONITORING),
            (contributor_event(contributor_data(attributes(**{"AWS.AccountId": OTHER}))), OTHER),
            (contributor_event(contributor_data(None, query(accountId=OTHER))), OTHER),
        ],
    )
    def test_alarm_on_metrics_of_another_account_requests_nothing(
        self, aws_environment: Any, event: Json, account: str
    ) -> None:
        """The runs of another account are not stopped here, whichever account owns the alarm."""
        assert f"it is of account {account} in eu-west-1" in why_ignored(event, aws_environment)

    @pytest.mark.parametrize(
        "event",
        [
            alarm_event(region="ap-south-1"),
            monitoring(metric(accountId=HERE), region="ap-south-1"),
            contributor_event(region="ap-south-1"),
        ],
    )
    def test_alarm_of_another_region_requests_nothing(self, event: Json) -> None:
        """An alarm watches metrics of its own Region, so its runs are not here."""
        assert f"it is of account {HERE} in ap-south-1" in why_ignored(event, TRUSTING)

    @pytest.mark.parametrize("event", [alarm_event, monitoring], ids=["own", "monitoring"])
    def test_alarm_on_metrics_of_two_accounts_is_refused(self, event: Any) -> None:
        """Which of the two accounts has the culprit is unknown, so the alarm is no silent one."""
        entries = metric(accountId=HERE), metric(accountId=OTHER, id="m2")
        data = [alarm_data(*entries)] if event is alarm_event else entries
        why = f"is ambiguous, since its metrics are of several accounts: {HERE}, {OTHER}"
        assert why in why_invalid(event(*data), TRUSTING)

    def test_contributor_across_accounts_needs_the_account(self) -> None:
        """A query in a monitoring account covers all accounts, so its groups must name the account."""
        why = why_invalid(monitoring_contributor(), TRUSTING)
        assert why == (
            f"the contributor: is of an alarm of account {MONITORING}, and nothing names the account of its"
            " metrics; add AWS.AccountId to the query's GROUP BY"
        )

    def test_alarm_of_an_allowed_account_that_is_over_requests_nothing(self) -> None:
        """State and silence come before trust, so that an alarm that ends is no dead letter."""
        event = alarm_event(alarm_data(metric(accountId=HERE), state="OK"), account=MONITORING)
        assert why_ignored(event) == "the alarm is in OK"


def test_contributor_that_is_redriven_selects_no_younger_runs() -> None:
    """A selection of a contributor has the time of the state, however late it is processed."""
    parsed = parse_one(message(contributor_event(contributor_data(attributes(None)))))
    late = parse_one(
        message(contributor_event(contributor_data(attributes(None))), sent_at=SENT_AT.replace(year=2027))
    )
    assert isinstance(parsed, ParsedRequest)
    assert isinstance(late, ParsedRequest)
    assert late.request == parsed.request
