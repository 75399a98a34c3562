"""Explanations of errors for the operator, one line each with the remedy. Imports no AWS library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gluebrake.error_codes import DENIED, NOT_FOUND, THROTTLED

NOT_OK: Final = 1
"""The exit code for an error, a problem or an incomplete result. Wrong usage exits with 2."""

STILL_RUNNING: Final = 3
"""The exit code for a stop request that was sent, after which a run may still be running."""

EMPTY: Final = "is empty: is a variable of the shell not set?"
"""The end of the text about an argument or an option that must not be empty."""

DEPLOY: Final = "with your configuration (make deploy CDK_OPTIONS=...)"
"""How to deploy an existing stack again. Without its own options, it would get the default configuration."""

PERMISSIONS: Final = {
    "BatchGetJobs": "glue:BatchGetJobs",
    "BatchStopJobRun": "glue:BatchStopJobRun",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "DescribeAlarms": "cloudwatch:DescribeAlarms",
    "DescribeLogGroups": "logs:DescribeLogGroups",
    "DescribeStacks": "cloudformation:DescribeStacks",
    "FilterLogEvents": "logs:FilterLogEvents",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "GetFunctionRecursionConfig": "lambda:GetFunctionRecursionConfig",
    "GetJob": "glue:GetJob",
    "GetJobRun": "glue:GetJobRun",
    "GetJobRuns": "glue:GetJobRuns",
    "GetMetricData": "cloudwatch:GetMetricData",
    "GetQueueAttributes": "sqs:GetQueueAttributes",
    "GetQueryResults": "logs:GetQueryResults",
    "GetResources": "tag:GetResources",
    "GetRolePolicy": "iam:GetRolePolicy",
    "GetSchedule": "scheduler:GetSchedule",
    "GetTags": "glue:GetTags",
    "GetTemplate": "cloudformation:GetTemplate",
    "GetTopicAttributes": "sns:GetTopicAttributes",
    "Invoke": "lambda:InvokeFunction",
    "ListEventSourceMappings": "lambda:ListEventSourceMappings",
    "ListJobs": "glue:ListJobs",
    "ListStackResources": "cloudformation:ListStackResources",
    "ListSubscriptionsByTopic": "sns:ListSubscriptionsByTopic",
    "ReceiveMessage": "sqs:ReceiveMessage",
    "SendMessageBatch": "sqs:SendMessage",
    "StartJobRun": "glue:StartJobRun",
    "StartQuery": "logs:StartQuery",
    "StopQuery": "logs:StopQuery",
    "TagResource": "glue:TagResource",
    "UntagResource": "glue:UntagResource",
}
"""The IAM action that each operation needs. GetCallerIdentity needs none."""

_DENIED: Final = DENIED | {"UnauthorizedOperation"}
_DENIAL: Final = re.compile(r"perform: (?P<action>\S+) on resource: (?P<resource>\S+)")

_LOG_IN: Final = "log in again (aws sso login, or a new session token)"
_UNKNOWN_KEYS: Final = (
    "AWS does not know these credentials: check --profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_SLOW_DOWN: Final = "AWS is throttling this account's calls: wait a little, then repeat the command"
_NO_ANSWER: Final = "check the network, --region, and AWS_ENDPOINT_URL (is `make local` still running?)"

_BY_CODE: Final = {
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired"), f"the credentials have expired: {_LOG_IN}"
    ),
    **dict.fromkeys(
        (
            "AuthFailure",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        _UNKNOWN_KEYS,
    ),
    **dict.fromkeys(THROTTLED | {"RequestThrottled"}, _SLOW_DOWN),
    NOT_FOUND: "Glue knows no such job in this account and Region: check its name and --region",
}

# By the name of botocore's exception or of its base class, the most specific first.
_BY_NAME: Final = {
    "NoCredentialsError": "no AWS credentials: log in (aws sso login), set AWS_PROFILE, or give --profile",
    "PartialCredentialsError": _UNKNOWN_KEYS,
    "ProfileNotFound": (
        "no such profile in ~/.aws/config: give another --profile, or unset AWS_PROFILE;"
        " for an environment, give --profile-for NAME=PROFILE"
    ),
    "NoRegionError": (
        "no Region: give --region, set AWS_REGION or AWS_DEFAULT_REGION, "
        "or set the profile's (aws configure set region eu-west-1)"
    ),
    "SSOError": f"the login has expired: {_LOG_IN}",
    "TokenRetrievalError": f"the login has expired: {_LOG_IN}",
    "CredentialRetrievalError": f"the credentials cannot be loaded: {_LOG_IN}",
    "EndpointConnectionError": f"AWS cannot be reached: {_NO_ANSWER}",
    "ConnectTimeoutError": f"AWS cannot be reached: {_NO_ANSWER}",
    "ResponseParserError": f"the endpoint is not AWS: {_NO_ANSWER}",
    "HTTPClientError": f"AWS does not answer: {_NO_ANSWER}",
}


class OperatorError(Exception):
    """An error that the operator can fix. The text is one line that says what is wrong and how to fix it."""


def explain(error: BaseException) -> str | None:
    """Return one line for an error of the operator, of AWS or of the connection, None for other errors."""
    if isinstance(error, OperatorError):
        return str(error)
    response = getattr(error, "response", None)  # a dict only in a ClientError
    if isinstance(response, Mapping) and (refusal := response.get("Error")):
        operation = getattr(error, "operation_name", "")
        return _refused(operation, refusal.get("Code", ""), refusal.get("Message", ""))
    names = [kind.__name__ for kind in type(error).__mro__]
    if remedy := next((_BY_NAME[name] for name in _BY_NAME if name in names), None):
        return f"{remedy}. {_one_line(str(error))}"
    if isinstance(error, ValueError) and str(error).startswith("Invalid endpoint"):
        return f"AWS_ENDPOINT_URL must be a URL like http://127.0.0.1:4566. {_one_line(str(error))}"
    return _one_line(f"{names[0]}: {error}") if "BotoCoreError" in names else None


def explain_in_sweep(text: str) -> str:
    """Return one line for an error of a sweep. It starts with the operation, if that is not GetJobRuns."""
    if not any(f"{code}: " in text for code in _DENIED):
        return _one_line(text)
    operation = text.partition(":")[0].split(" ")[0]
    return _denied(operation if operation in PERMISSIONS else "GetJobRuns", text)


def _refused(operation: str, code: str, message: str) -> str:
    if code in _DENIED:
        return _denied(operation, message)
    if remedy := _BY_CODE.get(code):
        return f"{remedy}. {_one_line(f'{operation}: {code}: {message}')}"
    return _one_line(f"{operation} was refused: {code}: {message}")


def _denied(operation: str, message: str) -> str:
    found = _DENIAL.search(message)
    action = found["action"] if found else PERMISSIONS.get(operation, operation)
    resource = found["resource"] if found else "the resource of the call"
    return f"you lack the permission {action} on {resource}: docs/command.md has the policy for an operator"


def _one_line(text: str) -> str:
    return " ".join(text.split())
