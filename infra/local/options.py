"""What the stack is told when it starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

REGION = "us-east-1"
ACCOUNT = "123456789012"


class StackError(Exception):
    """The stack cannot start or load the project; the message is one readable line (or a traceback for an app error)."""


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text) if text else None
    except ValueError:
        seconds = 0.0
    if seconds is not None and not seconds >= 1:
        raise StackError(f"NIGHTSHIFT_LAMBDA_LIMIT is {text!r}: give seconds, at least 1")
    return seconds


@dataclass
class Options:
    """Every knob of the stack.

    `before_load` runs before each (re)load of app.py: a callable (called in a thread of this process), or the text
    `module:function`, which is called in a fresh process where the project can be imported anew each time.
    An exception from it is printed and the code loaded before goes on serving.
    `on_ready(url)` is called once, when requests are answered.
    `lambda_limit` (or the variable NIGHTSHIFT_LAMBDA_LIMIT) is the most seconds that a task's function gets, instead of Lambda's
    900: a run that takes longer goes on in another invocation.
    `site` are the folders that functions import third-party packages from, instead of this interpreter's own: a layer, unpacked.
    `preload` are modules that every function's process has imported.
    `chaos_seed` turns misfortune on (chaos.py), `chaos_rates` changes how much of which.
    """

    project_dir: Path
    host: str = "127.0.0.1"
    port: int = 8400
    token: str | None = None
    data_dir: Path | None = None
    template: Path | None = None
    stage: str = "local"
    reload: bool = True
    max_workers: int = 64
    idle_seconds: float = 75.0
    drain_seconds: float = 10.0
    keep_warm: tuple[str, ...] = ("api",)
    preload: tuple[str, ...] = ()
    site: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    before_load: Callable[[], object] | str | None = None
    on_ready: Callable[[str], object] | None = None
    chaos_seed: int | None = None
    chaos_rates: Mapping[str, float] = field(default_factory=dict)
    lambda_limit: float | None = field(default_factory=lambda: _seconds(os.environ.get("NIGHTSHIFT_LAMBDA_LIMIT")))

    def __post_init__(self) -> None:
        self.project_dir = self.project_dir.resolve()
        self.data_dir = (self.data_dir or self.project_dir / ".nightshift").resolve()
        self.template = self.template or self.project_dir / "infra" / "resources.yaml"

    @property
    def data(self) -> Path:
        assert self.data_dir is not None
        return self.data_dir

    @property
    def url(self) -> str:
        """Base URL of the REST API, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    @property
    def prefix(self) -> str:
        """What every function's full name starts with."""
        return f"nightshift-{self.stage}-"

    def prepare(self) -> None:
        """Check the project, make the data directory, settle the token. Raises StackError."""
        if not (self.project_dir / "app.py").is_file():
            raise StackError(f"there is no app.py in {self.project_dir}")
        try:
            (self.data / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StackError(f"cannot write to {self.data}: {error.strerror}") from error
        if not self.token:
            self.token = self._kept_token()

    def _kept_token(self) -> str:
        """The same token after a restart, so that a browser stays logged in."""
        path = self.data / "token"
        if path.is_file() and (kept := path.read_text().strip()):
            return kept
        token = secrets.token_urlsafe(24)
        path.touch(mode=0o600)
        path.write_text(token)
        return token

    def function_env(self) -> dict[str, str]:
        """Environment that every function gets, besides what Lambda itself sets (see lambdas.py)."""
        websocket = f"ws://{self.host}:{self.port}"
        return {
            "NIGHTSHIFT_STAGE": self.stage,
            "NIGHTSHIFT_TABLE": f"nightshift-{self.stage}",
            "NIGHTSHIFT_BUCKET": f"nightshift-{self.stage}-files",
            "NIGHTSHIFT_FUNCTION_PREFIX": self.prefix,
            "NIGHTSHIFT_API_URL": self.url,
            "NIGHTSHIFT_WEBSOCKET_URL": f"{websocket}/ws/task",
            "NIGHTSHIFT_CONNECTIONS_ENDPOINT": f"{self.url}/_connections",
            "NIGHTSHIFT_TOKEN": self.token or "",
            "AWS_ENDPOINT_URL": self.url,
        }
