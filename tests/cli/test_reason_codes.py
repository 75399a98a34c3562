"""The command explains every error code that AWS documents for dead letters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Final

import botocore.exceptions
import botocore.httpsession
import botocore.loaders
import botocore.model
from botocore.exceptions import BotoCoreError

from gluebrake import error_codes
from gluebrake.outcomes import Outcome
from gluebrake.stages import operations
from gluebrake_cli import reasons
from gluebrake_cli.reasons import Reason
from tests.infra.emitted import simulate_all_outcomes

# https://docs.aws.amazon.com/glue/latest/webapi/CommonErrors.html
_COMMON_ERRORS: Final = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalFailure",
    "MalformedHttpRequestException",
    "NotAuthorized",
    "OptInRequired",
    "RequestAbortedException",
    "RequestEntityTooLargeException",
    "RequestExpired",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
}
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
_EVENTBRIDGE_CODES: Final = {
    "CONNECTION_FAILURE",
    "CROSS_ACCOUNT_INGESTION_FAILED",
    "CROSS_REGION_INGESTION_FAILED",
    "ERROR_FROM_TARGET",
    "EVENTS_IN_BATCH_REQUEST_REJECTED",
    "FAILED_TO_ASSUME_ROLE",
    "INTERNAL_ERROR",
    "INVALID_JSON",
    "INVALID_PARAMETER",
    "NO_PERMISSIONS",
    "NO_RESOURCE",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_LIMIT_EXCEEDED",
    "RESOURCE_MODIFICATION_COLLISION",
    "SDK_CLIENT_ERROR",
    "THIRD_ACCOUNT_HOP_DETECTED",
    "THIRD_REGION_HOP_DETECTED",
    "THROTTLING",
    "TIMEOUT",
    "TRANSIENT_ASSUME_ROLE",
    "UNKNOWN",
}


def test_every_error_code_of_gluebrake_is_explained() -> None:
    """The table has the outcomes, Glue's codes, AWS's common codes and botocore's network errors, no others."""
    assert _codes(reasons.GLUEBRAKE) == {*_outcome_codes(), *_glue_codes(), *_network_errors(), *_COMMON_ERRORS}


def _codes(rows: Iterable[Reason]) -> set[str]:
    return {code for row in rows for code in row.codes}


def _outcome_codes() -> set[str]:
    return {outcome.value for outcome in Outcome if outcome.is_failure} | {error_codes.NO_ANSWER}


def _glue_codes() -> set[str]:
    """Return the codes of Glue's model, of Gluebrake's table, and the code that Glue gives for single runs."""
    model = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("glue", "service-2"))
    modelled = {
        e.name for operation in operations()["glue"] for e in model.operation_model(operation).error_shapes
    }
    # No model has the code for single runs. It is in the test data of AWS.
    return modelled | error_codes.THROTTLED | error_codes.FINAL | {"JobRunCannotBeStoppedException"}


def _network_errors() -> set[str]:
    """Return the exceptions that botocore raises when a call has no response."""
    raised = set(re.findall(r"raise (\w+)\(", inspect.getsource(botocore.httpsession.URLLib3Session.send)))
    assert all(issubclass(getattr(botocore.exceptions, name), BotoCoreError) for name in raised)
    return raised


def test_every_code_of_the_simulation_is_explained() -> None:
    """The codes of simulated dead letters are in the table."""
    warnings = [line for line in simulate_all_outcomes().lines if line["level"] == "WARNING"]
    codes = {line["error_code"] or line["outcome"] for line in warnings}
    assert codes - {"NoTime"} <= _codes(reasons.GLUEBRAKE)


def test_every_eventbridge_code_is_explained() -> None:
    """The table has the codes that AWS documents for a rule's dead letters."""
    assert _codes(reasons.EVENTBRIDGE) == _EVENTBRIDGE_CODES
