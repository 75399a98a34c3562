"""The commands of docs/emulator.md work on the emulator, and its table has every argument of a run."""

from __future__ import annotations

import re

from docs.generate import DOCS
from local import glue_runs, jobs
from tests.docs.document import Document
from tests.e2e.cli import run
from tests.e2e.conftest import Deployment

PAGE = Document(DOCS / "emulator.md")
ARGUMENTS = {jobs.SECONDS, glue_runs.STARTED_MINUTES_AGO, glue_runs.REFUSE, glue_runs.FAILED_STOPS}


def test_a_run_is_stopped_by_the_commands(deployment: Deployment) -> None:
    """The first commands of the page start a run, stop it, and show who stopped it."""
    start_and_stop, _ = PAGE.fences("AWS on this machine")
    output = run(deployment, ["sh", "-ec", f'{start_and_stop}\necho "$RUN_ID"'])
    *_, run_id = output.split()
    assert deployment.state("nightly-etl", run_id) == "STOPPED"
    assert "to see it work" in output


def test_a_run_gets_the_arguments_of_the_example(deployment: Deployment) -> None:
    """The example's run has its age at once."""
    (command,) = PAGE.fences("Runs of any kind")
    commands = f'eval "$(gluebrake env --local)"\n{command}'
    (run_id,) = re.findall(r"jr_\w+", run(deployment, ["sh", "-ec", commands]))
    started = deployment.aws.glue.get_job_run(JobName="ad-hoc", RunId=run_id)["JobRun"]
    assert started["ExecutionTime"] >= 800 * 60
    assert started["Arguments"][glue_runs.REFUSE] == "true"


def test_the_table_has_every_argument() -> None:
    """The table of arguments has those that the emulator reads, and no other."""
    rows = PAGE.rows("Runs of any kind")
    assert {row[0].content.strip("`").split()[0] for row in rows} == ARGUMENTS
