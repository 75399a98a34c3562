"""The emulator's account and Region, and clients for it."""

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
"""A newer Region, because AWS CLI 1 has SQS endpoints of older Regions, which override AWS_ENDPOINT_URL."""

ACCOUNT: Final = "000000000000"
KEY: Final = "test"
"""Key id and secret. The emulator accepts any key. A key id of twelve digits is the account id as well."""


class Credentials(NamedTuple):
    """AWS credentials, by default those of the account's root user."""

    key_id: str = KEY
    secret: str = KEY
    token: str | None = None


ROOT_USER: Final = Credentials()


class Aws:
    """The emulator's clients, each created on first use."""

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

    def __init__(
        self,
        endpoint: str,
        certificate: Path | None = None,
        credentials: Credentials = ROOT_USER,
        region: str = REGION,
    ) -> None:
        self.endpoint = endpoint
        self._certificate = certificate
        self._session = boto3.Session(*credentials, region_name=region)

    def with_credentials(self, credentials: Credentials, region: str = REGION) -> Aws:
        """Return clients with other credentials."""
        return Aws(self.endpoint, self._certificate, credentials, region)

    def __getattr__(self, name: str) -> Any:
        """Create and keep the client of a service that is declared above."""
        if name not in Aws.__annotations__:
            raise AttributeError(name)
        client = self.client(name.rstrip("_"))
        setattr(self, name, client)
        return client

    def client(self, service: Any) -> Any:
        """Create the client of any service."""
        # The emulator is on this machine, so a proxy from the environment could not reach it.
        config = Config(proxies={}, retries={"total_max_attempts": 1})
        verify = str(self._certificate) if self._certificate else None
        return self._session.client(service, endpoint_url=self.endpoint, config=config, verify=verify)

    def _location(self) -> Any:
        return {"LocationConstraint": self._session.region_name}

    def put_object(self, bucket: str, key: str, body: bytes) -> None:
        """Put an object into a bucket. Create the bucket if it does not exist."""
        with contextlib.suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=self._location())
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)
