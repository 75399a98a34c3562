"""Where the emulator answers, and clients for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

HOST: Final = "127.0.0.1"
REGION: Final = "eu-central-2"
"""For older Regions the AWS CLI 1 has endpoints for SQS of its own, which win over AWS_ENDPOINT_URL."""

ACCOUNT: Final = "000000000000"
KEY: Final = "test"
"""Key id and secret: the emulator takes any, and reads another account's number from twelve digits."""


class Aws:
    """The emulator's clients, each made when it is first used."""

    cloudformation: CloudFormationClient
    cloudwatch: CloudWatchClient
    events: EventBridgeClient
    glue: GlueClient
    lambda_: LambdaClient
    logs: CloudWatchLogsClient
    s3: S3Client
    scheduler: EventBridgeSchedulerClient
    sns: SNSClient
    sqs: SQSClient
    ssm: SSMClient

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = boto3.Session(KEY, KEY, region_name=REGION)

    def __getattr__(self, name: str) -> Any:
        """Make the client of a service that is declared above, and keep it."""
        if name not in Aws.__annotations__:
            raise AttributeError(name)
        # No proxy, whatever the environment says: the emulator is on this machine.
        config = Config(proxies={}, retries={"total_max_attempts": 1})
        service: Any = name.rstrip("_")
        client = self._session.client(service, endpoint_url=self.endpoint, config=config)
        setattr(self, name, client)
        return client

    def put_object(self, bucket: str, key: str, body: bytes) -> None:
        """Put an object into a bucket, which is made if it is not there."""
        with contextlib.suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)
