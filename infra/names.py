"""The names that CloudFormation does not generate."""

from typing import Final

STACK: Final = "Gluebrake"
"""The stack's name, in each account and Region."""

CENTRAL_STACK: Final = f"{STACK}Central"
"""The name of the stack that collects the reports of other accounts."""

BUS: Final = "GluebrakeIntakeBus29941DEE"
"""The name of the stack's bus. The CDK generated it in the first version; another name replaces the bus."""

CENTRAL_BUS: Final = "gluebrake-central"
"""The name of the central stack's bus, so that its ARN is known before it is deployed."""

CANARY_JOB: Final = f"{STACK}-canary"
"""The name of the canary's job. No character of it is special in a pattern, in IAM or in a log filter."""


def topic_output(policy: str) -> str:
    """Return the name of the output that has the topic of a policy. It must not have the name's hyphens."""
    return f"SweepTopic{''.join(part.capitalize() for part in policy.split('-'))}Arn"


def stack_id(environment: str) -> str:
    """Return the id of an environment's stack within the CDK's app."""
    return f"{STACK}-{environment}"


def configuration_file(stack: str) -> str:
    """Return the file of the cloud assembly with a stack's effective configuration, by the stack's id."""
    return f"{stack}.configuration.json"
