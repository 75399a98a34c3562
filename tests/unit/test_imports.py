"""Imports point one way, AWS's libraries are at the edges, and a cold start loads one stage."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

import gluebrake
from gluebrake.policies import POLICIES_FILE
from gluebrake.settings import environment
from tests.support.builders import SETTINGS

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = Path(gluebrake.__file__).parent
AWS: Final = frozenset({"boto3", "botocore", "aws_lambda_powertools"})

# The lowest first. A part imports parts of lower layers only, and a package its own modules.
LAYERS: Final = (
    {"characters", "environments", "error_codes", "grouping", "metrics", "patterns", "prices", "stages"},
    {"outcomes"},
    {"contract", "problems", "sweep_contract"},
    {"model", "policies"},
    {"aws", "decisions", "lambda_event", "parsing", "settings", "telemetry"},
    {"sweeping", "wiring"},
    {"dispatch"},
    {"runtime"},
    {"handlers"},
    {"confirm", "stop"},
)
AWS_LIBRARIES: Final = {
    "aws": {"botocore"},
    "telemetry": {"aws_lambda_powertools"},
    "wiring": {"botocore"},
}
PURE: Final = (
    "characters",
    "contract",
    "decisions",
    "environments",
    "error_codes",
    "grouping",
    "lambda_event",
    "metrics",
    "model",
    "outcomes",
    "parsing",
    "patterns",
    "policies",
    "prices",
    "problems",
    "settings",
    "stages",
    "sweep_contract",
)
"""The parts that load no AWS library, directly or indirectly."""

SIGNALS: Final = frozenset(
    {
        "gluebrake.parsing.alarm_forms",
        "gluebrake.parsing.alarm_metrics",
        "gluebrake.parsing.cloudwatch_alarm",
        "gluebrake.parsing.dispatcher",
        "gluebrake.parsing.eventbridge",
        "gluebrake.parsing.glue_event",
        "gluebrake.parsing.sns",
        "gluebrake.parsing.unsupported",
    }
)
"""The parsers of signals, which only STOP gets."""

# STOP loads 438 modules, most of them botocore's, Powertools' and the standard library's. Ten more allow for a
# new module or two. A larger number means that an import loads another library. Every cold start pays for it.
MAX_MODULES: Final = 448
MAX_LINES: Final = 300

HANDLERS: Final = tuple(sorted(path.stem for path in (SOURCE / "handlers").glob("[!_]*.py")))
QUEUE_URLS: Final = {
    f"{name}_queue_url": f"https://queue/{name}" for name in ("stop", "confirm", "dead_letter")
}


def _files() -> dict[str, list[Path]]:
    """Return the files of each part of the package, by the name of the module or of the subpackage."""
    files: dict[str, list[Path]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        files.setdefault(file.relative_to(SOURCE).with_suffix("").parts[0], []).append(file)
    return files


FILES: Final = _files()
PARTS: Final = sorted(FILES.keys() - {"__init__"})


def _imports(file: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, without those for the type checker only."""
    tree = ast.parse(file.read_text())
    for_types = {id(node) for block in ast.walk(tree) if _is_for_types(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imports_of_part(part: str) -> set[str]:
    return {name for file in FILES[part] for name in _imports(file)}


def _parts_imported(part: str) -> set[str]:
    names = (name.split(".") for name in _imports_of_part(part))
    return {name[1] for name in names if name[0] == "gluebrake" and name[1] != part}


def _loaded_by(handler: str) -> list[str]:
    """Import a handler in a process in which no client can be made. Return the modules that it has loaded."""
    return _loaded(
        f"import botocore.session; botocore.session.Session = None; import gluebrake.handlers.{handler}"
    )


@cache
def _loaded(program: str) -> list[str]:
    """Run a program in a new process. Return the names of the modules that it has loaded."""
    return _output(f"{program}\nimport sys\nprint(*sys.modules, sep='\\n')").split()


def _output(program: str, **variables: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.check_output(command, env={"PYTHONPATH": str(SOURCE.parent), **variables}, text=True)


class TestLayers:
    """What a module may import."""

    def test_each_part_is_in_exactly_one_layer(self) -> None:
        """A new module must be added to the layers, so that the imports of every module are checked."""
        assert sorted(part for layer in LAYERS for part in layer) == PARTS

    @pytest.mark.parametrize("part", PARTS)
    def test_imports_point_down(self, part: str) -> None:
        """A part imports parts of lower layers only, so that there is no cycle."""
        layer = next(index for index, layer in enumerate(LAYERS) if part in layer)
        below: set[str] = set().union(*LAYERS[:layer])
        assert _parts_imported(part) <= below

    @pytest.mark.parametrize("part", PARTS)
    def test_aws_libraries_are_at_the_edges(self, part: str) -> None:
        """Only the adapters, telemetry and the wiring import an AWS library."""
        libraries = {name.split(".")[0] for name in _imports_of_part(part)} & AWS
        assert libraries == AWS_LIBRARIES.get(part, set())

    def test_pure_parts_load_no_aws_library(self) -> None:
        """Tables, contract, model, decisions and parsers do not load one indirectly either."""
        modules = [
            ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
            for part in PURE
            for file in FILES[part]
        ]
        loaded = _loaded(f"import {', '.join(modules)}")
        assert set(modules) <= set(loaded)
        assert AWS.isdisjoint(loaded)

    def test_table_of_stages_loads_nothing_else(self) -> None:
        """The infrastructure and the command read the table without any library of the functions."""
        loaded = _loaded("import gluebrake.stages")
        assert [name for name in loaded if name.startswith("gluebrake.")] == ["gluebrake.stages"]
        assert {"msgspec", *AWS}.isdisjoint(loaded)

    def test_infrastructure_needs_no_library_of_the_functions(self) -> None:
        """The modules of `gluebrake` that `infra` imports load neither boto3 nor Powertools.

        `make deploy` reads an account with boto3, in the development environment. The canary's script runs in
        Glue, which has boto3.
        """
        deploy = ("account.py", "alarm_warning.py", "fleet.py")
        excepted = {ROOT / "infra" / name for name in (*deploy, "canary_job.py")}
        files = set((ROOT / "infra").glob("*.py")) - excepted
        imported = {name for file in files for name in _imports(file)}
        assert AWS.isdisjoint(name.split(".")[0] for name in imported)
        parts = {name.split(".")[1] for name in imported if name.startswith("gluebrake.")} - {"__version__"}
        assert parts
        assert parts <= set(PURE)


class TestHandlers:
    """What a cold start loads."""

    @pytest.mark.parametrize("handler", HANDLERS)
    def test_handler_loads_no_other_handler(self, handler: str) -> None:
        """A function does not pay for the code of another stage."""
        loaded = _loaded_by(handler)
        handlers = [name for name in loaded if name.startswith("gluebrake.handlers.")]
        assert handlers == [f"gluebrake.handlers.{handler}"]

    def test_confirm_loads_no_parser_of_signals(self) -> None:
        """CONFIRM gets messages of Gluebrake only, which are plain stop requests."""
        assert SIGNALS.isdisjoint(_loaded_by("confirm"))
        assert set(_loaded_by("stop")) >= SIGNALS

    @pytest.mark.parametrize("handler", HANDLERS)
    def test_cold_start_loads_few_modules(self, handler: str) -> None:
        """The number of modules decides how long a cold start takes."""
        assert len(_loaded_by(handler)) <= MAX_MODULES

    @pytest.mark.parametrize("handler", HANDLERS)
    def test_import_of_a_handler_makes_no_client(self, handler: str) -> None:
        """A handler is imported without environment, Region and credentials, and without botocore's session."""
        assert "botocore.session" in _loaded_by(handler)
        assert {"boto3", "s3transfer"}.isdisjoint(_loaded_by(handler))

    @pytest.mark.parametrize("handler", HANDLERS)
    @pytest.mark.parametrize(
        ("variables", "built"), [({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, "1"), ({}, "0")]
    )
    def test_handler_builds_its_dependencies_while_lambda_initialises_it(
        self, handler: str, variables: dict[str, str], built: str, tmp_path: Path
    ) -> None:
        """Lambda's import of the handler builds the dependencies, and any other import builds nothing."""
        (tmp_path / POLICIES_FILE).write_text("[]")
        values: dict[str, Any] = {**SETTINGS, **QUEUE_URLS, "signal_topics": {}}
        variables = {**variables, "LAMBDA_TASK_ROOT": str(tmp_path)}
        program = (
            f"from gluebrake.handlers import {handler}; print({handler}._dependencies.cache_info().currsize)"
        )
        output = _output(program, AWS_DEFAULT_REGION="eu-west-1", **environment(values), **variables)
        assert output.strip() == built

    @pytest.mark.parametrize("name", ["stop", "confirm"])
    def test_handler_has_its_former_name(self, name: str) -> None:
        """During an update Lambda calls the new code by the name that version 0.1 configured."""
        former = importlib.import_module(f"gluebrake.{name}")
        assert former.handler is importlib.import_module(f"gluebrake.handlers.{name}").handler


@pytest.mark.parametrize("package", ["lambda_src/gluebrake", "gluebrake_cli", "infra"])
def test_no_file_is_long(package: str) -> None:
    """A file of at most 300 lines is read in one sitting."""
    lines = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in (ROOT / package).rglob("*.py")
    }
    assert lines
    assert {file: count for file, count in lines.items() if count > MAX_LINES} == {}
