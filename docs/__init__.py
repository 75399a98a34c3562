"""The documents, and what in them is generated. Importing it readies what its modules import: `gluebrake`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lambda_src"))
