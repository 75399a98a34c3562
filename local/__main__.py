"""The command line: `python -m local up | demo`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import local
from local.demo import demo
from local.deployment import DeploymentError
from local.emulator import EmulatorError
from local.up import CONFIG, up

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    for termination in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(termination, signal.default_int_handler)
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (EmulatorError, DeploymentError) as error:
        print(f"python -m local: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=local.__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo_parser = commands.add_parser("demo", help="stop some forty Glue job runs and check every outcome")
    demo_parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture of the result to FILE")
    demo_parser.add_argument(
        "--verbose", action="store_true", help="also show each expectation beside what was found"
    )
    demo_parser.set_defaults(run=lambda options: demo(options.svg, verbose=options.verbose))
    up_parser = commands.add_parser("up", help="deploy Gluebrake and a few Glue jobs, and run until Ctrl-C")
    up_parser.add_argument(
        "--config",
        type=_file,
        default=CONFIG,
        metavar="FILE",
        help="a JSON file that overrides the configuration in cdk.json (default: local/config.json)",
    )
    up_parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="once deployed, write the endpoint and the stack's outputs to FILE",
    )
    up_parser.set_defaults(run=_up)
    return parser


def _file(text: str) -> Path:
    if not (path := Path(text)).is_file():
        raise argparse.ArgumentTypeError(f"no such file: {text}")
    return path


def _up(options: argparse.Namespace) -> int:
    try:
        up(config=options.config, json_file=options.json)
    except KeyboardInterrupt:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
