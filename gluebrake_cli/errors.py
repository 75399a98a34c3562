"""What went wrong between the operator and AWS: in one line, with the remedy. It loads no AWS library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PERMISSIONS: Final = {
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "DescribeAlarms": "cloudwatch:DescribeAlarms",
    "DescribeStacks": "cloudformation:DescribeStacks",
    "FilterLogEvents": "logs:FilterLogEvents",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "GetJobRun": "glue:GetJobRun",
    "GetJobRuns": "glue:GetJobRuns",
    "GetMetricData": "cloudwatch:GetMetricData",
    "GetQueueAttributes": "sqs:GetQueueAttributes",
    "ListEventSourceMappings": "lambda:ListEventSourceMappings",
    "ListStackResources": "cloudformation:ListStackResources",
    "ReceiveMessage": "sqs:ReceiveMessage",
    "SendMessageBatch": "sqs:SendMessage",
}
"""The IAM action that an operation takes. Who one is (GetCallerIdentity) anybody may ask."""

_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_DENIAL: Final = re.compile(r"perform: (?P<action>\S+) on resource: (?P<resource>\S+)")

_LOG_IN: Final = "log in again (aws sso login, or a new session token)"
_UNKNOWN_KEYS: Final = (
    "AWS does not know these credentials: check --profile, or AWS_ACCESS_KEY_ID and what goes with it"
)
_SLOWER: Final = "AWS is throttling this account's calls: wait a little, then repeat the command"
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
    **dict.fromkeys(
        (
            "RequestLimitExceeded",
            "RequestThrottled",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ),
        _SLOWER,
    ),
    "EntityNotFoundException": "Glue knows no such job in this account and Region: check its name and --region",
}

# By the names of botocore's exceptions and of those that they derive from, the most special first.
_BY_NAME: Final = {
    "NoCredentialsError": "no AWS credentials: log in (aws sso login), set AWS_PROFILE, or give --profile",
    "PartialCredentialsError": _UNKNOWN_KEYS,
    "ProfileNotFound": "no such profile in ~/.aws/config: give another --profile, or unset AWS_PROFILE",
    "NoRegionError": "no Region: give --region, or set AWS_REGION",
    "SSOError": f"the login has expired: {_LOG_IN}",
    "TokenRetrievalError": f"the login has expired: {_LOG_IN}",
    "CredentialRetrievalError": f"the credentials cannot be had: {_LOG_IN}",
    "EndpointConnectionError": f"AWS cannot be reached: {_NO_ANSWER}",
    "ConnectTimeoutError": f"AWS cannot be reached: {_NO_ANSWER}",
    "ResponseParserError": f"what answers is not AWS: {_NO_ANSWER}",
    "HTTPClientError": f"AWS does not answer: {_NO_ANSWER}",
}


class OperatorError(Exception):
    """Something that the operator can mend; the text is one line that says what and how."""


def explained(error: Exception) -> str | None:
    """Return one line for an error that comes from AWS or from the way there, None for any other."""
    if isinstance(error, OperatorError):
        return str(error)
    response = getattr(error, "response", None)  # of other errors than a refusal it may be anything
    if isinstance(response, Mapping) and (told := response.get("Error")):
        return _refusal(getattr(error, "operation_name", ""), told.get("Code", ""), told.get("Message", ""))
    names = [kind.__name__ for kind in type(error).__mro__]
    if remedy := next((_BY_NAME[name] for name in _BY_NAME if name in names), None):
        return f"{remedy}. {_one_line(str(error))}"
    if isinstance(error, ValueError) and str(error).startswith("Invalid endpoint"):
        return f"AWS_ENDPOINT_URL must be a URL like http://127.0.0.1:4566. {_one_line(str(error))}"
    return _one_line(f"{names[0]}: {error}") if "BotoCoreError" in names else None


def _refusal(operation: str, code: str, message: str) -> str:
    if code in _DENIED:
        return _denial(operation, message)
    if remedy := _BY_CODE.get(code):
        return f"{remedy}. {_one_line(f'{operation}: {code}: {message}')}"
    return _one_line(f"{operation} was refused: {code}: {message}")


def _denial(operation: str, message: str) -> str:
    found = _DENIAL.search(message)
    action = found["action"] if found else PERMISSIONS.get(operation, operation)
    resource = found["resource"] if found else "what it was called on"
    return f"you lack the permission {action} on {resource}: docs/ops.md has the policy for an operator"


def _one_line(text: str) -> str:
    return " ".join(text.split())
