"""The saved queries over the log group of the central stack. Each of its lines is an EventBridge event.

Language: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import json
from typing import Final

from gluebrake.contract import STOP_OUTCOME
from gluebrake.outcomes import OUTCOMES, Outcome

_FAILURES: Final = [outcome for outcome in OUTCOMES if outcome.is_failure]

_OUTCOMES: Final = f"""\
# AWS vouches for `account` and `region`. All else is a claim of that account.
filter `detail-type` = "{STOP_OUTCOME}\""""

QUERIES: Final = {
    "stops-by-account": f"""\
{_OUTCOMES} and detail.outcome = "{Outcome.STOPPED}"
| stats count_distinct(detail.jobRunId) as stopped_runs, count_distinct(detail.jobName) as jobs,
    latest(detail.settledAt) as last_stop by account, region
| sort stopped_runs desc""",
    "dollars-by-account": f"""\
{_OUTCOMES} and detail.outcome = "{Outcome.STOPPED}" and detail.estimatedCostUsd >= 0
# What the runs had cost until they stopped, as an estimate. An event that was delivered twice counts once.
| stats latest(detail.dpuHoursConsumed) as dpu_hours, latest(detail.estimatedCostUsd) as usd
    by account, region, detail.jobName, detail.jobRunId
| stats count(*) as stopped_runs, sum(dpu_hours) as total_dpu_hours, sum(usd) as estimated_usd
    by account, region
| sort estimated_usd desc""",
    "failures-by-account": f"""\
{_OUTCOMES} and detail.outcome in {json.dumps(_FAILURES)}
| stats count(*) as failures, count_distinct(detail.jobRunId) as runs,
    latest(detail.errorMessage) as last_message, latest(detail.settledAt) as last_failure
    by account, region, detail.outcome, detail.errorCode
| sort failures desc""",
}
