"""The CloudFormation stack. It composes the constructs and defines no resource itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
import msgspec
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from gluebrake import __version__
from gluebrake.policies import TEMPLATE_METADATA, Policy
from gluebrake.stages import STAGES, Queue
from infra.alarms import Monitored
from infra.artifact import Artifact
from infra.canary import Canary
from infra.config import Config
from infra.confirm_function import ConfirmFunction
from infra.event_bus import RequestBus
from infra.forwarding import Forwarding
from infra.names import STACK, topic_output
from infra.notice_topic import NoticeTopic
from infra.observability import Observability
from infra.producer_policy import ProducerPolicy
from infra.queue_function import TIMEOUT, Foundation, QueueFunction, sender_ids, set_trusted_senders
from infra.queues import Queues
from infra.signals import Signals
from infra.stop_function import StopFunction
from infra.sweep_function import SweepFunction
from infra.sweep_triggers import SweepTriggers


class Gluebrake(cdk.Stack):
    """The stack for one account and Region.

    A changed construct id changes logical ids. CloudFormation would then replace a queue and lose its messages,
    or replace a role whose id is a trusted sender. So the ids "Messaging" and "Intake" differ from class names.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        artifact: Artifact,
        env: cdk.Environment | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=STACK,
            env=env,
            description="Gluebrake: stops AWS Glue job runs in batches",
        )
        queues = Queues(self, "Messaging", config=config, function_timeout=TIMEOUT)
        request_bus = RequestBus(self, "Intake", queues=queues)
        notice_topic = NoticeTopic(self, "NoticeTopic", email=config.notify_email)
        foundation = Foundation(
            config=config,
            artifact=artifact,
            queues=queues,
            bus=request_bus.bus,
            notice_topic=notice_topic,
        )
        triggers = self._sweep_triggers(foundation) if config.policies else None
        functions = self._functions(foundation, triggers)
        signals = Signals(self, "Signals", config=config, queues=queues, stop_function=functions["stop"])
        canary = Canary(
            self,
            "Canary",
            config=config,
            stop_queue=queues.stop_queue,
            confirm_log=functions["confirm"].log_group,
        )
        monitored = Monitored(
            config=config,
            queues=queues,
            functions=functions,
            rules=[request_bus.rule, *signals.rules, *self._forwarding(foundation)],
            signal_topic=signals.topic,
            sweep_triggers=triggers,
        )
        observability = Observability(self, "Observability", monitored=monitored)
        producer_policy = self._producer_policy(queues, request_bus, signals, functions["stop"])
        if artifact.warning:
            cdk.Annotations.of(self).add_warning_v2("gluebrake:artifact", artifact.warning)
        self._add_outputs(
            {
                "Version": __version__,
                **_queue_outputs(queues),
                "EventBusName": request_bus.bus.event_bus_name,
                "EventBusArn": request_bus.bus.event_bus_arn,
                "SignalTopicArn": signals.topic.topic_arn,
                "ProducerPolicyArn": producer_policy.managed_policy_arn,
                "NoticeTopicArn": notice_topic.topic_arn,
                "AlarmTopicArn": observability.topic.topic_arn,
                **_dashboard_output(observability),
                **{f"{STAGES[name].title}FunctionName": f.function_name for name, f in functions.items()},
                "StopFunctionArn": functions["stop"].function_arn,
                "CanaryJobName": canary.job.ref,
                "Observe": "true" if config.observe else "false",
                **_topic_outputs(triggers),
            }
        )

    def _forwarding(self, foundation: Foundation) -> list[events.CfnRule]:
        """Create the rule that forwards reports, if the configuration has a central bus."""
        if (central := foundation.config.central_bus_arn) is None:
            return []
        queues, bus = foundation.queues, foundation.bus
        return [Forwarding(self, "Forwarding", bus=bus, central_bus_arn=central, queues=queues).rule]

    def _functions(self, foundation: Foundation, triggers: SweepTriggers | None) -> dict[str, lambda_.Function]:
        """Create the function of each stage. Return them by the names of the stages."""
        functions: list[QueueFunction] = [
            StopFunction(self, "Stop", foundation=foundation),
            ConfirmFunction(self, "Confirm", foundation=foundation),
        ]
        set_trusted_senders(functions, foundation.config)
        if triggers:
            functions.append(self._sweep_function(foundation, triggers, functions))
        return {function.stage.name: function.function for function in functions}

    def _sweep_triggers(self, foundation: Foundation) -> SweepTriggers:
        """Create the triggers of sweeps, and the metadata from which `gluebrake` reads the policies."""
        policies = foundation.config.policies
        self.template_options.metadata = {TEMPLATE_METADATA: [_described(policy) for policy in policies]}
        queue = foundation.queues.work_queues[Queue.SWEEP]
        return SweepTriggers(self, "SweepTriggers", policies=policies, queue=queue)

    def _sweep_function(
        self, foundation: Foundation, triggers: SweepTriggers, functions: Sequence[QueueFunction]
    ) -> QueueFunction:
        """Create SWEEP, which trusts the other functions. They do not trust SWEEP: it only requests stops."""
        topics = {topic.topic_arn: policy for policy, topic in triggers.topics.items()}
        sweep = SweepFunction(self, "Sweep", foundation=foundation, signal_topics=topics)
        sweep.add_settings({"trusted_sender_ids": sender_ids(functions, foundation.config)})
        stop = functions[0]
        stop.add_settings({"sweep_sender_ids": sender_ids([sweep], foundation.config)})
        return sweep

    def _producer_policy(
        self, queues: Queues, request_bus: RequestBus, signals: Signals, stop_function: lambda_.Function
    ) -> ProducerPolicy:
        targets = {
            "sqs:SendMessage": queues.stop_queue.queue_arn,
            "events:PutEvents": request_bus.bus.event_bus_arn,
            "sns:Publish": signals.topic.topic_arn,
            "lambda:InvokeFunction": stop_function.function_arn,
        }
        return ProducerPolicy(self, "ProducerPolicy", targets=targets)

    def _add_outputs(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            cdk.CfnOutput(self, name, value=value)


def _dashboard_output(observability: Observability) -> dict[str, str]:
    dashboard = observability.dashboard
    return {"DashboardName": dashboard.dashboard_name} if dashboard else {}


def _queue_outputs(queues: Queues) -> dict[str, str]:
    stages = [stage for stage in STAGES.values() if stage.queue in queues.work_queues]
    named = {f"{stage.title}Queue": queues.work_queues[stage.queue] for stage in stages}
    named["DeadLetterQueue"] = queues.dead_letter_queue
    return {
        **{f"{name}Url": queue.queue_url for name, queue in named.items()},
        **{f"{name}Arn": queue.queue_arn for name, queue in named.items()},
    }


def _described(policy: Policy) -> dict[str, Any]:
    """Return a policy's configuration with its hash."""
    configured: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(policy))
    return {**configured, "hash": policy.hash}


def _topic_outputs(triggers: SweepTriggers | None) -> dict[str, str]:
    topics = triggers.topics if triggers else {}
    return {topic_output(policy): topic.topic_arn for policy, topic in topics.items()}
