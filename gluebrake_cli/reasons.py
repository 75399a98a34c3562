"""Why messages become dead letters: the meaning and the remedy of each reason code.

The command shows these texts. The table in docs/operations.md has the texts of Gluebrake's own outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gluebrake.error_codes import DENIED, INVALID, NO_ANSWER, NOT_FOUND, THROTTLED
from gluebrake.outcomes import OUTCOMES, Outcome

CRASHED: Final = "MaxReceiveCountExceeded"
"""The code of a message that SQS moved because it was received too often."""
INVOCATION_FAILED: Final = "InvocationFailed"
"""The code of an event whose asynchronous invocation failed after all retries."""
NO_ERROR_CODE: Final = "NoErrorCode"
"""The code of a message without an error code."""


class Reason(NamedTuple):
    """The meaning of reason codes, what to fix, and then what to do with the dead letters.

    With `is_to_drop`, each redrive fails again, because the request itself is wrong.
    """

    codes: tuple[str, ...]
    meaning: str
    fix: str
    then: str
    is_to_drop: bool = False

    @property
    def remedy(self) -> str:
        """What to fix, and then what to do with the dead letters, in one text."""
        return f"{self.fix} {self.then}".lstrip()


_CHECK_RUN: Final = "Check the run in Glue."
_DROP: Final = "Drop it."
_REDRIVE: Final = "Redrive it."
_REDRIVE_IF_ACTIVE: Final = "Redrive it if the run is still active, else drop it."
_REDRIVE_UNLESS_REPORT: Final = "Redrive it. Drop a report: the functions' logs have what it says."
_CHECK_FORWARDING: Final = (
    "For a report, check `centralBusArn`, the policy of that bus, and the forwarding role."
)
_REDRIVE_AFTER_DEPLOYMENT: Final = "Redrive it after the deployment, else drop it."
_REDRIVE_IF_WANTED: Final = "Redrive it if the stop is still wanted, else drop it."


def _of_outcome(outcome: Outcome, *codes: str, fix: str = "", then: str, is_to_drop: bool = False) -> Reason:
    return Reason((outcome.value, *codes), OUTCOMES[outcome].meaning, fix, then, is_to_drop)


GLUEBRAKE: Final = (
    _of_outcome(
        Outcome.INVALID_REQUEST,
        fix="Fix the sender: the error message has the field and the rule.",
        then=_DROP,
        is_to_drop=True,
    ),
    _of_outcome(
        Outcome.TOO_MANY_RUNS,
        fix="Raise `maxRunsPerRequest` and deploy, or request fewer runs.",
        then=_REDRIVE_AFTER_DEPLOYMENT,
    ),
    _of_outcome(
        Outcome.NOT_ALLOWED,
        fix="Add the job to `jobs` and deploy, if it may be stopped.",
        then=_REDRIVE_AFTER_DEPLOYMENT,
    ),
    _of_outcome(
        Outcome.NOT_FOUND,
        NOT_FOUND,
        fix="Correct the job name, the run id or the Region at the sender.",
        then=_DROP,
        is_to_drop=True,
    ),
    _of_outcome(
        Outcome.STOP_TIMED_OUT,
        then="Redrive it, which stops the run again. If that fails too, contact AWS Support.",
    ),
    _of_outcome(Outcome.UNCONFIRMED, fix=_CHECK_RUN, then=_REDRIVE_IF_ACTIVE),
    Reason(
        (Outcome.FAILED.value, NO_ANSWER),
        "Retries are exhausted: Glue did not answer in time, left the run out of its answer, or gave no code.",
        _CHECK_RUN,
        _REDRIVE_IF_ACTIVE,
    ),
    Reason(
        tuple(sorted(DENIED)),
        "IAM denies the call, and the job does not have the protect tag.",
        "Fix the role's policy, its permissions boundary or the service control policy.",
        _REDRIVE,
    ),
    Reason(
        tuple(sorted(INVALID)),
        "Glue refuses the job name or the run id. The other runs of the batch were stopped.",
        "Correct the run id at the sender: it must be a run of this job.",
        _DROP,
        is_to_drop=True,
    ),
    Reason(
        ("JobRunCannotBeStoppedException",),
        "Glue refused each attempt, though the run was active.",
        _CHECK_RUN,
        _REDRIVE_IF_ACTIVE,
    ),
    Reason(
        tuple(sorted(THROTTLED)),
        "Glue throttled the account's calls until retries were exhausted.",
        "Slow down other callers of Glue, lower `callsAtOnce`, or raise `retrySeconds`.",
        _REDRIVE,
    ),
    Reason(
        ("InternalServiceException", "InternalFailure", "ServiceUnavailable"),
        "Glue failed at each attempt.",
        "Check AWS Health.",
        "Redrive it when Glue has recovered.",
    ),
    Reason(
        ("OperationTimeoutException", "RequestTimeoutException", "RequestAbortedException"),
        "Glue timed out at each attempt.",
        "Check AWS Health.",
        "Redrive it when Glue has recovered.",
    ),
    Reason(
        (
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "EndpointConnectionError",
            "ConnectionClosedError",
            "SSLError",
            "ProxyConnectionError",
            "HTTPClientError",
        ),
        "Glue could not be reached, or did not answer.",
        "Fix the network, if the functions are in a VPC.",
        _REDRIVE,
    ),
    Reason(
        (
            "ExpiredTokenException",
            "UnrecognizedClientException",
            "IncompleteSignature",
            "RequestExpired",
            "NotAuthorized",
            "OptInRequired",
        ),
        "AWS does not accept the role's credentials, or the account may not use Glue.",
        "Fix the role or the account.",
        _REDRIVE,
    ),
    Reason(
        (
            "MalformedHttpRequestException",
            "RequestEntityTooLargeException",
            "UnknownOperationException",
            "ValidationError",
        ),
        "AWS cannot read the call, which is an error in Gluebrake.",
        "Report the error message as a bug.",
        "Redrive it with a version that fixes the error, else drop it.",
    ),
)
"""The codes of the dead letters that Gluebrake writes: Glue's error code, or the outcome without a code."""

EVENTBRIDGE: Final = (
    Reason(
        ("NO_PERMISSIONS", "NO_RESOURCE"),
        "The policy of the stop queue was changed, or the queue does not exist. For a report: the central bus.",
        f"Run the command that `gluebrake doctor` prints. {_CHECK_FORWARDING}",
        _REDRIVE_UNLESS_REPORT,
    ),
    Reason(
        (
            "THROTTLING",
            "TIMEOUT",
            "CONNECTION_FAILURE",
            "INTERNAL_ERROR",
            "ERROR_FROM_TARGET",
            "UNKNOWN",
        ),
        "SQS or EventBridge failed for 24 hours.",
        "",
        f"{_REDRIVE_IF_WANTED} Drop a report.",
    ),
    Reason(
        ("SDK_CLIENT_ERROR", "INVALID_PARAMETER", "INVALID_JSON", "RESOURCE_LIMIT_EXCEEDED"),
        "SQS refuses the message: it is too large, or has a character that SQS does not allow.",
        "Fix the sender.",
        _DROP,
        is_to_drop=True,
    ),
    Reason(
        (
            "FAILED_TO_ASSUME_ROLE",
            "TRANSIENT_ASSUME_ROLE",
            "CROSS_ACCOUNT_INGESTION_FAILED",
            "CROSS_REGION_INGESTION_FAILED",
            "THIRD_ACCOUNT_HOP_DETECTED",
            "THIRD_REGION_HOP_DETECTED",
            "EVENTS_IN_BATCH_REQUEST_REJECTED",
            "RESOURCE_ALREADY_EXISTS",
            "RESOURCE_MODIFICATION_COLLISION",
        ),
        "A report could not be forwarded, or a rule's target was changed: a queue in the same account and"
        " Region has none of these errors.",
        f"Run the command that `gluebrake doctor` prints. {_CHECK_FORWARDING}",
        _REDRIVE_UNLESS_REPORT,
    ),
)
"""The codes of events that a rule could not deliver: to the stop queue, or reports to the central bus."""

WITHOUT_CODE: Final = (
    Reason(
        (CRASHED,),
        "SQS moved the message after five receives: the function crashed, was throttled, or could not send its"
        " results.",
        "Read the function's log. Fix the cause of its errors or throttles.",
        _REDRIVE,
    ),
    Reason(
        (INVOCATION_FAILED,),
        "Lambda gave up an asynchronous invocation: it failed three times, waited for six hours, or met a"
        " reserved concurrency of 0.",
        "Read the function's log.",
        "Redrive it. If its body has `Records`, send the `Message` of each instead.",
    ),
    Reason(
        (NO_ERROR_CODE,),
        "SNS could not deliver a notification to the stop queue, or a producer sent the message here.",
        "For SNS, run the command that `gluebrake doctor` prints for the stop queue's policy.",
        _REDRIVE_IF_WANTED,
    ),
)
"""The dead letters of SQS, Lambda, SNS and producers. They have no code, so Gluebrake names the reason."""

OTHER: Final = Reason(
    (),
    "AWS returned an error that this version does not know.",
    f"Read the error message. {_CHECK_RUN}",
    _REDRIVE_IF_ACTIVE,
)
"""Any other code."""

_BY_CODE: Final[Mapping[str, Reason]] = {
    code: reason for reason in (*GLUEBRAKE, *EVENTBRIDGE, *WITHOUT_CODE) for code in reason.codes
}


def explanation(code: str) -> Reason:
    """Return the meaning and the remedy of a reason code."""
    return _BY_CODE.get(code, OTHER)
