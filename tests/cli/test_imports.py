"""What the command loads, and what it may call."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import gluebrake_cli
from gluebrake_cli.errors import PERMISSIONS

SOURCE: Final = Path(gluebrake_cli.__file__).parent
AWS: Final = frozenset({"boto3", "botocore"})


def _trees() -> dict[str, ast.Module]:
    return {file.stem: ast.parse(file.read_text()) for file in SOURCE.glob("*.py")}


def test_help_loads_no_aws_library() -> None:
    """Help, and a command line that is wrong, are told at once: boto3 is loaded when AWS is asked."""
    program = (
        "import sys\nfrom gluebrake_cli.__main__ import app\n"
        "for arguments in (['stop', '--help'], ['stop', 'etl']):\n"
        "    try: app(arguments)\n    except SystemExit: pass\n"
        f"assert not {set(AWS)!r} & sys.modules.keys()"
    )
    subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE.parent)}, check=True, capture_output=True
    )


def test_one_module_talks_to_aws() -> None:
    """Everything else is tried out without AWS."""
    importing = {
        module
        for module, tree in _trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        if name.split(".")[0] in AWS
    }
    assert importing == {"aws"}


def test_each_call_has_its_permission() -> None:
    """The table that a denial is explained by knows every operation that is called, and no other."""
    calls = [
        (ast.unparse(node.func.value), node.func.attr, node.args)
        for node in ast.walk(_trees()["aws"])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    of_clients = [
        (name, args) for on, name, args in calls if re.fullmatch(r"(self\.)?(client|clients\.\w+)", on)
    ]
    # A paginator names its operation.
    called = {ast.literal_eval(args[0]) if name == "get_paginator" else name for name, args in of_clients}
    assert set(map(_camel, called)) - {"GetCallerIdentity"} == PERMISSIONS.keys()


def _camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))
