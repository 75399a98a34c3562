"""Asks the evaluator of policies whether a sender may perform an action on a resource."""

from __future__ import annotations

from typing import Any, Final

from ministack.core.iam_evaluator import EvalContext

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"


def evaluation_context(
    action: str, resource: str, *, by: str = "", secure: bool = True, source: str = "", **keys: Any
) -> EvalContext:
    """Return a request by a principal or a service. A service acts for `source`. `keys` are condition keys."""
    account = source.split(":")[4] if source.startswith("arn:") else ACCOUNT
    sources = {"aws:sourcearn": source, "aws:sourceaccount": account} if source else {}
    return EvalContext(
        principal_arn=by if by.startswith("arn:") else "*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=REGION,
        secure_transport=secure,
        service_context={**sources, **keys},
    )
