"""A run's record as an item and back."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.domain.errors import NewerFormatError
from chalicelib.domain.run import RunRecord
from chalicelib.store.codec import pack, to_json, unpack

# Counted up by a release whose items older code would misread; newer code reads every older format.
FORMAT = 1
# What people say goes in as JSON text (see codec); small scalars as they are.
_JSON = ("args", "progress", "result", "error", "steps", "usage", "carried", "artifacts", "warnings")
# Only there when there is something to say. A run of one leg, as nearly all are, knows nothing of legs.
_LATER = ("leg", "claimed_by", "claimed_as", "partial", "started_by", "stopped_by")
_PLAIN = (
    "id",
    "task_id",
    "status",
    "trigger",
    "created_at",
    "attempt",
    "started_at",
    "finished_at",
    "lease_until",
    "timeout",
    "retry_count",
    "slots",
    "priority",
    "path",
    "not_before",
    "touched_at",
    "stop_requested",
    "seq",
    "retry_of",
    "fire_at",
)


FIRST_LEG, LATER_LEG = "attribute_not_exists(leg)", "leg = :leg"
UNCLAIMED = "attribute_not_exists(claimed_by)"


def leg_of(run: RunRecord) -> str:
    """The condition that the run's leg is still this one; and if nobody was at work on it, that nobody is."""
    leg = FIRST_LEG if run.leg == 1 else LATER_LEG
    return f"{leg} AND {UNCLAIMED}" if run.between_legs else leg


def run_key(run_id: str) -> tuple[str, str]:
    """Where a run lies."""
    return f"RUN#{run_id}", "RUN"


def run_item(run: RunRecord) -> dict[str, Any]:
    """The item of a run that is new."""
    item = {name: getattr(run, name) for name in _PLAIN}
    pk, sk = run_key(run.id)
    return item | {
        "pk": pk,
        "sk": sk,
        "listed": "runs",
        "args": to_json(run.args) if run.args else None,
        "tail": pack(run.tail),
        "history": [moment(h["at"], h["status"], h["attempt"]) for h in run.history],
        "attempts": [],
        "caused_by": run.caused_by or None,
        "started_by": run.started_by or None,
        "due": "due" if run.status == "scheduled" else None,
        "due_at": run.fire_at if run.status == "scheduled" else None,
        "follows": 0,
        "version": FORMAT,
    }


def run_of(item: dict[str, Any]) -> RunRecord:
    """The run of an item. Raises NewerFormatError for one that this code may misread."""
    if item.get("version", FORMAT) > FORMAT:
        raise NewerFormatError(
            f"run {item.get('id')} was written by a newer release (format {item['version']}, this reads {FORMAT})"
        )
    values: dict[str, Any] = {name: item[name] for name in (*_PLAIN, *_LATER) if name in item}
    values |= {name: json.loads(item[name]) for name in _JSON if name in item}
    values["tail"] = unpack(item.get("tail", b""))
    values["followers"] = item.get("followers", frozenset())
    values["caused_by"] = item.get("caused_by", [])
    values["follows"] = item.get("follows", 0)
    values["attempts"] = [json.loads(text) for text in item.get("attempts", [])]
    values["history"] = [_moment(text) for text in item.get("history", [])]
    return RunRecord(**values)


def moment(at: int, status: str, attempt: int) -> str:
    """A transition, short."""
    return f"{at} {status} {attempt}"


def _moment(text: str) -> dict[str, Any]:
    at, status, attempt = text.split()
    return {"at": int(at), "status": status, "attempt": int(attempt)}
