"""The files of a release: the functions' zips and the list of the packages in them."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from infra import release
from infra.config import Config

REQUIREMENTS: Final = Path(__file__).parents[2] / "lambda_src" / "requirements.txt"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the files of a release, and return them by name without the version."""
    directory = tmp_path_factory.mktemp("dist")
    release.main(directory)
    return {re.sub(r"-\d[^-]*?(?=-|\.cdx)", "", file.name): file for file in directory.iterdir()}


def test_release_has_a_zip_for_each_architecture_and_the_list(files: dict[str, Path]) -> None:
    """The zips are for the Python that builds them, because their bytecode is."""
    python = Config().python
    assert files.keys() == {
        f"gluebrake-functions-python{python}-arm64.zip",
        f"gluebrake-functions-python{python}-x86_64.zip",
        "gluebrake-functions.cdx.json",
    }


def test_zip_has_the_handlers_with_bytecode(files: dict[str, Path]) -> None:
    """Lambda starts the functions from the zip as it is."""
    for name, file in files.items():
        if name.endswith(".zip"):
            names = zipfile.ZipFile(file).namelist()
            assert "gluebrake/handlers/stop.py" in names
            assert [name for name in names if re.fullmatch(r"gluebrake/handlers/__pycache__/stop\..*pyc", name)]


def test_zip_has_the_licence_of_each_package(files: dict[str, Path]) -> None:
    """Who gets the zip gets the licences that it must have: of each listed package, and Gluebrake's own."""
    listed = {component["name"].replace("-", "_") for component in _bill(files)["components"]}
    archive = zipfile.ZipFile(files[f"gluebrake-functions-python{Config().python}-arm64.zip"])
    licensed = {match[1] for name in archive.namelist() if (match := re.match(r"licenses/(\w+)", name))}
    assert licensed == {*listed, "gluebrake"}


def test_list_has_every_pinned_package(files: dict[str, Path]) -> None:
    """Each package has its version, and the identifier by which scanners find its vulnerabilities."""
    pins = re.findall(r"^(\S+)==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
    bill = _bill(files)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [(each["name"], each["version"]) for each in bill["components"]] == pins
    assert [each["purl"] for each in bill["components"]] == [f"pkg:pypi/{name}@{pin}" for name, pin in pins]
    assert bill["dependencies"][0]["dependsOn"] == [each["bom-ref"] for each in bill["components"]]


def _bill(files: dict[str, Path]) -> Any:
    return json.loads(files["gluebrake-functions.cdx.json"].read_text())
