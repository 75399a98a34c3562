"""The command `up`: an emulator with Gluebrake and a few Glue jobs, until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from local import jobs
from local.aws import KEY, REGION
from local.deployment import deploy, synthesise
from local.emulator import ROOT, Emulator, EmulatorError, running
from local.registry import DeploymentRecord, registered

CONFIG: Final = ROOT / "local" / "config.json"
"""The default configuration without `--config`. In it, alarms on the first job stop runs of this job."""
JOBS: Final = ("nightly-etl", "hourly-report", "ad-hoc")
progress: Final = Console(stderr=True)


def up(*, config: Path, json_file: Path | None) -> None:
    """Start the emulator, deploy, print the outputs, and wait until interrupted."""
    with running() as emulator:
        record = _deploy(emulator, config)
        with registered(record, also_in=json_file):
            show(record)
            emulator.process.wait()
    raise EmulatorError("the emulator ended unexpectedly")


def _deploy(emulator: Emulator, config: Path) -> DeploymentRecord:
    with progress.status(f"The emulator runs at {emulator.aws.endpoint}. Synthesising the stack …"):
        synthesis = synthesise(emulator, config)
        jobs.create(emulator.aws, JOBS)
        assembly = synthesis.wait()
    with progress.status("Deploying the stack …"):
        outputs = deploy(emulator.aws, assembly)
    return DeploymentRecord(
        endpoint=emulator.aws.endpoint,
        region=REGION,
        key=KEY,
        outputs=outputs,
        clone=str(ROOT),
        glue_calls=str(emulator.calls_file),
        pid=os.getpid(),
    )


def show(record: DeploymentRecord) -> None:
    """Print the deployment and, last, the command that sets the variables in another terminal."""
    table = Table(title="Gluebrake runs on this machine", title_justify="left", show_header=False)
    # Long values are folded, not truncated, so that they can be copied.
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in {"Endpoint": record.endpoint, **record.outputs, "Glue jobs": ", ".join(JOBS)}.items():
        table.add_row(name, value)
    progress.print(table)
    progress.print("Ctrl-C ends the emulator.")
    # The command is not wrapped, so that it can be copied.
    progress.print(
        f'To use the AWS CLI and gluebrake, run in another terminal: eval "$({_command()} env --local)"',
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _command() -> str:
    """Return `gluebrake` if every terminal finds the command, else the path of the command in this clone."""
    own = Path(sys.executable).parent
    elsewhere = (path for path in os.get_exec_path() if Path(path).resolve() != own.resolve())
    found = shutil.which("gluebrake", path=os.pathsep.join(elsewhere))
    return "gluebrake" if found else shlex.quote(str(own / "gluebrake"))
