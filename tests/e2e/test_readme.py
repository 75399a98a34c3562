"""The README's first stop on AWS: its commands, in their order, on an empty account of the emulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from local import jobs
from local.aws import ACCOUNT, HOST, KEY, REGION
from local.emulator import ROOT, inherited_environment, running
from tests.docs.document import Document
from tests.support.bootstrap import bootstrap

README: Final = Document(ROOT / "README.md")
OPTIONS: Final = "-c config=first.json"


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the commands as one script, with a run of the job that they name. Return what they print."""
    directory = tmp_path_factory.mktemp("readme")
    fences = [block for block in README.blocks if block.kind]
    (config,) = (block.text for block in fences if block.kind == "json")
    (directory / "first.json").write_text(config)
    # On the emulator the deployment needs another target. It asks on a terminal only, which a test has not.
    options = (
        f"-c config={directory}/first.json -c target=local -o {directory}/cdk.out --require-approval never"
    )
    commands = "\n".join(block.text for block in fences if block.kind == "sh")
    assert commands.count(OPTIONS) == 1
    with running(GLUEBRAKE_LOCAL_WINDOW_SECONDS="1") as emulator:
        aws = emulator.aws
        bootstrap(aws, ACCOUNT, REGION)
        jobs.create(aws, ["nightly-etl"])
        run_id = aws.glue.start_job_run(JobName="nightly-etl")["JobRunId"]
        return _run(commands.replace(OPTIONS, options), RUN_ID=run_id, AWS_ENDPOINT_URL=aws.endpoint)


def _run(commands: str, **variables: str) -> str:
    process = subprocess.run(
        ["sh", "-exc", commands],
        cwd=ROOT,
        env={
            **{name: value for name, value in inherited_environment().items() if not name.startswith("CDK_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": REGION,
            "NO_PROXY": HOST,
            "COLUMNS": "120",
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(r"protects the runs of a tagged job, and stops runs", id="verify"),
        pytest.param(r"too-long: \d+ jobs considered, 0 active runs matched", id="sweep"),
        pytest.param(r"too-long +report", id="policies"),
        pytest.param(r"1 of 1 stopped", id="stop"),
        pytest.param(r"2 stopped runs", id="history"),
        pytest.param(r'"MessageId"', id="send-message"),
    ],
)
def test_each_command_shows_its_result(transcript: str, line: str) -> None:
    """All commands succeed, and each prints what the README says that it shows."""
    assert re.search(line, transcript), transcript
