"""The stack as a model in virtual time: two queues, two functions, and a Glue with limits.

Invocations, calls and messages are events; a run is a number. What our code decides, it decides here too:
`Pace`, `Backoff` and the tables of `settling` and `onward` are the real ones.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final, NamedTuple

from benchmarks.account import Account
from benchmarks.assumptions import Setup
from benchmarks.mapping import Letter, Source
from benchmarks.producers import Request
from gluebrake import events, settling
from gluebrake.glue import NotStartedError, Pace
from gluebrake.model import MAX_RUNS_PER_CALL, Demand, Finding, JobRun, Outcome, Queue, RunFacts, Seen
from gluebrake.onward import ONWARD, Policy
from gluebrake.queues import MAX_ENTRIES

STOP_CALL: Final = "batch_stop_job_run"
PAGE_READ: Final = "get_job_runs"
RUN_READ: Final = "get_job_run"

DEAD: Final = frozenset(o for o, to in ONWARD.items() if to and to.queue is Queue.DEAD_LETTER)
FINAL: Final = DEAD | {o for o, to in ONWARD.items() if to is None}
"""The outcomes with which a demand ends."""

_THROTTLED: Final = "ThrottlingException"
_NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)

Process = Generator[float, None, None]
"""Yields the times at which it goes on."""
Shown = dict[int, tuple[Seen, str]]
"""By run: what Glue showed of it, and its state where that was read."""
Outcomes = dict[int, Outcome]


class Standing(NamedTuple):
    """What the messages of an invocation say of a run."""

    job: int
    attempt: int
    retried: bool
    submitted_at: float


class Call(NamedTuple):
    """A call to Glue about runs of one job."""

    operation: str
    job: int
    runs: tuple[int, ...]
    page: int = 0


class Post(NamedTuple):
    """A message to send, and its delay."""

    to: Queue
    job: int
    runs: tuple[int, ...]
    attempt: int
    submitted_at: float
    delay: int


class Worked(NamedTuple):
    """What an invocation found out, and what it sends."""

    runs: int
    counts: Counter[Outcome]
    posts: Sequence[Post]
    glue_calls: int


class Invoked(NamedTuple):
    """An invocation: when its code began, how long it took, what went in and what came out."""

    queue: Queue
    at: float
    seconds: float
    cold: bool
    letters: int
    received_bytes: int
    worked: Worked
    sent_bytes: int


class Depth(NamedTuple):
    """What waits at a time: messages on the stop queue, and runs that are neither submitted nor given up."""

    at: float
    messages: int
    runs: int


@dataclass(kw_only=True)
class Played:
    """What came of the requests."""

    requests: int
    seconds: float = 0.0
    """Until nothing happened any more."""
    waits: list[float] = field(default_factory=list)
    """By run, in the order of submission: from its first request until Glue took it."""
    outcomes: dict[Queue, Counter[Outcome]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    """By operation, each try of a call."""
    throttled: int = 0
    merged: int = 0
    """How often a message named a run that another of its invocation names."""
    invocations: list[Invoked] = field(default_factory=list)
    depths: list[Depth] = field(default_factory=list)

    @property
    def ended(self) -> Counter[Outcome]:
        """How often demands ended with each final outcome."""
        counts = sum(self.outcomes.values(), Counter[Outcome]())
        return Counter({outcome: number for outcome, number in counts.items() if outcome in FINAL})


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted values that is not below that share of them."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


@cache
def stop_outcome(seen: Seen, state: str, attempt: int, max_attempts: int, *, retried: bool) -> Outcome:
    """Look up the outcome in the real table."""
    return settling.settle_stops([_finding(seen, state, attempt, retried=retried)], max_attempts)[0].outcome


@cache
def look_outcome(seen: Seen, state: str, deadlines: int) -> Outcome:
    """Look up the outcome in the real table, for a run that was submitted so many deadlines and a half ago."""
    finding = _finding(seen, state, submitted_at=_NOON - timedelta(hours=deadlines, minutes=30))
    return settling.settle_looks([finding], 3600, _NOON)[0].outcome


def _finding(
    seen: Seen,
    state: str,
    attempt: int = 0,
    *,
    retried: bool = False,
    submitted_at: datetime | None = None,
) -> Finding:
    demand = Demand(
        run=JobRun("", ""),
        dry_run=False,
        attempt=attempt,
        retried=retried,
        submitted_at=submitted_at,
        reason="",
        requested_by="",
        sender="",
        message_ids=(),
    )
    code = _THROTTLED if seen is Seen.CALL_FAILED else ""
    return Finding(demand, seen, code, run=RunFacts("", state) if state else None)


def look_delay(policy: Policy, attempt: int, age: float, jitter: float) -> int:
    """Return the delay before a look, as `onward` has it: not far beyond the deadline."""
    delay, left = policy.look.seconds(attempt, jitter), math.ceil(policy.deadline_seconds - age)
    return min(delay, left + 1) if left > 0 else delay


@cache
def seconds_at_once(calls: int, workers: int, cpu: float, answer: float) -> float:
    """Return how long calls take that share one processor, `workers` of them at a time."""
    free, processor = [0.0] * workers, 0.0
    for _ in range(calls):
        processor = max(processor, heappop(free)) + cpu
        heappush(free, processor + answer)
    return max(free)


class Timeline:
    """Virtual time, and who goes on when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Process]] = []
        self._order = count()

    @property
    def is_idle(self) -> bool:
        """Whether nobody else goes on."""
        return not self._due

    def start(self, process: Process, at: float) -> None:
        """Let a process go on at a time."""
        heappush(self._due, (at, next(self._order), process))

    def run(self, after_each_moment: Callable[[], None], until: float) -> None:
        """Let time pass until nobody goes on any more, or until a time."""
        while self._due and self._due[0][0] <= until:
            self.now = self._due[0][0]
            while self._due and self._due[0][0] <= self.now:
                process = heappop(self._due)[2]
                if (at := next(process, None)) is not None:
                    self.start(process, at)
            after_each_moment()


class Simulation:
    """The model at work."""

    def __init__(self, setup: Setup, requests: Sequence[Request]) -> None:
        self._setup, self._requests, self._policy = setup, requests, setup.policy
        self._random = Random(setup.seed)  # noqa: S311 - nothing here is secret
        self._timeline = Timeline()
        self._account = Account(setup.aws, self._random)
        self._sources = {Queue.STOP: Source(setup), Queue.CONFIRM: Source(setup)}
        self._idle_since: dict[Queue, list[float]] = {queue: [] for queue in self._sources}
        self._wakes_at = dict.fromkeys(self._sources, 0.0)
        self._asked_at: dict[int, float] = {}
        self._given_up: set[int] = set()
        self._played = Played(requests=len(requests), outcomes={queue: Counter() for queue in self._sources})

    def play(self, until: float = math.inf) -> Played:
        """Let the requests come, and all happen that they lead to."""
        self._timeline.start(self._produce(), 0)
        self._timeline.start(self._sample(), 0)
        self._timeline.run(self._dispatch, until)
        return self._played

    def _produce(self) -> Process:
        stop_queue = self._sources[Queue.STOP]
        for at, job, run in self._requests:
            yield at
            if self._account.add(job, run):
                self._asked_at[run] = at
            stop_queue.put(Letter(at, at, job, (run,)))

    def _sample(self) -> Process:
        while not self._timeline.is_idle:
            runs = len(self._asked_at) - len(self._played.waits) - len(self._given_up)
            depth = Depth(self._timeline.now, len(self._sources[Queue.STOP]), runs)
            self._played.depths.append(depth)
            yield self._timeline.now + self._setup.sample_seconds

    def _dispatch(self) -> None:
        now = self._timeline.now
        for queue, source in self._sources.items():
            if source.is_empty:
                continue
            for batch in source.batches(now):
                self._timeline.start(self._invoke(queue, batch), now)
            if now < (ready_at := source.ready_at()) < math.inf and not now < self._wakes_at[queue] <= ready_at:
                self._wakes_at[queue] = ready_at
                self._timeline.start(_nothing(), ready_at)

    def _invoke(self, queue: Queue, letters: Sequence[Letter]) -> Process:
        aws, timeline = self._setup.aws, self._timeline
        cold = self._is_cold(queue)
        yield timeline.now + aws.dispatch_seconds + cold * aws.cold_seconds
        began = timeline.now
        worked = yield from self._work(
            queue, merged(letters), Pace(lambda: began + aws.timeout_seconds - timeline.now)
        )
        yield timeline.now + self._settling_seconds(worked)
        self._post(worked.posts)
        self._sources[queue].running -= 1
        self._idle_since[queue].append(timeline.now)
        self._played.seconds = timeline.now
        self._played.outcomes[queue].update(worked.counts)
        self._played.merged += sum(len(letter.runs) for letter in letters) - worked.runs
        self._played.invocations.append(
            Invoked(
                queue=queue,
                at=began,
                seconds=timeline.now - began,
                cold=cold,
                letters=len(letters),
                received_bytes=self._bytes(letters),
                worked=worked,
                sent_bytes=self._bytes(worked.posts),
            )
        )

    def _is_cold(self, queue: Queue) -> bool:
        """Take the environment that was used last, or a new one."""
        idle_since = self._idle_since[queue]
        return not idle_since or idle_since.pop() + self._setup.aws.kept_warm_seconds < self._timeline.now

    def _work(self, queue: Queue, standings: dict[int, Standing], pace: Pace) -> Generator[float, None, Worked]:
        timeline, cpu, began = self._timeline, self._setup.cpu, self._timeline.now
        yield began + cpu.per_invocation + cpu.per_run * len(standings) / 2
        pace.reserve(settling.seconds_to_settle(len(standings)))
        outcomes = yield from (self._stop if queue is Queue.STOP else self._look)(standings, pace)
        self._played.calls.update(pace.calls)
        self._played.throttled += pace.throttled
        now = began if queue is Queue.STOP else timeline.now
        posts = list(self._posts(standings, outcomes, now))
        if queue is Queue.STOP:
            self._given_up.update(run for run, outcome in outcomes.items() if outcome in DEAD)
        return Worked(len(standings), Counter(outcomes.values()), posts, pace.calls.total())

    def _stop(self, standings: dict[int, Standing], pace: Pace) -> Generator[float, None, Outcomes]:
        calls = list(stop_calls(standings))
        shown: Shown = {run: (Seen.NOT_CALLED, "") for call in calls for run in call.runs}
        yield from self._ask(calls, shown, pace)
        yield from self._look_into(standings, shown, pace)
        most = self._setup.config.max_attempts
        return {
            run: stop_outcome(*one, standings[run].attempt, most, retried=standings[run].retried)
            for run, one in shown.items()
        }

    def _look(self, standings: dict[int, Standing], pace: Pace) -> Generator[float, None, Outcomes]:
        shown: Shown = dict.fromkeys(standings, (Seen.IN_DOUBT, ""))
        yield from self._look_into(standings, shown, pace)
        now, deadline = self._timeline.now, self._policy.deadline_seconds
        return {
            run: look_outcome(*one, _deadlines_passed((now - standings[run].submitted_at) / deadline))
            for run, one in shown.items()
        }

    def _look_into(self, standings: dict[int, Standing], shown: Shown, pace: Pace) -> Process:
        """Read the states of runs in doubt: pages of a job while they show several, then run by run."""
        groups = list(
            _by_job({run: standings[run] for run, (seen, _) in shown.items() if seen is Seen.IN_DOUBT})
        )
        pages = [Call(PAGE_READ, job, runs) for job, runs in groups if len(runs) > 1]
        while pages:
            yield from self._ask(pages, shown, pace)
            pages = list(_next_pages(pages, shown))
        singles = [(job, run) for job, runs in sorted(groups, key=_is_group) for run in runs]
        unseen = [Call(RUN_READ, job, (run,)) for job, run in singles if shown[run][0] is Seen.IN_DOUBT]
        yield from self._ask(unseen, shown, pace)

    def _ask(self, calls: Iterable[Call], shown: Shown, pace: Pace) -> Process:
        """Make the calls, some at a time, as far as the pace lets them start; note what Glue shows."""
        waiting, busy, order = deque(calls), list[_Try](), count()
        processor = 0.0
        while waiting or busy:
            while waiting and len(busy) < self._setup.config.calls_at_once:
                call = waiting.popleft()
                if _starts(pace, call):
                    processor = max(processor, self._timeline.now) + self._setup.cpu.per_call
                    heappush(busy, self._tried(call, processor, 1, next(order)))
            if not busy:
                return
            one = heappop(busy)
            yield one.at
            if one.taken is None:
                processor = max(processor, self._timeline.now)
                heappush(busy, self._tried(one.call, processor, one.tries + 1, next(order)))
            elif one.taken or one.tries >= self._setup.aws.tries:
                self._hear(one, shown, pace)
            else:
                heappush(busy, one._replace(at=one.at + self._random.random(), taken=None))

    def _tried(self, call: Call, at: float, tries: int, order: int) -> _Try:
        taken = self._account.takes(call.operation, self._timeline.now)
        return _Try(at + self._setup.aws.glue_seconds, order, call, tries, taken)

    def _hear(self, one: _Try, shown: Shown, pace: Pace) -> None:
        answer = {"ResponseMetadata": {"RetryAttempts": one.tries - 1}}
        pace.heard(one.call.operation, answer, "" if one.taken else _THROTTLED)
        for run in one.call.runs:
            showed = self._shown(one.call, run) if one.taken else (Seen.CALL_FAILED, "")
            if showed[0] is not Seen.IN_DOUBT:
                del shown[run]  # what is known of a run stands in the order in which it became so
            shown[run] = showed

    def _shown(self, call: Call, run: int) -> tuple[Seen, str]:
        now = self._timeline.now
        if call.operation == STOP_CALL:
            if not self._account.stop(run, now):
                return Seen.IN_DOUBT, ""
            self._played.waits.append(now - self._asked_at[run])
            return Seen.SUBMITTED, ""
        if call.operation == PAGE_READ and self._account.page_of(call.job, run) != call.page:
            return Seen.IN_DOUBT, ""
        return Seen.STATE, self._account.state(run, now)

    def _posts(self, standings: dict[int, Standing], outcomes: Outcomes, now: float) -> Iterator[Post]:
        """Yield the messages that the outcomes lead to: one for all runs of which it says the same."""
        groups: dict[tuple[Queue, int, int, float], list[int]] = {}
        for run, outcome in outcomes.items():
            if (to := ONWARD[outcome]) and to.queue is not Queue.DEAD_LETTER:
                job, attempt, retried, submitted_at = standings[run]
                stage = (0, now) if to.step is None else (max(attempt + to.step, int(retried)), submitted_at)
                groups.setdefault((to.queue, job, *stage), []).append(run)
        for (queue, job, attempt, submitted_at), runs in groups.items():
            for start in range(0, len(runs), self._policy.ids_in_a_message):
                some = tuple(runs[start : start + self._policy.ids_in_a_message])
                delay = self._delay(queue, attempt, now - submitted_at)
                yield Post(queue, job, some, attempt, submitted_at, delay)

    def _delay(self, queue: Queue, attempt: int, age: float) -> int:
        jitter = self._random.random() if self._setup.jitter is None else self._setup.jitter
        if queue is Queue.STOP:
            return self._policy.retry.seconds(attempt, jitter)
        return look_delay(self._policy, attempt, age, jitter)

    def _settling_seconds(self, worked: Worked) -> float:
        """Return how long accounting and sending take, outcome events included."""
        setup = self._setup
        workers, cpu = setup.config.calls_at_once, setup.cpu.per_call
        sending = seconds_at_once(send_calls(worked), workers, cpu, setup.aws.sqs_seconds)
        puts = math.ceil(final_outcomes(worked) / events.MAX_ENTRIES) if setup.config.outcome_events else 0
        publishing = seconds_at_once(puts, workers, cpu, setup.aws.events_seconds)
        return setup.cpu.per_run * worked.runs / 2 + sending + publishing

    def _post(self, posts: Iterable[Post]) -> None:
        now = self._timeline.now
        for post in posts:
            letter = Letter(now + post.delay, now, post.job, post.runs, post.attempt, post.submitted_at)
            self._timeline.start(self._arrive(post.to, letter), letter.visible_at)

    def _arrive(self, to: Queue, letter: Letter) -> Process:
        self._sources[to].put(letter)
        yield from ()

    def _bytes(self, messages: Iterable[Letter | Post]) -> int:
        sizes = self._setup.sizes
        return sum(sizes.message + sizes.run_id * (len(message.runs) - 1) for message in messages)


class _Try(NamedTuple):
    """A try of a call: when it is answered; `taken` is None while botocore waits to try again."""

    at: float
    order: int
    call: Call
    tries: int
    taken: bool | None


def merged(letters: Iterable[Letter]) -> dict[int, Standing]:
    """Return what the messages say of each run, those of the earliest first."""
    standings: dict[int, Standing] = {}
    for letter in sorted(letters, key=lambda letter: letter.sent_at):
        said = Standing(letter.job, letter.attempt, letter.attempt > 0, letter.submitted_at)
        for run in letter.runs:
            known = standings.get(run)
            standings[run] = _both(known, said) if known else said
    return standings


def _both(one: Standing, other: Standing) -> Standing:
    return Standing(
        job=one.job,
        attempt=min(one.attempt, other.attempt),
        retried=one.retried or other.retried,
        submitted_at=min(one.submitted_at, other.submitted_at),
    )


def stop_calls(standings: dict[int, Standing]) -> Iterator[Call]:
    """Yield the fewest calls that stop the runs."""
    for job, runs in _by_job(standings):
        for start in range(0, len(runs), MAX_RUNS_PER_CALL):
            yield Call(STOP_CALL, job, runs[start : start + MAX_RUNS_PER_CALL])


def send_calls(worked: Worked) -> int:
    """Count the SendMessageBatch calls, those for dead letters included."""
    messages = Counter(post.to for post in worked.posts)
    messages[Queue.DEAD_LETTER] = sum(worked.counts[outcome] for outcome in DEAD)
    return sum(math.ceil(number / MAX_ENTRIES) for number in messages.values())


def final_outcomes(worked: Worked) -> int:
    """Count the demands that ended."""
    return sum(worked.counts[outcome] for outcome in FINAL)


def _by_job(standings: dict[int, Standing]) -> Iterator[tuple[int, tuple[int, ...]]]:
    by_job: dict[int, list[int]] = {}
    for run, standing in standings.items():
        by_job.setdefault(standing.job, []).append(run)
    yield from ((job, tuple(runs)) for job, runs in by_job.items())


def _next_pages(pages: Iterable[Call], shown: Shown) -> Iterator[Call]:
    for page in pages:
        unseen = tuple(run for run in page.runs if shown[run][0] is Seen.IN_DOUBT)
        if len(page.runs) - len(unseen) > 1 and len(unseen) > 1:
            yield Call(PAGE_READ, page.job, unseen, page.page + 1)


def _is_group(group: tuple[int, tuple[int, ...]]) -> bool:
    return len(group[1]) > 1


def _starts(pace: Pace, call: Call) -> bool:
    try:
        pace.start(call.operation)
    except NotStartedError:
        return False
    return True


def _deadlines_passed(age: float) -> int:
    """Return how many deadlines have passed after so many; the table knows none, one, and two."""
    return min(2, max(0, math.ceil(age) - 1))


def _nothing() -> Process:
    yield from ()
