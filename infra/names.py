"""The names that CloudFormation does not generate."""

from typing import Final

STACK: Final = "Gluebrake"
"""The stack's name."""

CANARY_JOB: Final = f"{STACK}-canary"
"""The name of the canary's job. No character of it is special in a pattern, in IAM or in a log filter."""


def topic_output(policy: str) -> str:
    """Return the name of the output that has the topic of a policy. It must not have the name's hyphens."""
    return f"SweepTopic{''.join(part.capitalize() for part in policy.split('-'))}Arn"
