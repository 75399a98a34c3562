"""Stop requests from the options of `gluebrake stop`, validated by the STOP function's own parser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import typer
from msgspec import Struct

from gluebrake.contract import StopRequest
from gluebrake.model import AwsEnvironment
from gluebrake.parsing import stop_request
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError
from gluebrake_cli.errors import EMPTY
from gluebrake_cli.named_values import named_values

_OPTIONS: Final = {
    "OlderThanMinutes": "--older-than",
    "StartedAfter": "--started-after",
    "Arguments": "--argument",
    "Except": "--except",
}
"""The option that gives each field of a selection."""


class Runs(Struct, frozen=True, kw_only=True):
    """The options for the runs of a job to stop. An option that is not given is None, empty or False."""

    run_ids: Sequence[str] = ()
    all_active: bool = False
    older_than: int | None = None
    started_after: str | None = None
    arguments: Sequence[str] = ()
    exclude: Sequence[str] = ()
    include_attempts: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the fields of the request. Raise BadParameter if the options cannot be combined."""
        selection = self._selection()
        for mistake in self._mistakes(selection):
            raise typer.BadParameter(mistake)
        if self.all_active:
            return {"Select": selection}
        return {"JobRunIds": _distinct(self.run_ids), "IncludeAttempts": self.include_attempts}

    def _mistakes(self, selection: Iterable[str]) -> Iterator[str]:
        if "" in self.run_ids:
            yield f"RUN_ID {EMPTY}"
        if "" in self.exclude:
            yield f"--except {EMPTY}"
        if bool(self.run_ids) == self.all_active:
            yield "name the runs, or give --all-active: one of the two"
        if self.all_active and self.include_attempts:
            yield "--include-attempts requires run ids: --all-active means every active attempt by itself"
        for field in selection:
            if not self.all_active:
                yield f"{_OPTIONS[field]} requires --all-active, whose runs it narrows down"

    def _selection(self) -> dict[str, Any]:
        fields = {
            "OlderThanMinutes": self.older_than,
            "StartedAfter": self.started_after,
            "Arguments": self._named_arguments() or None,
            "Except": _distinct(self.exclude) or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _named_arguments(self) -> dict[str, str]:
        return named_values(
            "--argument",
            self.arguments,
            form="NAME=VALUE, such as --argument --date=2026-11-24",
            twice="is given twice, but a run has one value of it",
        )


def build(  # noqa: PLR0913 - the options of the command, by name
    job_name: str, runs: Runs, *, reason: str = "", requested_by: str = "", dry_run: bool = False, now: datetime
) -> StopRequest:
    """Build a stop request, and validate it as the STOP function would validate a message that is sent `now`.

    So the request matches no run that starts later. Raise BadParameter, which names the field and the rule.
    """
    if not job_name:
        raise typer.BadParameter(f"JOB {EMPTY}")
    texts = {"Reason": reason, "RequestedBy": requested_by}
    fields = {
        "JobName": job_name,
        **runs.fields(),
        **{name: text for name, text in texts.items() if text},
        "DryRun": dry_run,
    }
    try:
        return stop_request.decode(msgspec.json.encode(fields), Context(AwsEnvironment("", ""), now))
    except (ParsingError, UnicodeEncodeError) as error:
        raise typer.BadParameter(str(error)) from error


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
