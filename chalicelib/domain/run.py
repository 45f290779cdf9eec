"""A run as it is stored, what it says, and which status may follow which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["scheduled", "queued", "running", "completed", "failed", "stopped"]
Trigger = Literal["schedule", "manual", "api", "dependency", "retry"]
COMMAND_AGENT = "nightshift-command"  # how the command names itself: what it starts, a person did
EventType = Literal["line", "progress", "step", "status", "done"]

ACTIVE: tuple[Status, ...] = ("scheduled", "queued", "running")
TERMINAL: tuple[Status, ...] = ("completed", "failed", "stopped")

# queued -> failed: its Lambda could not even begin. running -> queued: a later attempt.
TRANSITIONS: dict[Status, tuple[Status, ...]] = {
    "scheduled": ("queued", "stopped"),
    "queued": ("running", "failed", "stopped"),
    "running": ("completed", "failed", "stopped", "queued"),
    "completed": (),
    "failed": (),
    "stopped": (),
}

# One event: {"seq": n, "at": iso, "type": EventType, ...}
#   line      text, stream: stdout | stderr | log, level (of log), step (where several run at the same time)
#   progress  fraction, message
#   step      index, name, processor, depth, status: running | retrying | completed | failed | stopped | skipped, duration, error
#   status    status, attempt, reason
#   done      status, duration, error
Event = dict[str, Any]


def weight(semaphore: str, slots: int) -> int:
    """A run counts once for its own task's limit, however heavy it is for the pool and for all."""
    return 1 if semaphore.startswith("task:") else slots


@dataclass
class RunRecord:
    """One execution of a task. Instants are epoch milliseconds; None where it has not come to that."""

    id: str
    task_id: str
    status: Status
    trigger: Trigger
    created_at: int
    args: dict[str, Any] = field(default_factory=dict)
    attempt: int = 1
    leg: int = 1  # of the current attempt: which Lambda invocation of it is, or is to be, at work
    claimed_by: str | None = None  # the process at work; None while the attempt, or its next leg, waits for one
    claimed_as: str | None = None  # the message it was claimed with: `attempt.leg`
    carried: dict[str, Any] | None = None  # what the leg before left for this one (engine/legs.py)
    started_at: int | None = None
    finished_at: int | None = None
    lease_until: int | None = None
    timeout: float = 300.0
    retry_count: int = 0
    slots: int = 1
    priority: int = 0
    path: list[str] = field(default_factory=lambda: ["global"])  # the semaphores it acquires, in this order
    not_before: int | None = None
    touched_at: int = 0  # when anybody last moved it along: what the sweeper measures its grace from
    stop_requested: bool = False
    progress: dict[str, Any] | None = None  # {fraction, message}
    result: Any = None
    error: dict[str, Any] | None = None  # {type, message, step, traceback}
    steps: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)  # [{status, at, attempt}] every transition with its time
    attempts: list[dict[str, Any]] = field(default_factory=list)  # [{attempt, started_at, finished_at, status, error}]
    seq: int = 0  # of the last published event
    tail: list[Event] = field(default_factory=list)  # the published events that are in no chunk yet
    followers: frozenset[str] = frozenset()
    follows: int = 0  # how often somebody began to follow: tells whether `followers` is current
    retry_of: str | None = None
    started_by: str | None = None  # whose token it was, where a person or a program asked for it
    stopped_by: str | None = None
    caused_by: list[str] = field(default_factory=list)  # the runs whose success started it
    fire_at: int | None = None  # the fire that it is, or the instant it was asked for
    usage: dict[str, Any] | None = None
    artifacts: list[dict[str, Any]] = field(default_factory=list)  # [{name, path, bytes, content_type, sha256}]
    warnings: list[dict[str, Any]] = field(default_factory=list)  # [{step, message}]: what failed and was allowed to
    partial: bool = False  # it completed, but something failed that was allowed to

    @property
    def between_legs(self) -> bool:
        """Whether it runs but no process has taken its next leg yet."""
        return self.status == "running" and self.claimed_by is None

    def weight(self, semaphore: str) -> int:
        """The slots it takes of a semaphore."""
        return weight(semaphore, self.slots)

    @property
    def terminal(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in TERMINAL

    @property
    def duration(self) -> float | None:
        """Seconds from its first start to its end (None before either)."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at) / 1000
