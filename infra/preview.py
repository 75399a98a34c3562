"""The preview of a deployment: the cloud assembly, and the configuration of its stacks as lines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from infra.account import DeployError
from infra.config import Config
from infra.names import configuration_file

_APP: Final = Path(__file__).parents[1] / "app.py"


class Setting(NamedTuple):
    """A configuration key with its value, and whether that is the default."""

    key: str
    value: Any
    is_default: bool

    def __str__(self) -> str:
        return f"  {' ' if self.is_default else '*'} {self.key} = {json.dumps(self.value)}"


def synthesise(context: Sequence[str], output: str, environ: Mapping[str, str]) -> Path:
    """Run app.py, and hide its warnings: the CDK prints them from the assembly."""
    process = subprocess.run(
        [sys.executable, _APP, *context],
        env={**environ, "CDK_OUTDIR": output},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise DeployError((process.stdout + process.stderr).strip())
    return Path(output)


def settings(assembly: Path, stack_id: str) -> Iterator[Setting]:
    """Yield the configuration keys of a stack, by its id within the CDK's app."""
    defaults = json.loads(msgspec.json.encode(Config()))
    for key, value in json.loads((assembly / configuration_file(stack_id)).read_text()).items():
        yield Setting(key, value, key in defaults and value == defaults[key])
