"""The operator's command at a deployed Gluebrake, and every command line of docs/ops.md."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from gluebrake_cli.errors import PERMISSIONS
from local.aws import HOST, KEY, REGION
from local.emulator import ROOT
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually

TEXT = (ROOT / "docs" / "ops.md").read_text()
UNKNOWN = f"jr_{'0' * 64}"
WAITS_FOR_A_FILE = """\
import os, sys, time

while not os.path.exists(sys.argv[sys.argv.index("--until") + 1]):
    time.sleep(0.05)
"""


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """Return a job name of the test's own."""
    return re.sub(r"\W+", "-", str(request.node.name))


def _environ(deployment: Deployment, endpoint: str = "") -> dict[str, str]:
    return {
        **deployment.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": endpoint or deployment.aws.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": HOST,
        "COLUMNS": "300",
    }


def _ops(deployment: Deployment, *arguments: str, code: int = 0) -> Any:
    """Run the command and return what its JSON says."""
    command = [sys.executable, "-m", "ops", *arguments, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=_environ(deployment), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def _letters(deployment: Deployment, *arguments: str) -> list[dict[str, Any]]:
    return list(_ops(deployment, "dead-letters", *arguments)["letters"])


def _asking(job_name: str, *run_ids: str) -> str:
    return json.dumps({"JobName": job_name, "JobRunIds": run_ids})


def _allow(deployment: Deployment, *jobs: str) -> None:
    """Change what the STOP function may stop, as a deployment with another config does."""
    name = deployment.outputs["StopFunctionName"]
    configuration = deployment.aws.lambda_.get_function_configuration(FunctionName=name)
    variables = {**configuration["Environment"]["Variables"], "GLUEBRAKE_JOBS": json.dumps(jobs)}
    deployment.aws.lambda_.update_function_configuration(
        FunctionName=name, Environment={"Variables": variables}
    )


def _outcomes(deployment: Deployment, run_id: str) -> list[str]:
    lines = [*deployment.log("StopFunctionName"), *deployment.log("ConfirmFunctionName")]
    told = [json.loads(line) for line in lines if line.startswith("{") and run_id in line]
    return [line["outcome"] for line in told if "outcome" in line]


def test_stop_and_wait(deployment: Deployment, job: str) -> None:
    """Every active run of the job is followed to its end, and the exit code says that all stopped."""
    runs = deployment.start(job, 7)
    told = _ops(deployment, "stop", job, "--all-active", "--yes", "--wait", "--every", "0.2")
    assert {run["job_run_id"]: run["state"] for run in told["runs"]} == dict.fromkeys(runs, "STOPPED")
    assert told["all_stopped"] is True


def test_a_run_that_refuses_is_not_called_stopped(deployment: Deployment, job: str) -> None:
    """When a run does not stop in time, the wait ends with the outcome and exit code 1."""
    (run_id,) = deployment.start(job, arguments={"--refuse-to-stop": "true"})
    told = _ops(deployment, "stop", job, run_id, "--wait", "--every", "0.2", code=1)
    (run,) = told["runs"]
    assert (run["state"], run["outcome"], told["all_stopped"]) == ("STOPPING", "StopTimedOut", False)


def test_a_dry_run_stops_nothing(deployment: Deployment, job: str) -> None:
    """The function says what it would stop, and the runs go on."""
    (run_id,) = deployment.start(job)
    told = _ops(deployment, "stop", job, run_id, "--dry-run", "--wait", "--every", "0.2")
    assert [run["outcome"] for run in told["runs"]] == ["WouldStop"]
    assert deployment.state(job, run_id) == "RUNNING"


def test_mended_letters_come_back_and_no_others(deployment: Deployment, job: str, tmp_path: Path) -> None:
    """Letters of four reasons are listed; once a cause is mended, its letters alone come back and stop."""
    rejection = deployment.start(f"{job}-barred", 3)
    stubborn = _start_stubborn(deployment, f"{job}-stubborn", tmp_path / "end")
    _allow(deployment, f"{job}-stubborn", f"{job}-unknown")
    try:
        deployment.send(_asking(f"{job}-barred", *rejection))
        deployment.send(_asking(f"{job}-stubborn", stubborn))
        deployment.send(_asking(f"{job}-unknown", UNKNOWN))
        eventually(lambda: len(_letters(deployment, "--job", f"{job}-*")) == 5)
    finally:
        _allow(deployment, "*")
    deployment.send(f"stop {job}, please")
    spoilt = str(eventually(lambda: deployment.dead_letter(f"stop {job}"))["MessageId"])
    reasons = {one["reason"]: one["jobs"] for one in _ops(deployment, "dead-letters", "--by-reason")["reasons"]}
    assert reasons["NotAllowed"][f"{job}-barred"] == 3
    assert reasons["StopTimedOut"][f"{job}-stubborn"] == 1
    assert reasons["EntityNotFoundException"][f"{job}-unknown"] == 1
    assert _ops(deployment, "dead-letters", "show", spoilt)["reason"] == "InvalidRequest"

    told = _ops(deployment, "redrive", "--reason", "NotAllowed", "--job", f"{job}-*")
    assert len(told["done"]) == len(told["meant"]) == 3
    for run_id in rejection:
        eventually(lambda run_id=run_id: "Stopped" in _outcomes(deployment, run_id))  # type: ignore[misc]
    left = {letter["reason"] for letter in _letters(deployment, "--job", f"{job}-*")}
    assert left == {"StopTimedOut", "EntityNotFoundException"}

    told = _ops(deployment, "redrive", "--reason", "StopTimedOut", "--job", f"{job}-*")
    (tmp_path / "end").touch()
    assert len(told["done"]) == 1
    eventually(lambda: deployment.state(f"{job}-stubborn", stubborn) == "STOPPED")

    assert _ops(deployment, "drop", "--message-id", spoilt, "--yes")["done"] == [spoilt]
    assert len(_ops(deployment, "drop", "--job", f"{job}-unknown", "--yes")["done"]) == 1
    assert {letter["job_name"] for letter in _letters(deployment, "--job", f"{job}-*")} <= {f"{job}-stubborn"}


def _start_stubborn(deployment: Deployment, job_name: str, until: Path) -> str:
    """Start a run that stays STOPPING until a file is there."""
    deployment.start(job_name, 0)
    script = deployment.aws.glue.get_job(JobName=job_name)["Job"]["Command"]["ScriptLocation"]
    bucket = urlsplit(script).netloc
    deployment.aws.put_object(bucket, "until.py", WAITS_FOR_A_FILE.encode())
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{bucket}/until.py", "PythonVersion": "3.9"}
    deployment.aws.glue.update_job(JobName=job_name, JobUpdate={"Command": command})  # type: ignore[typeddict-item]
    arguments = {"--until": str(until), "--refuse-to-stop": "true"}
    return deployment.aws.glue.start_job_run(JobName=job_name, Arguments=arguments)["JobRunId"]


def test_killed_half_way_nothing_is_lost(deployment: Deployment, job: str) -> None:
    """Killed between sending and deleting, and repeated: every run is stopped, no letter is left or made."""
    runs = deployment.start(job, 12)
    queue = deployment.outputs["DeadLetterQueueUrl"]
    reason: Any = {"ERROR_CODE": {"DataType": "String", "StringValue": job}}
    for run_id in runs:
        deployment.aws.sqs.send_message(
            QueueUrl=queue, MessageBody=_asking(job, run_id), MessageAttributes=reason
        )
    with _Gate(deployment.aws.endpoint) as gate:
        command = [sys.executable, "-m", "ops", "redrive", "--reason", job]
        with subprocess.Popen(command, cwd=ROOT, env=_environ(deployment, gate.endpoint)) as process:
            gate.at("AmazonSQS.DeleteMessageBatch", 2, process.kill)
            process.wait()
    assert process.returncode == -signal.SIGKILL
    eventually(lambda: deployment.states(job) == {"STOPPED"})
    # The second batch stood on both queues; its letters are seen again when the dead command's hold is over.
    left = eventually(lambda: _letters(deployment, "--reason", job))
    assert len(left) == 2
    assert len(_ops(deployment, "redrive", "--reason", job)["done"]) == 2
    again = [run_id for letter in left for run_id in letter["job_run_ids"]]
    for run_id in again:
        eventually(lambda run_id=run_id: "AlreadyFinished" in _outcomes(deployment, run_id))  # type: ignore[misc]
    assert _letters(deployment, "--job", job) == []
    assert sorted(run_id for run_id in runs if "Stopped" in _outcomes(deployment, run_id)) == sorted(runs)


class _Gate:
    """Stands before the emulator and passes everything on, but for one call, at which it does something."""

    def __init__(self, endpoint: str) -> None:
        self._to = urlsplit(endpoint).netloc
        self._left: dict[str, int] = {}
        self._act: Callable[[], object] = lambda: None
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self.endpoint = f"http://{HOST}:{self._server.server_address[1]}"

    def at(self, target: str, number: int, act: Callable[[], object]) -> None:
        """Do something in place of one call of an operation, the first being number 1."""
        self._left, self._act = {target: number}, act

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            """Passes a request on."""

            def do_POST(self) -> None:
                """Pass it on, or do what is to be done in its place."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if gate.takes(self.headers.get("X-Amz-Target", "")):
                    self.close_connection = True
                    return
                status, headers, answer = gate.passed_on(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def takes(self, target: str) -> bool:
        """Return whether this call was the one, after having done what was to be done."""
        if target not in self._left:
            return False
        self._left[target] -= 1
        if self._left[target] == 0:
            self._act()
            return True
        return False

    def passed_on(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        """Have the emulator answer."""
        connection = http.client.HTTPConnection(self._to)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


def test_status_shows_the_deployment(deployment: Deployment, job: str) -> None:
    """Queues, mappings, config and the last outcome are read, and nothing is unknown."""
    (run_id,) = deployment.start(job)
    _ops(deployment, "stop", job, run_id, "--wait", "--every", "0.2")
    eventually(lambda: "Stopped" in _outcomes(deployment, run_id))
    letters = len(_letters(deployment))
    told = _ops(deployment, "status", "--outcomes", "50", code=1 if letters else 0)
    assert told["unknown"] == {}
    assert [queue["name"] for queue in told["queues"]] == ["stop", "confirm", "dead letters"]
    assert {mapping["state"] for mapping in told["mappings"]} == {"Enabled"}
    assert told["config"]["confirm_deadline_seconds"] == 2
    assert told["outcomes"][0]["outcome"]
    assert any(line.get("job_run_id") == run_id for line in told["outcomes"])


@pytest.mark.parametrize(
    ("changed", "code", "told"),
    [
        ({"GLUEBRAKE_STACK": "Other"}, 1, "no stack 'Other' in eu-central-2"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 1, "AWS cannot be reached"),
        ({"AWS_ENDPOINT_URL": "localhost"}, 1, "AWS_ENDPOINT_URL must be a URL"),
        ({"AWS_PROFILE": "nobody"}, 1, "no such profile"),
        ({"AWS_DEFAULT_REGION": ""}, 1, "no Region: give --region"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 1, "no AWS credentials"),
    ],
)
def test_an_error_is_one_line(
    deployment: Deployment, tmp_path: Path, changed: dict[str, str], code: int, told: str
) -> None:
    """Whatever keeps the command from AWS is told in one line, with the remedy."""
    env = {**_environ(deployment), "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", **changed}
    env = {name: value for name, value in env.items() if value and name != "AWS_REGION"}
    command = [sys.executable, "-m", "ops", "status"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("gluebrake: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def _lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.+?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def story(deployment: Deployment) -> Iterator[dict[str, str]]:
    """Have what the document's lines speak of: a run, and a dead letter for each."""
    (run_id,) = deployment.start_more("nightly-etl")
    sent = deployment.aws.sqs.send_message(
        QueueUrl=deployment.outputs["DeadLetterQueueUrl"], MessageBody="please"
    )
    yield {"RUN_ID": run_id, "MESSAGE_ID": sent["MessageId"]}
    _ops(deployment, "drop", "--message-id", sent["MessageId"], "--yes")


@pytest.mark.parametrize("line", _lines())
def test_each_command_line_of_the_document_works(
    deployment: Deployment, story: dict[str, str], line: str
) -> None:
    """As it stands; `status` says with its exit code that there is a dead letter."""
    done = subprocess.run(
        ["sh", "-ec", line],
        cwd=ROOT,
        env=_environ(deployment) | story,
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (1 if shlex.split(line)[3] == "status" else 0), done.stderr
    assert done.stdout


def test_the_documents_policy_is_what_the_command_calls() -> None:
    """It permits each operation that is called, and nothing else."""
    (policy,) = re.findall(r"^```json\n(.+?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    actions = [statement["Action"] for statement in json.loads(policy)["Statement"]]
    permitted = [one for some in actions for one in ([some] if isinstance(some, str) else some)]
    assert sorted(permitted) == sorted(PERMISSIONS.values())
