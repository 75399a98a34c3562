"""An error of AWS or of the connection is explained in one line, with the remedy."""

from __future__ import annotations

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from gluebrake_cli.errors import OperatorError, explain, explain_in_sweep


def _refused(code: str, message: str = "no", operation: str = "ReceiveMessage") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (exceptions.NoCredentialsError(), "no AWS credentials: log in"),
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), "check --profile"),
        (exceptions.ProfileNotFound(profile="prod"), "no such profile"),
        (
            exceptions.NoRegionError(),
            "no Region: give --region, set AWS_REGION or AWS_DEFAULT_REGION, or set the profile's",
        ),
        (exceptions.UnauthorizedSSOTokenError(), "aws sso login"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="x"), "aws sso login"),
        (exceptions.CredentialRetrievalError(provider="p", error_msg="x"), "aws sso login"),
        (exceptions.EndpointConnectionError(endpoint_url="http://x"), "check the network"),
        (exceptions.ConnectTimeoutError(endpoint_url="http://x"), "check the network"),
        (exceptions.ReadTimeoutError(endpoint_url="http://x"), "AWS does not answer"),
        (ResponseParserError("<html>"), "the endpoint is not AWS"),
        (ValueError("Invalid endpoint: localhost"), "AWS_ENDPOINT_URL must be a URL"),
        (_refused("ExpiredToken"), "have expired: log in again"),
        (_refused("ExpiredTokenException"), "have expired: log in again"),
        (_refused("UnrecognizedClientException"), "check --profile"),
        (_refused("InvalidClientTokenId"), "check --profile"),
        (_refused("ThrottlingException"), "wait a little"),
        (_refused("EntityNotFoundException"), "Glue knows no such job"),
        (_refused("SomethingNew"), "ReceiveMessage was refused: SomethingNew: no"),
        (exceptions.DataNotFoundError(data_path="x"), "DataNotFoundError: "),
        (OperatorError("as it is"), "as it is"),
    ],
)
def test_each_error_has_its_remedy(error: Exception, remedy: str) -> None:
    """The line has the remedy for each of the ways in which AWS reports an error."""
    text = explain(error)
    assert text
    assert remedy in text
    assert "\n" not in text


def test_a_denial_names_the_permission_and_the_resource() -> None:
    """IAM's message names the action and the resource, and the line repeats them."""
    message = (
        "User: arn:aws:iam::1:user/me is not authorized to perform: sqs:deletemessage on resource: "
        "arn:aws:sqs:eu-west-1:1:dlq because no identity-based policy allows it"
    )
    assert "sqs:deletemessage on arn:aws:sqs:eu-west-1:1:dlq:" in (
        explain(_refused("AccessDenied", message)) or ""
    )


def test_a_denial_without_a_message_names_the_permission() -> None:
    """The operation names the permission: a batch operation needs that of the single one."""
    denied = _refused("AccessDeniedException", "", "DeleteMessageBatch")
    assert "the permission sqs:DeleteMessage on" in (explain(denied) or "")


def test_an_unexpected_error_is_not_explained() -> None:
    """A bug shows its traceback."""
    assert explain(ZeroDivisionError()) is None
    assert explain(ValueError("something else")) is None


@pytest.mark.parametrize(
    ("text", "explained"),
    [
        (
            "ListJobs with tags {'a': 'b'}: AccessDeniedException: no",
            "glue:ListJobs on the resource of the call",
        ),
        ("GetTags of etl: AccessDeniedException: no", "glue:GetTags on the resource of the call"),
        ("AccessDeniedException: no", "glue:GetJobRuns on the resource of the call"),
        (
            "BatchGetJobs: AccessDenied: cannot perform: glue:BatchGetJobs on resource: arn:aws:glue:x:1:a",
            "glue:BatchGetJobs on arn:aws:glue:x:1:a:",
        ),
    ],
)
def test_a_denial_in_a_sweep_names_the_permission(text: str, explained: str) -> None:
    """The operation is at the start of the text, unless it is GetJobRuns."""
    assert explain_in_sweep(text).startswith(f"you lack the permission {explained}")


def test_another_error_in_a_sweep_stays_as_it_is() -> None:
    """It is one line, as every error is."""
    assert (
        explain_in_sweep("ListJobs: Glue throttled\n3 calls in a row")
        == "ListJobs: Glue throttled 3 calls in a row"
    )
