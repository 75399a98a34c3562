"""Draw architecture.svg: the components and the arrows between them, in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

Point = tuple[float, float]

WIDTH: Final = 1000
HEIGHT: Final = 592

# The card has its own background, so it looks the same on a light page and on a dark one.
CARD: Final = "#0f172a"
EDGE: Final = "#334155"
TEXT: Final = "#f1f5f9"
MUTED: Final = "#a9b7ca"

COLOURS: Final = {
    "producer": "#94a3b8",
    "entry": "#2dd4bf",
    "queue": "#38bdf8",
    "function": "#fb923c",
    "glue": "#a78bfa",
    "dead letter": "#fb7185",
    "output": "#4ade80",
}
"""The colour of each kind of component, and of the arrows to it."""

DESCRIPTION: Final = (
    "Stop requests, alarms and events reach the stop queue directly, through an SNS topic or through an "
    "event bus. The SWEEP function looks for runaway runs by policies, and sends stop requests. The STOP "
    "function calls BatchStopJobRun with up to 25 runs of a job. Runs to retry go back to the stop queue, and "
    "submitted runs go to the confirm queue. The CONFIRM function polls the runs until they have stopped. Runs "
    "that failed or timed out go to the dead-letter queue with the reason. Every outcome is a log line and a "
    "metric. A final outcome is also an event on the bus and in a notice."
)

STYLE: Final = f"""\
text {{ font: 12px ui-sans-serif, system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, sans-serif;
  fill: {MUTED}; }}
.title {{ font-size: 14px; font-weight: 600; fill: {TEXT}; }}
.sign {{ font-size: 20px; font-weight: 600; }}
.head {{ font-size: 11px; font-weight: 600; letter-spacing: 1.5px; }}
.middle {{ text-anchor: middle; }}
.arrow {{ fill: none; stroke-width: 1.8; }}
"""


@dataclass(frozen=True)
class Box:
    """A component, with a title and up to two lines of text."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str
    lines: Sequence[str] = ()
    sign: str = ""

    def svg(self) -> Iterator[str]:
        """Draw the box and its text."""
        colour = COLOURS[self.kind]
        place = f'x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="9"'
        yield f'<rect {place} fill="{colour}" fill-opacity=".13" stroke="{colour}" stroke-width="1.4"/>'
        if self.sign:
            yield _text((self.x + 18, self.y + self.height / 2 + 7), self.sign, "sign middle", colour)
        middle = self.x + self.width / 2 + (12 if self.sign else 0)
        top = self.y + self.height / 2 + 5 - 8 * len(self.lines)
        yield _text((middle, top), self.title, "title middle")
        for number, line in enumerate(self.lines, 1):
            yield _text((middle, top + 1 + 16 * number), line, "middle")


@dataclass(frozen=True)
class Arrow:
    """A line of horizontal and vertical segments through points, with an arrowhead."""

    kind: str
    points: Sequence[Point]
    dashed: bool = False

    def svg(self) -> Iterator[str]:
        """Draw the line with round corners."""
        dashes = ' stroke-dasharray="5 4"' if self.dashed else ""
        end = f'marker-end="url(#{_marker(self.kind)})"'
        yield f'<path class="arrow" stroke="{COLOURS[self.kind]}" d="{_path(self.points)}"{dashes} {end}/>'


@dataclass(frozen=True)
class Label:
    """Text beside an arrow. `x` is its centre in the style "middle", and its start in any other style."""

    x: float
    y: float
    text: str
    style: str = "middle"

    def svg(self) -> Iterator[str]:
        """Draw the text."""
        yield _text((self.x, self.y), self.text, self.style)


@dataclass(frozen=True)
class Frame:
    """A frame around a group of components."""

    x: float
    y: float
    width: float
    height: float

    def svg(self) -> Iterator[str]:
        """Draw the frame."""
        place = f'x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="14"'
        yield f'<rect {place} fill="#fff" fill-opacity=".03" stroke="{EDGE}" stroke-dasharray="2 4"/>'


FRAMES: Final = (Frame(556, 122, 204, 312),)

BOXES: Final = (
    Box(26, 66, 152, 54, "producer", "Schedules", ["and budget alerts"]),
    Box(26, 144, 152, 54, "producer", "Alarms", ["on Glue's metrics"]),
    Box(26, 222, 152, 66, "producer", "Direct senders", ["guardrail, scheduler,", "script, operator"]),
    Box(26, 312, 152, 54, "producer", "Events", ["from you, Glue, alarms"]),
    Box(26, 419, 152, 66, "producer", "Your rules", ["to a chat, a ticket,", "a report"]),
    Box(214, 66, 100, 54, "function", "SWEEP", ["policies"], "λ"),
    Box(214, 144, 100, 54, "entry", "Topic", ["SNS"]),
    Box(214, 312, 100, 54, "entry", "Event bus", ["and rules"]),
    Box(350, 144, 160, 66, "queue", "Stop queue", ["stop requests"], "≡"),
    Box(350, 352, 160, 66, "queue", "Confirm queue", ["submitted runs"], "≡"),
    Box(566, 144, 186, 66, "function", "STOP function", ["merges, batches, stops"], "λ"),
    Box(566, 352, 186, 66, "function", "CONFIRM function", ["polls until stopped"], "λ"),
    Box(610, 252, 142, 58, "dead letter", "Dead letters", ["with the reason"], "✕"),
    Box(880, 144, 94, 274, "glue", "AWS Glue", ["job runs"]),
    Box(350, 506, 146, 58, "output", "Outcome events", ["final outcomes only"]),
    Box(514, 506, 132, 58, "output", "Notices", ["e-mail, chat, ticket"]),
    Box(664, 506, 146, 58, "output", "Metrics", ["alarms, dashboard"]),
    Box(828, 506, 146, 58, "output", "Log", ["a line for each result"]),
)

ARROWS: Final = (
    Arrow("function", [(178, 93), (214, 93)]),
    Arrow("queue", [(314, 93), (336, 93), (336, 157), (350, 157)]),
    Arrow("entry", [(178, 171), (214, 171)]),
    Arrow("queue", [(314, 171), (350, 171)]),
    Arrow("queue", [(178, 255), (328, 255), (328, 185), (350, 185)]),
    Arrow("entry", [(178, 339), (214, 339)]),
    Arrow("queue", [(314, 339), (338, 339), (338, 199), (350, 199)]),
    Arrow("function", [(510, 177), (566, 177)]),
    Arrow("queue", [(640, 144), (640, 92), (426, 92), (426, 144)], dashed=True),
    Arrow("glue", [(752, 177), (880, 177)]),
    Arrow("queue", [(590, 210), (590, 281), (426, 281), (426, 352)]),
    Arrow("dead letter", [(681, 210), (681, 252)]),
    Arrow("dead letter", [(681, 352), (681, 310)]),
    Arrow("function", [(510, 385), (566, 385)]),
    Arrow("glue", [(752, 385), (880, 385)]),
    Arrow("queue", [(620, 418), (620, 452), (426, 452), (426, 418)], dashed=True),
    Arrow("output", [(659, 434), (659, 470), (423, 470), (423, 506)]),
    Arrow("output", [(659, 434), (659, 470), (580, 470), (580, 506)]),
    Arrow("output", [(659, 434), (659, 470), (737, 470), (737, 506)]),
    Arrow("output", [(659, 434), (659, 470), (901, 470), (901, 506)]),
    Arrow("entry", [(350, 535), (278, 535), (278, 366)]),
    Arrow("producer", [(250, 366), (250, 452), (178, 452)]),
)

LABELS: Final = (
    Label(253, 247, "stop request"),
    Label(533, 82, "retry, delayed: throttled, timed out, unknown state"),
    Label(822, 167, "BatchStopJobRun"),
    Label(822, 195, "25 runs per call"),
    Label(508, 271, "submitted"),
    Label(690, 235, "failed", ""),
    Label(690, 336, "timed out", ""),
    Label(822, 375, "GetJobRuns"),
    Label(822, 403, "a page per job"),
    Label(484, 444, "poll again"),
    Label(668, 460, "every outcome", ""),
)

HEADS: Final = (
    Label(26, 42, "PRODUCERS", "head"),
    Label(214, 42, "ENTRY POINTS", "head"),
    Label(350, 42, "QUEUES", "head"),
    Label(566, 42, "FUNCTIONS", "head"),
    Label(880, 42, "JOB RUNS", "head"),
)


def svg() -> str:
    """Return the picture as SVG."""
    return "\n".join([*_head(), *(line for shape in _shapes() for line in shape.svg()), "</svg>", ""])


def _shapes() -> Iterator[Frame | Arrow | Box | Label]:
    yield from FRAMES
    yield from ARROWS
    yield from BOXES
    yield from LABELS
    yield from HEADS


def _head() -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
        f' height="{HEIGHT}" role="img" aria-labelledby="title description">'
    )
    yield '<title id="title">How Gluebrake works</title>'
    yield f'<desc id="description">{escape(DESCRIPTION)}</desc>'
    yield f"<style>\n{STYLE}</style>"
    yield "<defs>"
    for kind, colour in COLOURS.items():
        yield (
            f'<marker id="{_marker(kind)}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
            f' markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
        )
    yield "</defs>"
    card = f'x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="16"'
    yield f'<rect {card} fill="{CARD}" stroke="{EDGE}"/>'


def _marker(kind: str) -> str:
    return f"to-{kind.replace(' ', '-')}"


def _text(point: Point, text: str, style: str, colour: str = "") -> str:
    fill = f' style="fill:{colour}"' if colour else ""
    return f'<text class="{style}" x="{point[0]:g}" y="{point[1]:g}"{fill}>{escape(text)}</text>'


def _path(points: Sequence[Point], radius: float = 10) -> str:
    """Return the path's `d` attribute, with rounded corners."""
    commands = [f"M{_at(points[0])}"]
    for (before, corner), (_, after) in pairwise(pairwise(points)):
        commands.append(
            f"L{_at(_towards(corner, before, radius))}Q{_at(corner)} {_at(_towards(corner, after, radius))}"
        )
    return "".join([*commands, f"L{_at(points[-1])}"])


def _towards(start: Point, end: Point, length: float) -> Point:
    """Return the point at a distance from the start, but at most half the way to the end."""
    (x0, y0), (x1, y1) = start, end
    # One of the terms is 0, because each segment is horizontal or vertical.
    distance = abs(x1 - x0) + abs(y1 - y0)
    share = min(length, distance / 2) / distance
    return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share


def _at(point: Point) -> str:
    return f"{point[0]:g} {point[1]:g}"
