"""A run as a trace: spans for its waits, its attempts and their steps. Made from what the run's item holds: nothing else is kept.

A trace's id follows from its run's, so whoever sends it twice sends the same: the second in which the run was made, as X-Ray wants
it, and the last 96 bits of its ULID. A span's id follows from its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ulid import ULID

from chalicelib.domain.clock import parse_iso
from chalicelib.domain.ids import instant_of
from chalicelib.domain.run import RunRecord

Outcome = Literal["unset", "ok", "error"]
OUTCOMES: dict[str, Outcome] = {"completed": "ok", "failed": "error"}  # to be stopped is no error


@dataclass(frozen=True)
class Span:
    """Something that took time. Ids are hex, instants epoch ms; what is not over yet ends now."""

    id: str
    parent: str | None
    name: str
    start: int
    end: int
    outcome: Outcome = "unset"
    error: Mapping[str, Any] | None = None  # {type, message, traceback}
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    links: tuple[str, ...] = ()  # ids of runs that it comes from


def trace_id(run_id: str) -> str:
    """32 hex digits."""
    return f"{instant_of(run_id) // 1000:08x}{ULID.from_str(run_id).hex[-24:]}"


def clean(text: Any) -> str:
    """Text that others can read: half a character, as in the odd file name, becomes a question mark."""
    return str(text).encode("utf-8", "replace").decode()


def root_id(run_id: str) -> str:
    """The id of a run's outermost span."""
    return _id(run_id, "run")


def spans_of(run: RunRecord, now: int) -> list[Span]:
    """Parents before their children; the first is the run."""
    whole = Span(
        root_id(run.id),
        None,
        run.task_id,
        run.created_at,
        max(run.created_at, run.finished_at or now),
        OUTCOMES.get(run.status, "unset"),
        run.error,
        _known(
            {
                "nightshift.run.id": run.id,
                "nightshift.task.id": run.task_id,
                "nightshift.status": run.status,
                "nightshift.trigger": run.trigger,
                "nightshift.attempts": run.attempt,
                "nightshift.partial": run.partial or None,
                **{f"nightshift.usage.{name}": value for name, value in (run.usage or {}).items()},
            }
        ),
        tuple(filter(None, (run.retry_of, *run.caused_by))),
    )
    return [whole, *_waits(run, now), *_attempts(run, now), *_steps(run)]


def _waits(run: RunRecord, now: int) -> list[Span]:
    """Until a slot was there, and between attempts."""
    found = []
    for at, (moment, then) in enumerate(zip(run.history, [*run.history[1:], None], strict=True)):
        if moment["status"] in ("scheduled", "queued"):
            end = then["at"] if then else run.finished_at or now
            found.append(
                Span(_id(run.id, f"wait {at}"), root_id(run.id), str(moment["status"]), moment["at"], max(moment["at"], end))
            )
    return found


def _attempts(run: RunRecord, now: int) -> list[Span]:
    known = list(run.attempts)
    if run.status == "running" and run.started_at is not None:
        known.append({"attempt": run.attempt, "status": "running", "started_at": _running_since(run), "finished_at": None})
    found = []
    for record in known:
        if record.get("started_at") is None:
            continue
        about = {
            "nightshift.attempt": record["attempt"],
            "nightshift.status": record["status"],
            "nightshift.legs": record.get("legs"),
        }
        found.append(
            Span(
                _id(run.id, f"attempt {record['attempt']}"),
                root_id(run.id),
                f"attempt {record['attempt']}",
                record["started_at"],
                max(record["started_at"], record.get("finished_at") or now),
                OUTCOMES.get(record["status"], "unset"),
                record.get("error"),
                _known(about),
            )
        )
    return found


def _running_since(run: RunRecord) -> int:
    return int(next((m["at"] for m in reversed(run.history) if m["status"] == "running"), run.created_at))


def _steps(run: RunRecord) -> list[Span]:
    """Of the last attempt; those of the ones before are in their lines."""
    ids: dict[str, str] = {}
    found = []
    for step in run.steps:
        if not step.get("began") or step.get("seconds") is None:
            continue  # it was skipped
        name = str(step["name"])
        ids[name] = _id(run.id, f"step {run.attempt} {name}")
        around = next((ids[p] for p in _around(name) if p in ids), _id(run.id, f"attempt {run.attempt}"))
        start = parse_iso(step["began"])
        error = {"type": "StepFailed", "message": str(step["error"])} if step.get("error") else None
        about = {"nightshift.step": name, "nightshift.status": step["status"], "nightshift.processor": step.get("processor")}
        end = start + round(1000 * step["seconds"])
        found.append(
            Span(
                ids[name], around, name.rpartition("/")[2], start, end, OUTCOMES.get(step["status"], "unset"), error, _known(about)
            )
        )
    return found


def _around(name: str) -> list[str]:
    """The names that may be of the steps around one, the nearest first."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def _known(values: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in values.items() if isinstance(value, str | int | float | bool)}


def _id(run_id: str, place: str) -> str:
    return hashlib.sha256(f"{run_id} {place}".encode()).hexdigest()[:16]
