"""The command line: `python -m local up | env | demo`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import local
from local.demo import demo
from local.deployment import DeploymentError
from local.emulator import EmulatorError
from local.registry import exports, newest
from local.up import up

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
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
    told = commands.add_parser("demo", help="stop some forty runs, and check what became of each")
    told.add_argument("--svg", type=Path, metavar="FILE", help="a picture of it, for a document")
    told.set_defaults(run=lambda options: demo(options.svg))
    started = commands.add_parser("up", help="deploy Gluebrake and a few Glue jobs, and stay until Ctrl-C")
    started.add_argument(
        "--config", type=_file, metavar="FILE", help="a JSON file, laid over cdk.json's choices"
    )
    started.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="a file that tells where it all is, once it is ready",
    )
    started.set_defaults(run=_up)
    shown = commands.add_parser("env", help='variables for the AWS CLI, as in: eval "$(python -m local env)"')
    shown.set_defaults(run=_env)
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


def _env(_: argparse.Namespace) -> int:
    if record := newest():
        print(exports(record))
        return 0
    print(
        "python -m local: nothing runs. Start it in another terminal: python -m local up",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
