"""The screens of `gluebrake history`: a list of stops, and everything about one run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gluebrake.decisions import readable, run_cost
from gluebrake.metrics import Measure
from gluebrake.outcomes import OUTCOMES, Outcome
from gluebrake_cli import history
from gluebrake_cli.dead_letters import age
from gluebrake_cli.history import Repeats, RunHistory
from gluebrake_cli.history_lines import Line, Requester
from gluebrake_cli.history_report import HistoryReport
from gluebrake_cli.records import Records
from gluebrake_cli.tables import counted, duration, printable, unfolded

_ESTIMATE: Final = "an estimate"
_TIME: Final = "%Y-%m-%d %H:%M:%S"
_MINUTE: Final = "%Y-%m-%d %H:%M"
_LONGEST_REASON: Final = 100
_THOUSAND: Final = 1000
_SUMMED: Final = {Measure.DPU_HOURS_CONSUMED: "DPU-hours", Measure.ESTIMATED_COST_USD: "dollars"}


def screen(report: HistoryReport, limit: int) -> RenderableType:
    """Return all steps if the search names a run, else a list of runs, and then the searched log groups."""
    shown = report.found[:limit]
    if report.search.run:
        found = [line for each in shown for line in (_run(each, report), Text())]
    else:
        found = [_list(shown, report.sweep_sender_ids), Text()] if shown else []
    notes = [Text(f"! {text}", style="red") for text in report.problems]
    return Lines(*found, *map(Text, map(printable, _summary(report, len(shown)))), *notes)


def _list(found: Sequence[RunHistory], sweep_sender_ids: frozenset[str]) -> RenderableType:
    """Return a row for each run. Its note says who requested the stop, why, and how often."""
    columns = ("run", "time (UTC)", "outcome", "job", f"used ({_ESTIMATE})")
    notes = [_note(each, sweep_sender_ids) for each in found]
    return Records(columns, [_cells(each) for each in found], notes)


def _cells(found: RunHistory) -> list[Text]:
    line = found.decisive
    texts = (found.run.job_name, run_cost.in_words(line.measures))
    return [_cell(found.run.run_id or "(none)"), _time(line), _outcome(line), *map(_cell, texts)]


def _note(found: RunHistory, sweep_sender_ids: frozenset[str]) -> Text:
    requester = found.decisive.requester
    repeats = f" ({text})" if (text := _repeats(found.repeats)) else ""
    reason = textwrap.shorten(requester.reason, _LONGEST_REASON, placeholder="\N{HORIZONTAL ELLIPSIS}")
    return _cell(f"{_joined(_who(requester, sweep_sender_ids), reason)}{repeats}")


def _time(line: Line) -> Text:
    return Text(f"{line.timestamp:{_TIME}}")


def _outcome(line: Line) -> Text:
    style = "green" if line.outcome is Outcome.STOPPED else "red" if line.outcome.is_failure else ""
    return Text(f"{line.outcome} (dry run)" if line.dry_run else str(line.outcome), style=style)


def _who(requester: Requester, sweep_sender_ids: frozenset[str]) -> str:
    """Return who requested a stop, in a few words: a fact, or the claim and the sender."""
    if policy := requester.policy(sweep_sender_ids):
        return f"policy {policy} (SWEEP sent it)"
    claim = requester.requested_by or requester.via
    return f"{claim} (a claim; sender {requester.sender})" if claim else f"sender {requester.sender}"


def _run(found: RunHistory, report: HistoryReport) -> RenderableType:
    """Return how a run ended, who requested it and why, and then each step."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(2):
        grid.add_column(overflow="fold")
    for name, text in _fields(found, report):
        grid.add_row(Text(name, style="bold"), _cell(text))
    steps = [Text(), _steps(found, report)] if len(found.steps) > 1 else []
    repeats = [Text(f"Of these lines: {text}.")] if (text := _repeats(found.repeats)) else []
    title = [Text(printable(found.run.job_name), style="bold"), unfolded(found.run.run_id)]
    return Lines(*title, grid, *steps, *repeats)


def _fields(found: RunHistory, report: HistoryReport) -> Iterator[tuple[str, str]]:
    line = found.decisive
    dry_run = " (dry run)" if line.dry_run else ""
    yield "outcome", f"{line.outcome}{dry_run}: {OUTCOMES[line.outcome].meaning}"
    if line.error_message:
        yield "error", line.error_message
    yield "time", f"{line.timestamp:{_TIME}} UTC ({duration(age(line.timestamp, report.now))} ago)"
    yield from _request_fields(line.requester, report.sweep_sender_ids)
    yield from _cost_fields(line)


def _request_fields(requester: Requester, sweep_sender_ids: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield who requested the stop, each labelled as a fact or as a claim."""
    policy = requester.policy(sweep_sender_ids)
    if policy:
        yield "policy", f"{policy} (a fact: the role of SWEEP sent the request)"
    yield "sender", f"{requester.sender} (a fact: SQS reports it)"
    if requester.via:
        yield "via", f"{requester.via} ({'a fact: SWEEP wrote it' if policy else 'a claim of the message'})"
    if requester.requested_by and not policy:
        yield "claims", f"{requester.requested_by} (RequestedBy, which is not verified)"
    yield "reason", requester.reason or "(none)"


def _cost_fields(line: Line) -> Iterator[tuple[str, str]]:
    if used := run_cost.in_words(line.measures):
        yield "used", f"{used} ({_ESTIMATE})"
    if (further := line.measures.get(Measure.FURTHER_COST_USD_AT_MOST)) is not None:
        text = f"at most {readable.dollars(further)} more, had it run to its Timeout"
        yield "further", f"{text} ({_ESTIMATE})"
    if (seconds := line.measures.get(Measure.TIME_TO_STOP)) is not None:
        yield "stopped in", f"{readable.duration(seconds)}, from the submission of the stop"


def _steps(found: RunHistory, report: HistoryReport) -> RenderableType:
    """Return each outcome in order of time, with its error, and with the requester if it changed."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for title in ("time (UTC)", "outcome", "lines"):
        grid.add_column(no_wrap=title != "outcome", justify="right" if title == "lines" else "left")
    grid.add_column(overflow="fold")
    grid.add_row(
        *(Text(title, style="bold") for title in ("time (UTC)", "outcome", "lines", "requested by; error"))
    )
    before = None
    for step in found.steps:
        line = step.last
        who = "" if line.requester.origin == before else _request(line.requester, found, report)
        text = "; ".join(filter(None, (who, "" if line is found.decisive else line.error_message)))
        grid.add_row(_time(step.lines[0]), _outcome(line), Text(str(len(step.lines))), _cell(text))
        before = line.requester.origin
    return grid


def _request(requester: Requester, found: RunHistory, report: HistoryReport) -> str:
    if requester.origin == found.decisive.requester.origin:
        return "as above"
    return _joined(_who(requester, report.sweep_sender_ids), requester.reason)


def _repeats(repeats: Repeats) -> str:
    """Return why a run has several log lines, empty if no step is repeated."""
    counts = {
        "retries": repeats.retries,
        "polls": repeats.polls,
        "redelivered by SQS": repeats.redeliveries,
        "redrives or new requests after a failure": repeats.requests_after_failure,
    }
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def _summary(report: HistoryReport, shown: int) -> Iterator[str]:
    """Yield the total usage of the stopped runs, the number of runs not shown, and the searched log groups."""
    if not report.found:
        yield f"Nothing found: {report.search.words}."
    if len(report.found) > shown:
        yield f"{len(report.found) - shown} more found and not shown: give --limit {len(report.found)}."
    stopped = history.total(report.found)
    if len(report.found) > 1 and stopped.runs:
        yield f"{counted(stopped.runs, 'stopped run')}: {_total(stopped)}"
    if report.found and not report.search.run:
        yield f"Searched: {report.search.words}."
    yield _log(report)
    records = readable.count(report.result.records_scanned, "record")
    yield f"Logs Insights scanned {_size(report.result.bytes_scanned)}, {records}. It bills by scanned data."


def line(report: HistoryReport) -> str:
    """Return the findings in one of several environments, in a few words."""
    if not report.found:
        return "nothing found"
    stopped = history.total(report.found)
    usd = stopped.measures.get(Measure.ESTIMATED_COST_USD)
    cost = "" if usd is None else f", about {readable.dollars(usd)} ({_ESTIMATE})"
    return f"{stopped.runs} of {len(report.found)} stopped{cost}"


def sums(reports: Sequence[HistoryReport]) -> Iterator[str]:
    """Yield the total usage of the stopped runs of several environments, and the bytes that were scanned."""
    found = [each for report in reports for each in report.found]
    stopped = history.total(found)
    more = f": {_total(stopped)}" if stopped.runs else "."
    yield f"{counted(len(found), 'run')} found, {stopped.runs} stopped{more}"
    scanned = sum(report.result.bytes_scanned for report in reports)
    yield f"Logs Insights scanned {_size(scanned)}. It bills by scanned data."


def _total(stopped: history.StoppedTotal) -> str:
    used = run_cost.in_words(stopped.measures)
    unknown = [
        f"{name} of {counted(stopped.unknown[measure], 'run')} are not known"
        for measure, name in _SUMMED.items()
        if measure in stopped.unknown
    ]
    return "; ".join([*([f"{used} in sum ({_ESTIMATE})"] if used else []), *unknown]) + "."


def _log(report: HistoryReport) -> str:
    if report.goes_back_to is None:
        return f"How far back the log goes is not known: {'; '.join(report.unknown.values())}"
    days = sorted({group.retention_days for group in report.log_groups}, key=str)
    kept = " or ".join("for ever" if each is None else f"for {counted(each, 'day')}" for each in days)
    return f"The log goes back to {report.goes_back_to:{_MINUTE}} UTC, and keeps lines {kept}."


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < _THOUSAND:
            return f"{readable.number(size)} {unit}"
        size /= _THOUSAND
    return f"{readable.number(size)} GB"


def _cell(text: str) -> Text:
    return Text(printable(text))


def _joined(who: str, reason: str) -> str:
    return f"{who}: {reason}" if reason else who
