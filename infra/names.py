"""The names that CloudFormation does not generate."""

from typing import Final

STACK: Final = "Gluebrake"
"""The stack's name, in each account and Region."""

CENTRAL_STACK: Final = f"{STACK}Central"
"""The name of the stack that collects the reports of other accounts."""

BUS: Final = "GluebrakeIntakeBus29941DEE"
"""The name of the stack's bus, as the CDK generated it in version 0.1. A new name would replace the bus."""

CENTRAL_BUS: Final = "gluebrake-central"
"""The name of the central stack's bus. With a fixed name, its ARN is known before the deployment."""

CANARY_JOB: Final = f"{STACK}-canary"
"""The name of the canary's job. It has no character that is special in a pattern, in IAM or in a log filter."""


def topic_output(policy: str) -> str:
    """Return the name of the output with the topic of a policy. An output's name cannot have hyphens."""
    return f"SweepTopic{''.join(part.capitalize() for part in policy.split('-'))}Arn"


def stack_id(environment: str) -> str:
    """Return the id of an environment's stack within the CDK's app."""
    return f"{STACK}-{environment}"


def configuration_file(stack: str) -> str:
    """Return the name of the file in the cloud assembly that has a stack's effective configuration."""
    return f"{stack}.configuration.json"
