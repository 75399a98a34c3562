"""The session with AWS, and its clients. The only module that loads boto3."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


class Clients:
    """AWS clients, each created at its first use."""

    cloudformation: CloudFormationClient
    cloudwatch: CloudWatchClient
    glue: GlueClient
    iam: Any  # a few calls do not justify a dependency on the stubs of these four services
    lambda_: LambdaClient
    logs: CloudWatchLogsClient
    resourcegroupstaggingapi: Any
    scheduler: Any
    sns: SNSClient
    sqs: SQSClient
    sts: Any

    def __init__(self, session: boto3.Session, **options: Any) -> None:
        self._session = session
        config = Config(
            connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4}
        )
        self._options = {"config": config, **options}

    def __getattr__(self, name: str) -> Any:
        """Create the client of a service that is declared above, and keep it."""
        if name not in Clients.__annotations__:
            raise AttributeError(name)
        service: Any = name.rstrip("_")
        client = self._session.client(service, **self._options)
        setattr(self, name, client)
        return client


def open_session(*, profile: str | None, region: str | None) -> boto3.Session:
    """Open a session in `region`. The default Region is AWS_REGION, AWS_DEFAULT_REGION or the profile's.

    The AWS CDK reads AWS_REGION first, and boto3 does not read this variable. Without this function, the
    command could act in another Region than the deployment.
    """
    environ = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
    return boto3.Session(profile_name=profile, region_name=region or environ)
