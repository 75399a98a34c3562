"""The CDK app. `python app.py` synthesises the template, and the CDK's command line runs the same."""

import sys

from infra.synthesis import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
