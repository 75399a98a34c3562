"""The template of a deployed stack, with CloudFormation's values for its references. Does not call AWS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gluebrake_cli.errors import OperatorError

Properties = Mapping[str, Any]
"""The properties of a resource, without references."""

# The value of `Fn::GetAtt: [resource, Arn]`, by the resource's type.
_ARNS: Final = {
    "AWS::Events::EventBus": "arn:{partition}:events:{region}:{account}:event-bus/{name}",
    "AWS::Events::Rule": "arn:{partition}:events:{region}:{account}:rule/{name}",
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "arn:{partition}:logs:{region}:{account}:log-group:{name}:*",
    "AWS::SQS::Queue": "arn:{partition}:sqs:{region}:{account}:{name}",
}
_VARIABLE: Final = re.compile(r"\$\{(!?)([^}]+)\}")


@dataclass(frozen=True)
class StackTemplate:
    """A stack's template, its ARN, and the physical id of each resource by logical id."""

    body: Mapping[str, Any]
    stack_id: str
    physical_ids: Mapping[str, str]

    def resources(self, kind: str) -> Iterator[Properties]:
        """Yield the properties of each resource of a type, without references.

        Raise OperatorError for a reference that this class cannot resolve.
        """
        for resource in self.body["Resources"].values():
            if resource["Type"] == kind:
                yield self.resolve(resource.get("Properties", {}))

    def resolve(self, value: Any) -> Any:
        """Return a value with each intrinsic function replaced by its result."""
        match value:
            case {"Ref": str(name)}:
                return self._ref(name)
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return self._attribute(name, attribute)
            case {"Fn::Join": [str(delimiter), parts]}:
                return delimiter.join(self.resolve(parts))
            case {"Fn::Select": [index, items]}:
                return self.resolve(items)[int(index)]
            case {"Fn::Split": [str(delimiter), text]}:
                return self.resolve(text).split(delimiter)
            case {"Fn::Sub": str(text)}:
                return self._substituted(text, {})
            case {"Fn::Sub": [str(text), dict(variables)]}:
                return self._substituted(text, self.resolve(variables))
            case dict():
                return self._resolved_items(value)
            case list():
                return [self.resolve(item) for item in value]
            case _:
                return value

    def _resolved_items(self, value: Mapping[str, Any]) -> dict[str, Any]:
        if unsupported := [name for name in value if name.startswith("Fn::")]:
            raise _unresolved(unsupported[0])
        return {name: self.resolve(item) for name, item in value.items()}

    def _ref(self, name: str) -> str:
        value = self._pseudo_parameters.get(name) or self.physical_ids.get(name)
        if value is None:
            raise _unresolved(f"Ref {name}")
        return value

    @property
    def _pseudo_parameters(self) -> Mapping[str, str]:
        _, partition, _, region, account, stack = self.stack_id.split(":")
        return {
            "AWS::AccountId": account,
            "AWS::Partition": partition,
            "AWS::Region": region,
            "AWS::StackId": self.stack_id,
            "AWS::StackName": stack.split("/")[1],
        }

    def _attribute(self, logical_id: str, attribute: str) -> str:
        physical_id, kind = self.physical_ids.get(logical_id, ""), self._kind(logical_id)
        if attribute == "Arn" and physical_id.startswith("arn:"):
            return physical_id
        if attribute != "Arn" or not physical_id or kind not in _ARNS:
            raise _unresolved(f"Fn::GetAtt {logical_id}.{attribute}")
        parameters = self._pseudo_parameters
        return _ARNS[kind].format(
            partition=parameters["AWS::Partition"],
            region=parameters["AWS::Region"],
            account=parameters["AWS::AccountId"],
            name=self._name(logical_id, kind, physical_id),
        )

    def _kind(self, logical_id: str) -> str:
        return str(self.body["Resources"].get(logical_id, {}).get("Type", ""))

    def _name(self, logical_id: str, kind: str, physical_id: str) -> str:
        """Return the resource's name in the form for an ARN. The physical id of a queue is its URL."""
        if kind == "AWS::SQS::Queue":
            return physical_id.rpartition("/")[2]
        if kind == "AWS::Events::Rule":
            # The physical id of a rule is its name or, on another bus than the default, `bus|name`.
            properties = self.body["Resources"][logical_id].get("Properties", {})
            bus = self.resolve(properties.get("EventBusName", "default"))
            name = physical_id.rpartition("|")[2]
            return name if bus == "default" else f"{bus}/{name}"
        return physical_id

    def _substituted(self, text: str, variables: Mapping[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return variables[name]
            logical_id, _, attribute = name.partition(".")
            return self._attribute(logical_id, attribute) if attribute else self._ref(name)

        return _VARIABLE.sub(value, text)


def _unresolved(text: str) -> OperatorError:
    return OperatorError(f"the stack's template has {text}, which this command cannot resolve")
