"""The functions work without the removed modules of their libraries, and a changed library is an error."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import botocore
import pytest
import urllib3

from infra.module_cuts import CutError, cut_modules

PROGRAM: Final = """
import json, sys
sys.path.insert(0, sys.argv[1])
import botocore, botocore.session, urllib3.http2
account = {"region_name": "eu-west-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
client = botocore.session.Session().create_client("glue", **account)
paginator = client.get_paginator("get_job_runs")
print(json.dumps({
    "botocore": botocore.__file__,
    "operations": sorted(name for name in dir(client) if not name.startswith("_")),
    "documentation": [client.get_job_run.__doc__, paginator.paginate.__doc__],
    "modules": [*sys.modules],
}))
"""
UNUSED: Final = {"botocore.docs.service", "botocore.docs.bcdoc", "html.parser", "importlib.metadata"}


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """Copy the libraries that are cut."""
    for library in (botocore, urllib3):
        path = Path(str(library.__file__)).parent
        shutil.copytree(path, tmp_path / path.name, ignore=shutil.ignore_patterns("data"))
    (tmp_path / "botocore" / "data").symlink_to(Path(botocore.__file__).parent / "data")
    return tmp_path


def _started(*arguments: str) -> Any:
    """Make a client in a new process. Return what it shows."""
    output = subprocess.check_output([sys.executable, "-c", PROGRAM, *arguments], text=True)
    return json.loads(output)


def test_client_is_the_same_without_its_documentation(libraries: Path) -> None:
    """It has all operations. Nothing that renders documentation is imported."""
    whole = _started(str(libraries))
    cut_modules(libraries)
    cut = _started(str(libraries))
    assert cut["botocore"] == whole["botocore"] == str(libraries / "botocore" / "__init__.py")
    assert cut["operations"] == whole["operations"]
    assert set(whole["modules"]) >= UNUSED
    assert UNUSED.isdisjoint(cut["modules"])
    assert cut["documentation"] == ["", ""]


@pytest.mark.parametrize("name", ["botocore/docs/__init__.py", "urllib3/http2/__init__.py"])
def test_library_that_has_changed_is_an_error(libraries: Path, name: str) -> None:
    """The error names the file. Otherwise the functions would import the module again, or fail in Lambda."""
    (libraries / name).write_text("# rewritten\n")
    with pytest.raises(CutError, match=f"{name}: does not have"):
        cut_modules(libraries)


def test_http2_still_checks_the_version_of_its_library(libraries: Path) -> None:
    """The import that was moved is where it is needed."""
    cut_modules(libraries)
    program = "import sys; sys.path.insert(0, sys.argv[1]); import urllib3.http2 as h; h.inject_into_urllib3()"
    done = subprocess.run(
        [sys.executable, "-c", program, str(libraries)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or "No package metadata was found for h2" in done.stderr
    assert "NameError" not in done.stderr
