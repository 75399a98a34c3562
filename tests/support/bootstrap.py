"""The traces of `cdk bootstrap` in an account of the emulator."""

from __future__ import annotations

from local.aws import Aws
from local.deployment import BOOTSTRAP_VERSION


def bootstrap(aws: Aws, account: str, region: str, *, bucket: bool = True) -> None:
    """Let an account and Region look bootstrapped. Without the bucket, the CDK cannot upload to it."""
    aws.ssm.put_parameter(Name=BOOTSTRAP_VERSION, Value="30", Type="String")
    if bucket:
        aws.put_object(f"cdk-hnb659fds-assets-{account}-{region}", "bootstrapped", b"")
