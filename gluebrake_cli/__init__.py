"""The operator's command, `gluebrake`. Importing it readies `gluebrake`, whose words and rules it uses."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lambda_src"))
