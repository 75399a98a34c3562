"""The stack: composes the constructs, defines no resource itself."""

import aws_cdk as cdk
from constructs import Construct

from infra.alarms import Monitored
from infra.artifact import Artifact
from infra.config import Config
from infra.event_bus import Intake, ProducerPolicy
from infra.observability import Observability
from infra.queue_function import TIMEOUT, QueueFunction, confirm_function, set_trusted_senders, stop_function
from infra.queues import Messaging
from infra.signals import Signals


class Gluebrake(cdk.Stack):
    """The brake pedal for AWS Glue."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config, artifact: Artifact) -> None:
        super().__init__(scope, construct_id, description="Gluebrake: stops AWS Glue job runs in batches")
        messaging = Messaging(
            self,
            "Messaging",
            function_timeout=TIMEOUT,
            batch_window=cdk.Duration.seconds(config.batch_window_seconds),
        )
        intake = Intake(self, "Intake", messaging=messaging)
        specs = {
            "Stop": stop_function(self, config=config, messaging=messaging, bus=intake.bus),
            "Confirm": confirm_function(self, config=config, messaging=messaging, bus=intake.bus),
        }
        functions = {
            name: QueueFunction(self, name, spec=spec, config=config, artifact=artifact).function
            for name, spec in specs.items()
        }
        set_trusted_senders(list(functions.values()), config)
        signals = Signals(self, "Signals", config=config, messaging=messaging, stop_function=functions["Stop"])
        observability = Observability(
            self,
            "Observability",
            monitored=Monitored(
                config=config,
                messaging=messaging,
                functions={name.lower(): function for name, function in functions.items()},
                rules=[intake.rule, *signals.rules],
                signal_topic=signals.topic,
            ),
        )
        producer_policy = ProducerPolicy(
            self,
            "ProducerPolicy",
            ways_in={
                "sqs:SendMessage": messaging.stop_queue.queue_arn,
                "events:PutEvents": intake.bus.event_bus_arn,
                "sns:Publish": signals.topic.topic_arn,
                "lambda:InvokeFunction": functions["Stop"].function_arn,
            },
        )
        if artifact.warning:
            cdk.Annotations.of(self).add_warning_v2("gluebrake:artifact", artifact.warning)
        outputs = {
            "StopQueueUrl": messaging.stop_queue.queue_url,
            "ConfirmQueueUrl": messaging.confirm_queue.queue_url,
            "DeadLetterQueueUrl": messaging.dead_letter_queue.queue_url,
            "EventBusName": intake.bus.event_bus_name,
            "SignalTopicArn": signals.topic.topic_arn,
            "ProducerPolicyArn": producer_policy.managed_policy_arn,
            "AlarmTopicArn": observability.topic.topic_arn,
            "DashboardName": observability.dashboard.dashboard_name,
            **{f"{name}FunctionName": function.function_name for name, function in functions.items()},
        }
        for name, value in outputs.items():
            cdk.CfnOutput(self, name, value=value)
