"""Run the AWS CDK command line with the Node.js from PyPI: `python -m infra.cdk_cli diff -c target=local`.

package.json pins the version of the command line, and package-lock.json the hashes of its npm packages.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, Never

from infra.build_directory import filled
from infra.node import NODE, NPM

_ROOT: Final = Path(__file__).parents[1]
_LOCKED: Final = ("package.json", "package-lock.json")


class CdkCliError(RuntimeError):
    """The CDK's command line could not be installed. The text has npm's output."""


def install(*, source: Path = _ROOT, parent: Path = _ROOT / "build") -> Path:
    """Return the script of the command line. If `parent` does not have the locked version, install it there."""
    key = sha256(b"\0".join((source / name).read_bytes() for name in _LOCKED)).hexdigest()[:16]
    directory = filled(parent / f"cdk-{key}", lambda content: _install(source, content))
    return directory / "node_modules" / "aws-cdk" / "bin" / "cdk"


def _install(source: Path, content: Path) -> None:
    for name in _LOCKED:
        shutil.copy(source / name, content)
    # `ci` installs the packages of the lock file and checks their hashes. Packages must not run scripts.
    ci = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    process = subprocess.run(ci, cwd=content, capture_output=True, text=True, check=False)
    if process.returncode:
        raise CdkCliError(f"npm ci failed:\n{process.stderr or process.stdout}")


def command(arguments: Sequence[str]) -> list[str]:
    """Return the command line that starts the CDK with `arguments`."""
    return [str(NODE), str(install()), *arguments]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with the folders of this Python and of Node.js first in PATH."""
    path = [str(Path(sys.executable).parent), str(NODE.parent), environ.get("PATH", os.defpath)]
    return {**environ, "PATH": os.pathsep.join(path)}


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> Never:
    """Replace this process with the CDK, so that the CDK gets the signals and sets the exit status."""
    os.execve(NODE, command(arguments), environment(environ))  # noqa: S606 - no shell is needed


def call(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the CDK with this process's terminal, and return its exit code."""
    return subprocess.run(command(arguments), env=environment(environ), check=False).returncode


def main(arguments: Sequence[str]) -> str:
    """Run the CDK. Return the error message if it cannot be installed."""
    try:
        run(arguments, os.environ)
    except CdkCliError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
