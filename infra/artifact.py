"""The functions' deployment package: code and dependencies, trimmed, compiled, and built without Docker."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import uv
from msgspec import Struct

from gluebrake import policies
from gluebrake.stages import STAGES, operations
from infra import module_cuts
from infra.build_directory import filled
from infra.config import Config
from infra.module_cuts import CutError, cut_modules

Operations = Mapping[str, Sequence[str]]
"""The operations that functions call, by service. The package has only the models of these operations."""

_REQUIRED_STAGES: Final = tuple(stage.name for stage in STAGES.values() if not stage.is_optional)

_ROOT: Final = Path(__file__).parents[1]
_SOURCES: Final = _ROOT / "lambda_src"
_PLATFORMS: Final = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}

# Files that the functions never read. The package leaves them out.
_UNUSED: Final = (
    ".lock",
    "bin",
    "*.dist-info",
    "**/*.pyi",
    "**/py.typed",
    "aws_lambda_powertools/event_handler",
    "botocore/data/*/*/examples-1.json",
    "dateutil/zoneinfo/*.tar.gz",
)
_LICENSES: Final = ("LICEN[CS]E*", "NOTICE*", "COPYING*")
_BOTOCORE_DATA: Final = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")
# Powertools imports jmespath_utils, and `typing` for the type of Lambda's context.
_POWERTOOLS_UTILITIES: Final = ("__init__.py", "jmespath_utils", "typing")


class ArtifactError(RuntimeError):
    """The deployment package could not be built. The text has the output of the tool that failed."""


class Artifact(Struct, frozen=True):
    """The directories to zip: one for the functions that every stack has, and one for SWEEP if it is deployed.

    `warning` is for the user.
    """

    directory: Path
    warning: str = ""
    sweep: Path | None = None


def build(config: Config, *, parent: Path = _ROOT / "build") -> Artifact:
    """Return the artifact for `config`. Build it in `parent`, unless `parent` has one with the same inputs."""
    interpreter = _interpreter(config.python, parent / "python")
    directory = _package(config, interpreter, parent, operations(_REQUIRED_STAGES))
    sweep = None
    if config.policies:
        # Only SWEEP calls BatchGetJobs. Its large model would slow down each cold start of the other functions.
        sweep = _with_policies(_package(config, interpreter, parent, operations(["sweep"])), config.policies)
    return Artifact(directory, "" if interpreter else _uncompiled(config.python), sweep)


def _package(config: Config, interpreter: str | None, parent: Path, called: Operations) -> Path:
    return filled(
        parent / f"function-{_key(config, interpreter, called)}",
        lambda content: _fill(content, config, interpreter, called),
    )


def _with_policies(package: Path, configured: tuple[policies.Policy, ...]) -> Path:
    """Return a copy of a package with the policies, so that a changed policy changes the code of SWEEP only."""
    encoded = policies.encode(configured)

    def fill(content: Path) -> None:
        shutil.copytree(package, content, dirs_exist_ok=True)
        (content / policies.POLICIES_FILE).write_bytes(encoded)
        _set_modes(content)

    return filled(package.with_name(f"{package.name}-{sha256(encoded).hexdigest()[:16]}"), fill)


def _fill(content: Path, config: Config, interpreter: str | None, called: Operations) -> None:
    _install(content, config)
    _keep_licenses(content)
    _trim(content, called)
    _cut_models(content / "botocore" / "data", called)
    try:
        cut_modules(content)
    except CutError as error:
        raise ArtifactError(str(error)) from error
    shutil.copytree(_SOURCES / "gluebrake", content / "gluebrake", ignore=shutil.ignore_patterns("__pycache__"))
    if interpreter:
        _compile(content, interpreter)
    _set_modes(content)


def _install(content: Path, config: Config) -> None:
    requirements = ["--requirements", str(_SOURCES / "requirements.txt"), "--require-hashes", "--no-deps"]
    wheels_only = ["--only-binary", ":all:"]
    target = ["--python", sys.executable, "--target", str(content)]
    if config.target == "aws":
        target += ["--python-version", config.python, "--python-platform", _PLATFORMS[config.architecture]]
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--link-mode", "copy"]
    _run([*install, *requirements, *wheels_only, *target])


def _keep_licenses(content: Path) -> None:
    """Copy each licence out of the package metadata, which is left out. A release publishes the zip."""
    for metadata in [*content.glob("*.dist-info"), _ROOT]:
        kept = content / "licenses" / ("gluebrake" if metadata == _ROOT else metadata.stem)
        kept.mkdir(parents=True)
        for pattern in _LICENSES:
            for path in [*metadata.glob(pattern), *metadata.glob(f"licenses/{pattern}")]:
                shutil.copyfile(path, kept / path.name)


def _trim(content: Path, services: Iterable[str]) -> None:
    for path in sorted({path for pattern in _UNUSED for path in content.glob(pattern)}):
        _remove(path)
    _keep_only(content / "botocore" / "data", [*_BOTOCORE_DATA, *services])
    _keep_only(content / "aws_lambda_powertools" / "utilities", _POWERTOOLS_UTILITIES)


def _keep_only(directory: Path, names: Collection[str]) -> None:
    for path in directory.iterdir():
        if path.name not in names:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _cut_models(data: Path, called: Operations) -> None:
    """Cut botocore's data to the operations, because loading all of it takes a large part of a cold start."""
    for service, names in called.items():
        *older, latest = sorted((data / service).iterdir())
        for version in older:
            _remove(version)
        path = latest / "service-2.json.gz"
        model = _cut_model(json.loads(gzip.decompress(path.read_bytes())), names)
        path.write_bytes(gzip.compress(_compact(model), mtime=0))
    endpoints = data / "endpoints.json"
    endpoints.write_bytes(_compact(_cut_endpoints(json.loads(endpoints.read_bytes()), called)))


def _cut_model(model: Mapping[str, Any], called: Sequence[str]) -> dict[str, Any]:
    """Cut a service's model to the operations. Every error shape stays, because any call may return it."""
    kept = {name: model["operations"][name] for name in called}
    errors = {name: shape for name, shape in model["shapes"].items() if shape.get("exception")}
    used = errors.keys() | _referenced([kept, errors], model["shapes"])
    return {
        **model,
        "operations": kept,
        "shapes": {name: shape for name, shape in model["shapes"].items() if name in used},
    }


def _cut_endpoints(endpoints: Mapping[str, Any], services: Collection[str]) -> dict[str, Any]:
    """Remove the endpoints of other services. The Regions and the patterns of host names stay."""
    partitions = [
        {
            **partition,
            "services": {name: s for name, s in partition["services"].items() if name in services},
        }
        for partition in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _referenced(node: Any, shapes: Mapping[str, Any]) -> set[str]:
    """Return the names of all shapes that `node` refers to, directly or through other shapes."""
    referenced: set[str] = set()
    pending = list(_direct_references(node))
    while pending:
        name = pending.pop()
        if name not in referenced:
            referenced.add(name)
            pending += _direct_references(shapes[name])
    return referenced


def _direct_references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(name := node.get("shape"), str):
            yield name
        for value in node.values():
            yield from _direct_references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _direct_references(value)


def _compile(content: Path, interpreter: str) -> None:
    # Lambda does not keep file times, so Python must not compare the times of bytecode and source. `-s` and
    # `-p` replace this machine's paths, so that every machine builds the same bytes.
    options = ["-o", "0", "--invalidation-mode", "unchecked-hash", "-s", str(content), "-p", "/var/task"]
    _run([interpreter, "-m", "compileall", "-q", *options, str(content)], PYTHONHASHSEED="0")


def _set_modes(content: Path) -> None:
    """Set the same mode on every file: modes depend on the umask, and would change the zip."""
    for path in content.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _interpreter(version: str, downloads: Path) -> str | None:
    """Return an interpreter of the version: this one, another one on this machine, or a download by uv."""
    if version == "{}.{}".format(*sys.version_info):
        return sys.executable
    find = ("find", "--no-python-downloads", "--no-project", version)
    downloaded = {"UV_PYTHON_INSTALL_DIR": str(downloads)}
    found = _uv_python(*find) or _uv_python(*find, **downloaded)
    if found is None and _uv_python("install", "--no-bin", version, **downloaded) is not None:
        found = _uv_python(*find, **downloaded)
    return found


def _uv_python(*arguments: str, **environ: str) -> str | None:
    """Run `uv python` and return its output, or None if it fails, for example without a network."""
    try:
        return _run([uv.find_uv_bin(), "python", *arguments], **environ).strip()
    except ArtifactError:
        return None


def _key(config: Config, interpreter: str | None, called: Operations) -> str:
    compiler = _run([interpreter, "-c", "import sys; print(sys.version)"]) if interpreter else "none"
    key = sha256(f"{config.target} {config.python} {config.architecture} {compiler} {called}".encode())
    inputs = [Path(__file__), Path(module_cuts.__file__), _ROOT / "LICENSE", _SOURCES / "requirements.txt"]
    for path in [*inputs, *sorted(_SOURCES.glob("gluebrake/**/*.py"))]:
        key.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return key.hexdigest()[:16]


def _uncompiled(python: str) -> str:
    return (
        f"No Python {python} was found on this machine and none could be downloaded, so the functions ship"
        " without bytecode. Lambda compiles every module at each cold start, which takes more than twice as"
        f" long. Put python{python} on the PATH, or leave `python` out of the configuration: the functions then"
        " run on the version that runs this command, {}.{}.".format(*sys.version_info)
    )


def _run(command: Sequence[str], **environ: str) -> str:
    process = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environ}
    )
    if process.returncode:
        raise ArtifactError(f"{' '.join(command)} failed:\n{process.stderr or process.stdout}")
    return process.stdout
