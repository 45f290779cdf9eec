"""The whole stack as a subprocess, for tests.

with LocalStack(project_dir, template=…, env={"TASK_TIMEOUT": "5s"}) as stack:
    httpx.get(stack.url + "/tasks/", headers=stack.auth)
    stack.worker_pids("task_backup")
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

from .options import REGION


class LocalStack:
    """Starts on a free port with a data directory of its own, which is removed at the end unless it was given.

    `options` are the command line's (`idle=5`, `workers=8`, `chaos=7`, `chaos_rate=["kill=0.2"]`, …); `env` is added to the
    environment (TASK_*). Raises RuntimeError with the output when it is not ready in time.
    """

    def __init__(
        self,
        project_dir: Path | str,
        *,
        data_dir: Path | str | None = None,
        template: Path | str | None = None,
        token: str = "test-token",
        port: int = 0,
        reload: bool = False,
        env: dict[str, str] | None = None,
        ready_seconds: float = 30.0,
        **options: Any,
    ) -> None:
        self.project_dir = Path(project_dir)
        self.token = token
        self.owns_data = data_dir is None
        self.data_dir = Path(data_dir or tempfile.mkdtemp(prefix="nightshift-stack-"))
        self.template, self.port, self.reload = template, port, reload
        self.env, self.ready_seconds, self.options = env or {}, ready_seconds, options
        self.process: subprocess.Popen[str] = None  # type: ignore[assignment]
        self.url = self.ws_url = ""
        self.started_in = 0.0

    # --- life ------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.output = self.data_dir / "console.log"
        command = [sys.executable, "-m", "infra.local", "--project", str(self.project_dir), "--port", str(self.port)]
        command += ["--token", self.token, "--data-dir", str(self.data_dir)]
        command += ["--template", str(self.template)] if self.template else []
        command += [] if self.reload else ["--no-reload"]
        for name, value in self.options.items():
            values = value if isinstance(value, list) else [value]
            command += [text for one in values for text in (f"--{name.replace('_', '-')}", str(one))]
        root = str(Path(__file__).resolve().parents[2])
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "NIGHTSHIFT_", "TASK_"))}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH", "")]))
        env |= self.env
        began = time.monotonic()
        with self.output.open("a") as output:
            self.process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT, text=True)
        self._await_ready(began + self.ready_seconds)
        self.started_in = time.monotonic() - began
        return self

    def _await_ready(self, deadline: float) -> None:
        while time.monotonic() < deadline and self.process.poll() is None:
            lines = [line for line in self.console().splitlines() if "  ready on http://" in line]
            if len(lines) > self.starts:
                self.starts = len(lines)
                self.url = lines[-1].split("ready on ")[1].split()[0]
                self.port = int(self.url.rpartition(":")[2])
                self.ws_url = "ws" + self.url.removeprefix("http")
                return
            time.sleep(0.02)
        text = self.console()
        self.kill()
        raise RuntimeError(f"the stack did not start:\n{text}")

    starts = 0

    def stop(self, seconds: float = 20.0) -> int:
        """SIGTERM and wait; the exit status. Kills it when it does not end in time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """kill -9 of the main process alone, as a crash would."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> Self:
        """Start again, after `stop` or `kill`, on the same port and data."""
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            if self.owns_data:
                shutil.rmtree(self.data_dir, ignore_errors=True)

    # --- asking ----------------------------------------------------------------------------------------------------

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def console(self) -> str:
        """Everything printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def log(self, function: str) -> str:
        """A function's log file ("" when there is none); short names will do."""
        found = sorted((self.data_dir / "logs").glob(f"*-{function}.log"))
        return found[0].read_text(errors="replace") if found else ""

    def ask(self, what: str, method: str = "GET") -> dict[str, Any]:
        """Call /_stack/{what}."""
        request = urllib.request.Request(f"{self.url}/_stack/{what}", method=method)
        request.add_header("x-stack-token", self.token)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def workers(self, function: str | None = None) -> list[dict[str, Any]]:
        """[{"function", "pid", "state", "busy", "since", "request_id", "served"}]"""
        return self.ask("workers" + (f"?function={function}" if function else ""))["workers"]

    def worker_pids(self, function: str | None = None) -> list[int]:
        return [worker["pid"] for worker in self.workers(function)]

    def marker(self) -> int:
        """Where the request log stands now, for `requests(since=…)`."""
        return self.ask("requests?list=0")["marker"]

    def requests(self, since: int = 0, function: str | None = None) -> dict[str, Any]:
        """{"marker", "total", "counts": {"dynamodb.GetItem": n}, "requests": [{"function", "service", …}]}"""
        return self.ask(f"requests?since={since}" + (f"&function={function}" if function else ""))

    def permissions(self) -> dict[str, Any]:
        """{"used": {policy: [[action, resource pattern], …]}, "refused": [[function, action, resource], …]} so far."""
        return self.ask("permissions")

    def tick(self, minute: str) -> int:
        """Let the clock fire what is due at the minute (ISO 8601, UTC); how many events went out."""
        return self.ask(f"tick?time={minute}", "POST")["fired"]

    def client(self, service: str, **kwargs: Any) -> Any:
        """A boto3 client on the stack."""
        import boto3

        given: dict[str, Any] = {"endpoint_url": self.url, "region_name": REGION}
        given |= {"aws_access_key_id": "AKIATESTTESTTESTTEST", "aws_secret_access_key": "test"}
        if service == "apigatewaymanagementapi":
            given["endpoint_url"] = f"{self.url}/_connections"
        make: Any = boto3.client
        return make(service, **(given | kwargs))

    def tree(self) -> list[int]:
        """Every process of the stack, from the fork server's point of view: main, fork server, workers."""
        status = self.ask("status")
        return [status["pid"], status["fork_server"], *self.worker_pids()]
