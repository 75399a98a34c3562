"""A synthesised template, with shortcuts for assertions."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}


@dataclass(frozen=True)
class Template:
    """A template and its validation report, in the cloud assembly's directory.

    `stack` is the stack's id within the CDK's app.
    """

    directory: Path
    stack: str = "Gluebrake"

    @property
    def body(self) -> dict[str, Any]:
        """The template that CloudFormation receives."""
        body: dict[str, Any] = json.loads((self.directory / f"{self.stack}.template.json").read_text())
        return body

    def validated(self, kind: str) -> dict[str, list[str]]:
        """Return the rules of each plugin under `violations` or `suppressedViolations`."""
        report = json.loads((self.directory / "validation-report.json").read_text())
        return {
            plugin["pluginName"]: [violation["ruleName"] for violation in plugin[kind]]
            for plugin in report["pluginReports"]
        }

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of a type, by logical id."""
        return {name: r for name, r in self.body["Resources"].items() if r["Type"] == kind}

    def only(self, kind: str, construct: str = "") -> dict[str, Any]:
        """Return the properties of the only resource of a type, or of the only one in a construct."""
        (resource,) = (r for name, r in self.resources(kind).items() if name.startswith(construct))
        properties: dict[str, Any] = plain(resource["Properties"])
        return properties


def plain(value: Any) -> Any:
    """Return a value with each reference as text: `<Queue.Arn>`, or an example for a pseudo parameter."""
    match value:
        case {"Ref": name}:
            return _PSEUDO.get(name, f"<{_short(name)}>")
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{_short(name)}.{attribute}>"
        case {"Fn::Join": [delimiter, parts]}:
            return delimiter.join(plain(part) for part in parts)
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([\w:]+)\}", lambda found: plain({"Ref": found[1]}), text)
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def _short(logical_id: str) -> str:
    return logical_id[:-8]
