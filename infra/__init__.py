"""The AWS CDK stack. On import, it makes `gluebrake` importable and sets the Node.js for `aws_cdk`."""

import sys
from pathlib import Path

from infra.node import set_node

# requirements.txt does not install this project, so `python app.py` would not find `gluebrake`.
sys.path.insert(0, str(Path(__file__).parents[1] / "lambda_src"))
set_node()
