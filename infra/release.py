"""Write the files of a release: the functions' zips, and a list of the packages in them.

`python -m infra.release dist` builds for the Python that runs it.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

from gluebrake import __version__
from infra import artifact
from infra.config import Config

_REQUIREMENTS: Final = Path(__file__).parents[1] / "lambda_src" / "requirements.txt"


def main(directory: Path) -> None:
    """Write the files into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for config in (Config(architecture="arm64"), Config(architecture="x86_64")):
        name = f"gluebrake-functions-{__version__}-python{config.python}-{config.architecture}.zip"
        write_zip(artifact.build(config).directory, directory / name)
    bill = json.dumps(bill_of_materials(_REQUIREMENTS.read_text()), indent=2)
    (directory / f"gluebrake-functions-{__version__}.cdx.json").write_text(f"{bill}\n")


def write_zip(content: Path, file: Path) -> None:
    """Zip a directory. The same content gives the same bytes: names are sorted, and all dates are equal."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in content.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(content).as_posix())
            entry.external_attr = path.stat().st_mode << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def bill_of_materials(requirements: str) -> dict[str, Any]:
    """Return the pinned packages in the form of CycloneDX: https://cyclonedx.org/docs/1.6/json/."""
    pins = re.findall(r"^([\w.-]+)==([\w.+!-]+)", requirements, re.MULTILINE)
    purls = [f"pkg:pypi/{name}@{version}" for name, version in pins]
    own = f"pkg:generic/gluebrake-functions@{__version__}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "gluebrake-functions",
                "version": __version__,
                "purl": own,
            }
        },
        "components": [
            {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
            for (name, version), purl in zip(pins, purls, strict=True)
        ],
        "dependencies": [{"ref": own, "dependsOn": purls}],
    }


if __name__ == "__main__":
    main(Path(*sys.argv[1:]))
