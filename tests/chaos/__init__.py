"""Attacks on what Gluebrake promises, to lose nothing and to invent nothing: `python -m prove`.

Importing it readies what its modules import: `gluebrake`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lambda_src"))
