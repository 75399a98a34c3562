"""What people look at and are called by: a dashboard, alarms that notify a topic, saved queries."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra import queries
from infra.alarms import Monitored, alarms
from infra.dashboard import Dashboard
from infra.topics import topic_for_alarms


class Observability(Construct):
    """The topic is one of its own: what it is told stops no run."""

    def __init__(self, scope: Construct, construct_id: str, *, monitored: Monitored) -> None:
        super().__init__(scope, construct_id)
        self.topic = topic_for_alarms(self, "AlarmTopic")
        if monitored.config.alarm_email:
            self._call(monitored.config.alarm_email)
        defined = alarms(self, monitored)
        for alarm in defined:
            alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.dashboard = Dashboard(self, "Dashboard", monitored=monitored, alarms=defined)
        queries.save(self, [function.log_group for function in monitored.functions.values()])

    def _call(self, email: str) -> None:
        subscription = self.topic.add_subscription(subscriptions.EmailSubscription(email))
        cdk.Validations.of(subscription).acknowledge(
            cdk.Acknowledgment(
                id="Serverless::Serverless-SNSRedrivePolicy",
                reason="A dead letter about a call would set off an alarm, and so the next call.",
            )
        )
