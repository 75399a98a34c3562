"""The managed policy for producers: the roles and users that request stops."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import aws_iam as iam
from constructs import Construct

from gluebrake import contract
from infra.statements import each_event

# Without the condition, a producer could publish outcome events as Gluebrake.
_CONDITIONS: Final = {"events:PutEvents": each_event({"events:detail-type": contract.STOP_REQUESTED})}


class ProducerPolicy(iam.ManagedPolicy):
    """A managed policy that allows each action on its ARN in `targets`, and nothing else."""

    def __init__(self, scope: Construct, construct_id: str, *, targets: Mapping[str, str]) -> None:
        super().__init__(
            scope,
            construct_id,
            # IAM cannot change a description: another text replaces the policy that producers have attached.
            description="Permits asking Gluebrake to stop AWS Glue job runs",
            statements=[
                iam.PolicyStatement(actions=[action], resources=[arn], conditions=_CONDITIONS.get(action))
                for action, arn in targets.items()
            ],
        )
