"""What the infrastructure may know of the functions."""

import ast
from pathlib import Path

import botocore.loaders
import botocore.model
import pytest
from botocore import xform_name

from infra.artifact import OPERATIONS

_ROOT = Path(__file__).parents[2]
_OURS = sorted((_ROOT / "infra").glob("*.py"))
_THEIRS = sorted((_ROOT / "lambda_src" / "gluebrake").glob("**/*.py"))


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "gluebrake":
            names |= {f"gluebrake.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", _OURS, ids=lambda path: path.name)
def test_the_infrastructure_takes_names_only(path: Path) -> None:
    """Of the functions, `infra` knows the vocabulary and the settings: nothing that runs in Lambda."""
    ours = {name for name in _imported(path) if name.partition(".")[0] == "gluebrake"}
    assert ours <= {"gluebrake.model", "gluebrake.settings"}


@pytest.mark.parametrize("service", OPERATIONS)
def test_the_functions_call_the_operations_that_ship_and_no_others(service: str) -> None:
    """The models that ship are cut, so a call outside them would fail in Lambda and nowhere else."""
    model = botocore.loaders.Loader().load_service_model(service, "service-2")
    operations = {xform_name(name): name for name in botocore.model.ServiceModel(model).operation_names}
    called = {
        operations[node.attr]
        for path in _THEIRS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in operations
    }
    assert called == set(OPERATIONS[service])
