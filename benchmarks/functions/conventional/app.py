"""A function as Powertools' guide writes it: each record is parsed and stopped separately."""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.parser import BaseModel
from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from aws_lambda_powertools.utilities.parser.types import Json
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

logger = Logger(service="stopper")
metrics = Metrics(namespace="Stopper", service="stopper")
tracer = Tracer(service="stopper")
glue = boto3.client("glue")


class StopRequest(BaseModel):
    """A request to stop runs of one job."""

    job_name: str = Field(alias="JobName", min_length=1, max_length=255)
    job_run_ids: list[str] = Field(alias="JobRunIds", min_length=1, max_length=25)


class StopRequestRecord(SqsRecordModel):
    """An SQS record whose body is a stop request."""

    body: Json[StopRequest]


class NotStoppedError(RuntimeError):
    """Glue rejected a run, so SQS redelivers the record."""


processor = BatchProcessor(event_type=EventType.SQS, model=StopRequestRecord)


@tracer.capture_method
def stop(record: StopRequestRecord) -> None:
    """Stop the runs of a record."""
    request = record.body
    response = glue.batch_stop_job_run(JobName=request.job_name, JobRunIds=request.job_run_ids)
    if errors := response.get("Errors"):
        metrics.add_metric(name="Failed", unit=MetricUnit.Count, value=len(errors))
        raise NotStoppedError(str(errors))
    metrics.add_metric(name="StopSubmitted", unit=MetricUnit.Count, value=len(request.job_run_ids))
    logger.info("StopSubmitted", job_name=request.job_name, job_run_ids=request.job_run_ids)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Stop the runs of each record, and report the records that failed."""
    return process_partial_response(event=event, record_handler=stop, processor=processor, context=context)
