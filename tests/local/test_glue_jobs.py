"""The emulator's Glue lists and describes jobs as AWS Glue does. ministack's own Glue does not."""

from __future__ import annotations

from typing import Any

import pytest

from local import jobs
from local.aws import ACCOUNT, REGION
from local.emulator import Emulator


def _listed(emulator: Emulator, **parameters: Any) -> list[list[str]]:
    """Return the pages of ListJobs."""
    pages = emulator.aws.glue.get_paginator("list_jobs").paginate(**parameters)
    return [page["JobNames"] for page in pages]


def test_jobs_are_listed_in_pages(emulator: Emulator) -> None:
    """ListJobs returns every job once, in pages of the size that the caller wants."""
    names = ["paged-1", "paged-2", "paged-3"]
    tags = {"test": "paged"}
    jobs.create(emulator.aws, names, tags=tags)
    assert _listed(emulator, Tags=tags, PaginationConfig={"PageSize": 2}) == [names[:2], names[2:]]
    assert set(names) <= {name for page in _listed(emulator) for name in page}


def test_last_page_is_full_without_a_further_page(emulator: Emulator) -> None:
    """A last page that is full has no token."""
    tags = {"test": "full"}
    jobs.create(emulator.aws, ["full-1", "full-2"], tags=tags)
    assert "NextToken" not in emulator.aws.glue.list_jobs(Tags=tags, MaxResults=2)


def test_page_size_is_at_most_1000(emulator: Emulator) -> None:
    """ListJobs refuses a page size over 1000."""
    with pytest.raises(emulator.aws.glue.exceptions.InvalidInputException, match="1000"):
        emulator.aws.glue.list_jobs(MaxResults=1001)


def test_listed_jobs_have_all_the_tags(emulator: Emulator) -> None:
    """With several tags ListJobs returns the jobs that have each of them, with its value."""
    jobs.create(emulator.aws, ["both"], tags={"env": "dev", "team": "a"})
    jobs.create(emulator.aws, ["first"], tags={"env": "dev"})
    jobs.create(emulator.aws, ["other-value"], tags={"env": "dev", "team": "b"})
    assert _listed(emulator, Tags={"env": "dev", "team": "a"}) == [["both"]]


def test_tag_that_was_added_later_is_found(emulator: Emulator) -> None:
    """ListJobs finds the tags of TagResource as well."""
    jobs.create(emulator.aws, ["tagged-later"])
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/tagged-later"
    emulator.aws.glue.tag_resource(ResourceArn=arn, TagsToAdd={"since": "later"})
    assert _listed(emulator, Tags={"since": "later"}) == [["tagged-later"]]


def test_definitions_of_several_jobs(emulator: Emulator) -> None:
    """BatchGetJobs returns the definitions of the jobs that exist, and the names of the others."""
    jobs.create(emulator.aws, ["stream"], job_type="gluestreaming")
    jobs.create(emulator.aws, ["shell"])
    answer = emulator.aws.glue.batch_get_jobs(JobNames=["stream", "missing", "shell"])
    types = {job["Name"]: job["Command"]["Name"] for job in answer["Jobs"]}
    assert types == {"stream": "gluestreaming", "shell": "pythonshell"}
    assert answer["JobsNotFound"] == ["missing"]


@pytest.mark.parametrize("operation", ["ListJobs", "BatchGetJobs"])
def test_calls_are_recorded(emulator: Emulator, operation: str) -> None:
    """The calls of the added operations are recorded like all others."""
    emulator.aws.glue.list_jobs(Tags={"call": "recorded"})
    emulator.aws.glue.batch_get_jobs(JobNames=["recorded"])
    request: dict[str, Any] = {
        "ListJobs": {"Tags": {"call": "recorded"}},
        "BatchGetJobs": {"JobNames": ["recorded"]},
    }
    assert request[operation] in emulator.glue_calls(operation)


def test_tags_of_a_job_can_be_read(emulator: Emulator) -> None:
    """GetTags with a job's ARN returns the tags of CreateJob."""
    tags = {"gluebrake:protect": "1"}
    emulator.aws.glue.create_job(Name="tagged", Role=jobs.ROLE, Command={"Name": "pythonshell"}, Tags=tags)
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/tagged"
    assert emulator.aws.glue.get_tags(ResourceArn=arn)["Tags"] == tags


def test_notification_property_of_a_job_is_kept(emulator: Emulator) -> None:
    """GetJob returns the NotificationProperty of CreateJob. UpdateJob replaces or removes it."""
    glue = emulator.aws.glue
    definition: Any = {"Role": jobs.ROLE, "Command": {"Name": "pythonshell"}}
    glue.create_job(Name="slow", **definition, NotificationProperty={"NotifyDelayAfter": 5})
    assert _notification(emulator, "slow") == {"NotifyDelayAfter": 5}
    update: Any = {**definition, "NotificationProperty": {"NotifyDelayAfter": 7}}
    glue.update_job(JobName="slow", JobUpdate=update)
    assert _notification(emulator, "slow") == {"NotifyDelayAfter": 7}
    glue.update_job(JobName="slow", JobUpdate=definition)
    assert _notification(emulator, "slow") is None


def test_definition_from_get_job_is_valid_for_update_job(emulator: Emulator) -> None:
    """UpdateJob accepts what GetJob returns, without the members that it does not know."""
    glue = emulator.aws.glue
    glue.create_job(Name="read-back", Role=jobs.ROLE, Command={"Name": "pythonshell"})
    unknown = {"Name", "CreatedOn", "LastModifiedOn", "Tags"}
    definition: Any = {k: v for k, v in glue.get_job(JobName="read-back")["Job"].items() if k not in unknown}
    glue.update_job(JobName="read-back", JobUpdate=definition)


def _notification(emulator: Emulator, job: str) -> object:
    return emulator.aws.glue.get_job(JobName=job)["Job"].get("NotificationProperty")
