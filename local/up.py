"""AWS on this machine, with Gluebrake deployed and a few jobs to run, until it is told to end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from local import jobs
from local.aws import REGION
from local.deployment import deploy, synthesise
from local.emulator import Emulator, EmulatorError, running
from local.registry import Record, kept

JOBS: Final = ("nightly-etl", "hourly-report", "ad-hoc")
progress: Final = Console(stderr=True)


def up(*, config: Path | None, json_file: Path | None) -> None:
    """Start, deploy, say what there is, and stay until interrupted."""
    with running() as emulator:
        record = _deploy(emulator, config)
        with kept(record, also_in=json_file):
            _show(record)
            emulator.process.wait()
    raise EmulatorError("the emulator ended by itself")


def _deploy(emulator: Emulator, config: Path | None) -> Record:
    with progress.status(f"The emulator answers at {emulator.aws.endpoint}. Synthesising the stack …"):
        synthesis = synthesise(emulator, config)
        jobs.create(emulator.aws, JOBS)
        assembly = synthesis.wait()
    with progress.status("Deploying the stack …"):
        outputs = deploy(emulator.aws, assembly)
    return Record(
        endpoint=emulator.aws.endpoint,
        region=REGION,
        outputs=outputs,
        glue_calls=str(emulator.calls_file),
        pid=os.getpid(),
    )


def _show(record: Record) -> None:
    table = Table(title="Gluebrake runs on this machine", title_justify="left", show_header=False)
    # What is too long is wrapped, not cut: it is there to be copied.
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in {"Endpoint": record.endpoint, **record.outputs, "Glue jobs": ", ".join(JOBS)}.items():
        table.add_row(name, value)
    progress.print(table)
    progress.print('For the AWS CLI in another terminal: eval "$(python -m local env)". Ctrl-C ends it all.')
