"""Builds what the functions' zip holds, without Docker: our code and its packages, trimmed and compiled."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import uv
from msgspec import Struct

from infra.config import Config

GLUE_OPERATIONS: Final = ("BatchStopJobRun", "GetJobRun", "GetJobRuns", "GetTags")
"""All of Glue that the functions know: no role allows another."""

OPERATIONS: Final[Mapping[str, Sequence[str]]] = {
    "events": ("PutEvents",),
    "glue": GLUE_OPERATIONS,
    "sqs": ("DeleteMessageBatch", "SendMessageBatch"),
}
"""By service, all that the functions call: what botocore knows is cut to these before it ships."""

_ROOT: Final = Path(__file__).parents[1]
_SOURCES: Final = _ROOT / "lambda_src"
_PLATFORMS: Final = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}

# What a function that speaks to three services never reads. Whatever else a package holds is shipped.
_UNUSED: Final = (
    ".lock",
    "bin",
    "*.dist-info",
    "**/*.pyi",
    "**/py.typed",
    "aws_lambda_powertools/event_handler",
    "boto3/data",
    "boto3/examples",
    "botocore/data/*/*/examples-1.json",
    "dateutil/zoneinfo/*.tar.gz",
)
_KEPT: Final = {
    "botocore/data": {
        "_retry.json",
        "endpoints.json",
        "partitions.json",
        "sdk-default-configuration.json",
        *OPERATIONS,
    },
    # Powertools itself imports jmespath_utils; `typing` describes Lambda's context.
    "aws_lambda_powertools/utilities": {"__init__.py", "jmespath_utils", "typing"},
}


class ArtifactError(RuntimeError):
    """The functions' code could not be put together; the text says what the tool behind it said."""


class Artifact(Struct, frozen=True):
    """A directory to zip, and what its user must be told about it."""

    directory: Path
    warning: str = ""


def build(config: Config, *, parent: Path = _ROOT / "build") -> Artifact:
    """Return the artifact for `config`, made anew in `parent` only if no earlier one had the same inputs."""
    interpreter = _interpreter(config.python)
    directory = parent / f"function-{_key(config, interpreter)}"
    if not directory.exists():
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix="unfinished-") as scratch:
            content = Path(scratch) / "content"
            _fill(content, config, interpreter)
            _publish(content, directory)
    return Artifact(directory, "" if interpreter else _uncompiled(config.python))


def _fill(content: Path, config: Config, interpreter: str | None) -> None:
    _install(content, config)
    _trim(content)
    _cut_models(content / "botocore" / "data")
    shutil.copytree(_SOURCES / "gluebrake", content / "gluebrake", ignore=shutil.ignore_patterns("__pycache__"))
    if interpreter:
        _compile(content, interpreter)
    _set_modes(content)


def _publish(content: Path, directory: Path) -> None:
    try:
        content.rename(directory)
    except OSError:
        # Another synthesis with the same inputs may have come first; its result is as good.
        if not directory.exists():
            raise


def _install(content: Path, config: Config) -> None:
    wanted = ["--requirements", str(_SOURCES / "requirements.txt"), "--require-hashes", "--no-deps"]
    binary = ["--only-binary", ":all:"]
    where = ["--python", sys.executable, "--target", str(content)]
    if config.target == "aws":
        where += ["--python-version", config.python, "--python-platform", _PLATFORMS[config.architecture]]
    _run([uv.find_uv_bin(), "pip", "install", "--quiet", "--link-mode", "copy", *wanted, *binary, *where])


def _trim(content: Path) -> None:
    for path in sorted({path for pattern in _UNUSED for path in content.glob(pattern)}):
        _remove(path)
    for directory, names in _KEPT.items():
        for path in (content / directory).iterdir():
            if path.name not in names:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _cut_models(data: Path) -> None:
    """Cut what botocore knows to OPERATIONS: reading all of it takes a good part of a cold start."""
    for service, operations in OPERATIONS.items():
        *older, latest = sorted((data / service).iterdir())
        for version in older:
            _remove(version)
        path = latest / "service-2.json.gz"
        model = _cut_model(json.loads(gzip.decompress(path.read_bytes())), operations)
        path.write_bytes(gzip.compress(_compact(model), mtime=0))
    endpoints = data / "endpoints.json"
    endpoints.write_bytes(_compact(_cut_endpoints(json.loads(endpoints.read_bytes()))))


def _cut_model(model: Mapping[str, Any], operations: Sequence[str]) -> dict[str, Any]:
    """Cut a service's model to the operations; its errors stay, since any of them may be an answer."""
    kept = {name: model["operations"][name] for name in operations}
    errors = {name: shape for name, shape in model["shapes"].items() if shape.get("exception")}
    used = errors.keys() | _reached([kept, errors], model["shapes"])
    return {
        **model,
        "operations": kept,
        "shapes": {name: shape for name, shape in model["shapes"].items() if name in used},
    }


def _cut_endpoints(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where other services are; the regions, and how a host's name is made, stay."""
    partitions = [
        {
            **partition,
            "services": {name: at for name, at in partition["services"].items() if name in OPERATIONS},
        }
        for partition in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _reached(node: Any, shapes: Mapping[str, Any]) -> set[str]:
    reached: set[str] = set()
    waiting = list(_named(node))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _named(shapes[name])
    return reached


def _named(node: Any) -> Iterator[str]:
    """Find the names of the shapes that a part of a model refers to."""
    if isinstance(node, dict):
        if isinstance(name := node.get("shape"), str):
            yield name
        for value in node.values():
            yield from _named(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named(value)


def _compile(content: Path, interpreter: str) -> None:
    # Lambda keeps no file times, hence the hash; and the bytecode must not carry this machine's paths.
    how = ["-o", "0", "--invalidation-mode", "unchecked-hash", "-s", str(content), "-p", "/var/task"]
    _run([interpreter, "-m", "compileall", "-q", *how, str(content)], PYTHONHASHSEED="0")


def _set_modes(content: Path) -> None:
    """Give every file the same mode: a zip tells it, and it would be this machine's umask that says it."""
    for path in content.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _interpreter(version: str) -> str | None:
    if version == "{}.{}".format(*sys.version_info):
        return sys.executable
    try:
        return _run(
            [uv.find_uv_bin(), "python", "find", "--no-python-downloads", "--no-project", version]
        ).strip()
    except ArtifactError:
        return None


def _key(config: Config, interpreter: str | None) -> str:
    compiler = _run([interpreter, "-c", "import sys; print(sys.version)"]) if interpreter else "none"
    key = sha256(f"{config.target} {config.python} {config.architecture} {compiler}".encode())
    for path in [Path(__file__), _SOURCES / "requirements.txt", *sorted(_SOURCES.glob("gluebrake/**/*.py"))]:
        key.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return key.hexdigest()[:16]


def _uncompiled(python: str) -> str:
    return (
        f"No Python {python} was found on this machine, so the functions ship without bytecode: Lambda compiles"
        f" every module again at each cold start, which more than doubles its time. Put python{python} on the"
        " path, or set `python` to the version of this one, which is {}.{}.".format(*sys.version_info)
    )


def _run(command: Sequence[str], **environ: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})
    if done.returncode:
        raise ArtifactError(f"{' '.join(command)} failed:\n{done.stderr or done.stdout}")
    return done.stdout
