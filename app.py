"""The CDK application: `python app.py` synthesises it, with the CDK's command line or without."""

import sys

from infra.synthesis import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
