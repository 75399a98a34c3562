"""The infrastructure. Importing it readies what its modules import: `gluebrake`, and a Node for `aws_cdk`."""

import sys
from pathlib import Path

from infra.node import use_own_node

sys.path.insert(0, str(Path(__file__).parents[1] / "lambda_src"))
use_own_node()
