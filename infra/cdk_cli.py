"""Runs the AWS CDK's command line through PyPI's Node: `python -m infra.cdk_cli deploy -c target=local`."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from infra.node import NODE, NPX

CDK: Final = "aws-cdk@2.1148.1"
"""Pinned: npm's `latest` tag is an old build that cannot read today's assemblies."""


def command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs the CDK with `arguments`."""
    return [str(NODE), str(NPX), "--yes", CDK, *arguments]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with this interpreter's and Node's programs first on the path."""
    path = [str(Path(sys.executable).parent), str(NODE.parent), environ.get("PATH", os.defpath)]
    return {**environ, "PATH": os.pathsep.join(path)}


def main(arguments: Sequence[str]) -> None:
    """Become the CDK, so that signals and the exit status are its own."""
    os.execve(NODE, command(arguments), environment(os.environ))  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
