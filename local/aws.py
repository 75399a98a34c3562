"""Where the emulator answers, and clients for it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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


class Keys(NamedTuple):
    """Who calls: by default the account itself."""

    key_id: str = KEY
    secret: str = KEY
    token: str | None = None


OWNER: Final = Keys()


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

    def __init__(self, endpoint: str, certificate: Path | None = None, keys: Keys = OWNER) -> None:
        self.endpoint = endpoint
        self._certificate = certificate
        self._session = boto3.Session(*keys, region_name=REGION)

    def by(self, keys: Keys) -> Aws:
        """Return the clients of whoever has these keys."""
        return Aws(self.endpoint, self._certificate, keys)

    def __getattr__(self, name: str) -> Any:
        """Make the client of a service that is declared above, and keep it."""
        if name not in Aws.__annotations__:
            raise AttributeError(name)
        client = self.client(name.rstrip("_"))
        setattr(self, name, client)
        return client

    def client(self, service: Any) -> Any:
        """Make the client of any service."""
        # No proxy, whatever the environment says: the emulator is on this machine.
        config = Config(proxies={}, retries={"total_max_attempts": 1})
        verify = str(self._certificate) if self._certificate else None
        return self._session.client(service, endpoint_url=self.endpoint, config=config, verify=verify)

    def put_object(self, bucket: str, key: str, body: bytes) -> None:
        """Put an object into a bucket, which is made if it is not there."""
        with contextlib.suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)
