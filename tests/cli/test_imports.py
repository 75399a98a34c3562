"""What the command imports, and which AWS operations it calls."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import gluebrake
import gluebrake_cli
from gluebrake.stages import STAGES
from gluebrake_cli.errors import PERMISSIONS

SOURCE: Final = Path(gluebrake_cli.__file__).parent
PYTHONPATH: Final = f"{SOURCE.parent}:{Path(gluebrake.__file__).parents[1]}"
AWS_LIBRARIES: Final = frozenset({"boto3", "botocore"})
EVERY_MODULE: Final = """\
import importlib, pkgutil, gluebrake_cli
for module in pkgutil.walk_packages(gluebrake_cli.__path__, "gluebrake_cli."):
    importlib.import_module(module.name)
"""


def _trees() -> dict[str, ast.Module]:
    files = SOURCE.rglob("*.py")
    return {str(file.relative_to(SOURCE).with_suffix("")): ast.parse(file.read_text()) for file in files}


def _loaded(program: str) -> set[str]:
    """Run a program in a new process, and return the names of the modules that it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print('\\n'.join(['loaded:', *sys.modules]))"],
        env={"PYTHONPATH": PYTHONPATH},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_help_loads_no_aws_library() -> None:
    """Help and the errors of a wrong command line appear at once: only a call of AWS loads boto3."""
    loaded = _loaded(
        "from gluebrake_cli.app import app\n"
        "for arguments in (['stop', '--help'], ['stop', 'etl'], ['sweep', '--jobs', '']):\n"
        "    try: app(arguments)\n    except SystemExit: pass\n"
    )
    assert {"gluebrake_cli.commands.stop", "gluebrake_cli.commands.sweep"} <= loaded
    assert not loaded & AWS_LIBRARIES


def test_no_module_loads_powertools() -> None:
    """AWS Lambda Powertools is a dependency of the functions, not of the installed command."""
    loaded = _loaded(EVERY_MODULE)
    assert {"gluebrake_cli.clients", "boto3"} <= loaded
    assert not {name for name in loaded if name.startswith("aws_lambda_powertools")}


def test_one_module_loads_boto3() -> None:
    """All other modules can be tested without AWS."""
    importing = {
        module
        for module, tree in _trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        if name.split(".")[0] in AWS_LIBRARIES
    }
    assert importing == {"clients"}


def test_each_operation_has_its_permission() -> None:
    """The table that explains a denial has every operation that is called, and no other."""
    calls = [
        (ast.unparse(node.func.value), node.func.attr, node.args)
        for tree in _trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    client_calls = [
        (name, args) for on, name, args in calls if re.fullmatch(r"(self\.)?(client|clients\.\w+)", on)
    ]
    # The argument of get_paginator is the operation.
    called = {ast.literal_eval(args[0]) if name == "get_paginator" else name for name, args in client_calls}
    # A sweep runs the function's code in the command's own process.
    swept = STAGES["sweep"].operations["glue"]
    assert {*map(_camel, called), *swept} - {"GetCallerIdentity"} == PERMISSIONS.keys()


def _camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))
