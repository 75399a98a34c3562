"""The response to a direct invocation: BatchStopJobRun's own, without its limit of 25 runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import Outcome

# Lambda fails an invocation whose response is larger than 6,291,556 bytes, although all its work is done:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_LARGEST_RESPONSE: Final = 6_000_000
_RUNS_OF_A_SHORTENED_RESPONSE: Final = 1000

# Gluebrake will try again, so the error code is the outcome's name, not Glue's code for this attempt.
_IN_PROGRESS: Final = frozenset({Outcome.RETRYING, Outcome.DEFERRED})


def invoke_response(results: Sequence[RunResult], message_results: Iterable[MessageResult]) -> dict[str, Any]:
    """Return each run as submitted, or with an error code: Glue's code or the outcome's name.

    https://docs.aws.amazon.com/glue/latest/webapi/API_BatchStopJobRun.html
    """
    submitted = [result for result in results if result.outcome is Outcome.STOP_SUBMITTED]
    rest = [result for result in results if result.outcome is not Outcome.STOP_SUBMITTED]
    response = {
        "SuccessfulSubmissions": [_run(result) for result in submitted],
        "Errors": [*map(_run_error, rest), *_message_errors(message_results)],
    }
    return response if _fits(response) else _shortened(response, _RUNS_OF_A_SHORTENED_RESPONSE)


def _fits(response: Mapping[str, Any]) -> bool:
    return len(json.dumps(response)) <= _LARGEST_RESPONSE


def _shortened(response: Mapping[str, Sequence[Any]], runs: int) -> dict[str, Any]:
    """Return the first `runs` of each list, or fewer if they do not fit, and the length of each full list."""
    shortened = {
        **{name: of_list[:runs] for name, of_list in response.items()},
        "Truncated": {name: len(of_list) for name, of_list in response.items()},
    }
    return shortened if _fits(shortened) else _shortened(response, runs // 2)


def _run(result: RunResult) -> dict[str, Any]:
    return {"JobName": result.target.run.job_name, "JobRunId": result.target.run.run_id}


def _run_error(result: RunResult) -> dict[str, Any]:
    state = f"The run is {result.state}." if result.state else ""
    message = " ".join(filter(None, (result.error, state)))
    return {**_run(result), "ErrorDetail": {"ErrorCode": _code(result), "ErrorMessage": message}}


def _message_errors(results: Iterable[MessageResult]) -> Iterator[dict[str, Any]]:
    for result in results:
        job = {"JobName": result.request.job_name} if result.request else {}
        yield {**job, "ErrorDetail": {"ErrorCode": _code(result), "ErrorMessage": result.why}}


def _code(result: RunResult | MessageResult) -> str:
    return str(result.outcome if result.outcome in _IN_PROGRESS else result.code or result.outcome)
