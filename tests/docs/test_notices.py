"""The commands of docs/notices.md that the emulator cannot run have the options that AWS's API takes."""

from __future__ import annotations

import re
import shlex
from typing import Any, Final

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import StructureShape
from botocore.validate import ParamValidator

from gluebrake.outcomes import OUTCOMES, NoticeKind
from local.emulator import ROOT
from tests.docs.document import Document

PAGE: Final = Document(ROOT / "docs" / "notices.md")
VARIABLES: Final = {
    "$ROLE_ARN": "arn:aws:iam::123456789012:role/gluebrake-chat",
    "$NOTICE_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:notices",
}


def _input_of(name: str) -> StructureShape:
    """Return what an operation takes, which is given by its name in the AWS CLI."""
    model = botocore.session.get_session().get_service_model("chatbot")
    operation = next(each for each in model.operation_names if xform_name(each, "-") == name)
    shape = model.operation_model(operation).input_shape
    assert shape is not None
    return shape


def _parameters(words: list[str], shape: StructureShape) -> dict[str, Any]:
    """Return the parameters that the AWS CLI makes of a command's options."""
    options = dict(zip(words[::2], words[1::2], strict=True))
    options.pop("--region")
    members = {f"--{xform_name(name, '-')}": name for name in shape.members}
    values = {members[option]: VARIABLES.get(value, value) for option, value in options.items()}
    lists = {name for name, member in shape.members.items() if member.type_name == "list"}
    return {name: [value] if name in lists else value for name, value in values.items()}


@pytest.mark.parametrize(
    "command", [text for text in PAGE.fences("Slack and Microsoft Teams") if "chatbot cr" in text]
)
def test_command_of_a_chat_client_has_the_parameters_of_its_operation(command: str) -> None:
    """Every option is a parameter of the API, no required one is missing, and the patterns match."""
    _, service, name, *words = shlex.split(command.replace("\\\n", " "))
    shape = _input_of(name)
    parameters = _parameters(words, shape)
    assert service == "chatbot"
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()
    for member, value in parameters.items():
        pattern = shape.members[member].metadata.get("pattern")
        assert pattern is None or re.fullmatch(pattern, value), (member, pattern)


def test_every_noticed_outcome_and_kind_is_named() -> None:
    """The table of kinds has the outcomes that the one table of outcomes says."""
    table = [line for line in PAGE.path.read_text().splitlines() if line.startswith("| `")]
    rows = {line.split("|")[1].strip(" `"): line for line in table[1:]}
    assert rows.keys() == set(NoticeKind)
    for outcome, facts in OUTCOMES.items():
        if facts.notice is NoticeKind.NOT_STOPPED:
            assert f"`{outcome}`" in rows[facts.notice]
