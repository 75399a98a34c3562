"""Run a function in its own process and kill it before or after a call."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial

from tests.support.fakes.exchange import Answer, Call, Ending, Json, Reply
from tests.support.function_environment import ROOT, environment_of
from tests.support.simulated_aws import Context, SimulatedAws


@dataclass
class Killer:
    """A fault that kills the function's process, before or after AWS performs the call."""

    after: bool
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    kills: int = 0

    @property
    def is_running(self) -> bool:
        """Whether a process of the function is running."""
        return bool(self.processes) and self.processes[-1].poll() is None

    def __call__(self, call: Call, answer: Answer) -> Reply:
        """Kill the process, so that it receives no answer."""
        reply = answer(call) if self.after else Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY)
        self.processes[-1].kill()
        self.kills += 1
        return reply


def _as_process(
    simulation: SimulatedAws, service: str, killer: Killer, event: Json, _context: Context
) -> Json | None:
    """Handle the event in a new process. Return None if it is killed."""
    command = [sys.executable, "-m", "tests.support.function_process", service]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment_of(simulation), cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe
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


def run_in_process(simulation: SimulatedAws, service: str, *, after: bool = False) -> Killer:
    """Run a function's next invocations as processes. Return a fault that kills them; it is not yet active."""
    killer = Killer(after)
    simulation.functions[service] = partial(_as_process, simulation, service, killer)
    return killer
