"""What a direct invocation is answered: BatchStopJobRun's own answer, without its limit of 25."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import Outcome

# Still being worked on: what Glue said in between is not the answer.
_UNSETTLED: Final = frozenset({Outcome.RETRYING, Outcome.DEFERRED})


def answer(results: Sequence[RunResult], message_results: Iterable[MessageResult]) -> dict[str, Any]:
    """Return every run either as submitted or with an error: Glue's code, or our outcome's name.

    https://docs.aws.amazon.com/glue/latest/webapi/API_BatchStopJobRun.html
    """
    submitted = [result for result in results if result.outcome is Outcome.STOP_SUBMITTED]
    others = [result for result in results if result.outcome is not Outcome.STOP_SUBMITTED]
    return {
        "SuccessfulSubmissions": [_run(result) for result in submitted],
        "Errors": [*map(_refused, others), *_unusable(message_results)],
    }


def _run(result: RunResult) -> dict[str, Any]:
    return {"JobName": result.target.run.job_name, "JobRunId": result.target.run.run_id}


def _refused(result: RunResult) -> dict[str, Any]:
    state = f"The run is {result.state}." if result.state else ""
    message = " ".join(filter(None, (result.error, state)))
    return {**_run(result), "ErrorDetail": {"ErrorCode": _code(result), "ErrorMessage": message}}


def _unusable(message_results: Iterable[MessageResult]) -> Iterator[dict[str, Any]]:
    for one in message_results:
        named = {"JobName": one.request.job_name} if one.request else {}
        yield {**named, "ErrorDetail": {"ErrorCode": _code(one), "ErrorMessage": one.why}}


def _code(result: RunResult | MessageResult) -> str:
    return str(result.outcome if result.outcome in _UNSETTLED else result.code or result.outcome)
