"""A function as a process of its own, that can be killed around its calls."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial

from tests.support.fakes.exchange import Answer, Call, Ending, Json, Reply
from tests.support.function_process import ROOT, environment_of
from tests.support.simulated_aws import Context, World


@dataclass
class Killer:
    """A fault that kills the function's process, before or after the call is worked."""

    after: bool
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    kills: int = 0

    @property
    def at_work(self) -> bool:
        """Whether a process of the function is running."""
        return bool(self.processes) and self.processes[-1].poll() is None

    def __call__(self, call: Call, answer: Answer) -> Reply:
        """Kill the process; it hears of no answer."""
        reply = answer(call) if self.after else Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY)
        self.processes[-1].kill()
        self.kills += 1
        return reply


def _as_process(world: World, service: str, killer: Killer, event: Json, _context: Context) -> Json | None:
    """Have a new process handle the event; None when it was killed."""
    command = [sys.executable, "-m", "tests.support.function_process", service]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment_of(world), cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        killer.processes.append(process)
        try:
            output, errors = process.communicate(json.dumps(event), timeout=60)
        finally:
            process.kill()
    if process.returncode == -signal.SIGKILL:
        sys.stdout.write(output)
        return None
    assert process.returncode == 0, errors
    printed, _, answer = output.rstrip("\n").rpartition("\n")
    sys.stdout.write(printed)
    return dict(json.loads(answer))


def in_a_process(world: World, service: str, *, after: bool = False) -> Killer:
    """Have a function's next invocations run as processes; the killer that is returned is not yet at work."""
    killer = Killer(after)
    world.functions[service] = partial(_as_process, world, service, killer)
    return killer
