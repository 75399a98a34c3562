"""The alarms with their topic, the saved queries, and the dashboard if the configuration has one."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from infra import queries
from infra.alarms import Monitored, create_alarms
from infra.dashboard import Dashboard
from infra.topics import alarm_source, alarm_topic, subscribe


class Observability(Construct):
    """The constructs for operators.

    Alarms notify a topic of their own, because a message to the topic for signals stops runs.
    """

    def __init__(self, scope: Construct, construct_id: str, *, monitored: Monitored) -> None:
        super().__init__(scope, construct_id)
        self.topic = alarm_topic(self, "AlarmTopic", sources=[alarm_source(cdk.Stack.of(self), "*")])
        subscribe(
            self.topic,
            monitored.config.alarm_email,
            without_dead_letters="A dead letter about a notification would fire an alarm, which sends the next"
            " notification.",
        )
        alarms = create_alarms(self, monitored)
        for alarm in alarms:
            alarm.add_alarm_action(actions.SnsAction(self.topic))
            alarm.add_ok_action(actions.SnsAction(self.topic))
        self.dashboard: Dashboard | None = None
        if monitored.config.dashboard:
            self.dashboard = Dashboard(self, "Dashboard", monitored=monitored, alarms=alarms)
        queries.save(self, queries.QUERIES, [function.log_group for function in monitored.functions.values()])
