"""The figures in docs/performance.md, and how to get them again: `python -m benchmarks`."""

import sys
from pathlib import Path

# What is measured is the functions' own code.
sys.path.insert(0, str(Path(__file__).parents[1] / "lambda_src"))
