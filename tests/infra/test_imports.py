"""What `infra` may import from the functions' package, and which AWS operations that package calls."""

import ast
from pathlib import Path

import botocore.loaders
import botocore.model
import pytest
from botocore import xform_name

from gluebrake.stages import operations

_ROOT = Path(__file__).parents[2]
_INFRA_MODULES = sorted((_ROOT / "infra").glob("*.py"))
_FUNCTION_MODULES = sorted((_ROOT / "lambda_src" / "gluebrake").glob("**/*.py"))


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


@pytest.mark.parametrize("path", _INFRA_MODULES, ids=lambda path: path.name)
def test_infra_imports_only_names_tables_and_settings(path: Path) -> None:
    """`infra` imports the contract, the model, the tables and the settings, but no code that runs in Lambda."""
    imported = {name for name in _imported(path) if name.partition(".")[0] == "gluebrake"}
    assert imported <= {
        "gluebrake.__version__",
        "gluebrake.contract",
        "gluebrake.environments",
        "gluebrake.metrics",
        "gluebrake.model",
        "gluebrake.outcomes",
        "gluebrake.problems",
        "gluebrake.patterns",
        "gluebrake.policies",
        "gluebrake.prices",
        "gluebrake.settings",
        "gluebrake.stages",
    }


@pytest.mark.parametrize("service", operations())
def test_functions_call_exactly_the_operations_whose_models_ship(service: str) -> None:
    """Only these operations are in the deployment package: a call of another would fail in Lambda alone."""
    model = botocore.loaders.Loader().load_service_model(service, "service-2")
    modelled = {xform_name(name): name for name in botocore.model.ServiceModel(model).operation_names}
    called = {
        modelled[node.attr]
        for path in _FUNCTION_MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in modelled
    }
    assert called == set(operations()[service])
