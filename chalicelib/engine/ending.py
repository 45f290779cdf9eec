"""Ending a run: the same few steps for the runner, the stop button and the sweeper."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.clock import iso
from chalicelib.domain.durations import text_of
from chalicelib.domain.run import Event, RunRecord, Status
from chalicelib.engine.push import push_events
from chalicelib.engine.services import Services
from chalicelib.store.closing import Ending, FollowersChanged, close_run


def final_events(run: RunRecord, status: Status, at: int, events: list[Event], error: dict[str, Any] | None) -> list[Event]:
    """`events` (those that no chunk holds, in order) and the two that end every run: its last status, and `done`."""
    seq = events[-1]["seq"] if events else run.seq
    done: Event = {"seq": seq + 2, "at": iso(at), "type": "done", "status": status}
    if run.started_at is not None:
        done["duration"] = text_of((at - run.started_at) / 1000)
    if error:
        done["error"] = {k: error.get(k) for k in ("type", "message", "step")}
    last = {"seq": seq + 1, "at": iso(at), "type": "status", "status": status, "attempt": run.attempt}
    return [*events, last, done]


def close(services: Services, run: RunRecord, ending: Ending, closer: str) -> None:
    """Make the run terminal and tell its followers what they have not been sent: all with a seq above `run.seq`.

    Raises FenceLostError when somebody else ended it or took it over.
    """
    tell(services, run, ending, end(services, run, ending, closer))


def end(services: Services, run: RunRecord, ending: Ending, closer: str) -> frozenset[str]:
    """Make the run terminal; its followers, who have not been told. Raises FenceLostError."""
    followers, follows = run.followers, run.follows
    while True:
        try:
            close_run(services.table, run, follows, ending, closer, services.settings.retention_days)
            return followers
        except FollowersChanged as changed:
            followers, follows = changed.followers, changed.follows


def tell(services: Services, run: RunRecord, ending: Ending, followers: frozenset[str]) -> None:
    """Send followers the end of a run, all with a seq above `run.seq`; and tell whoever else wants to know of it."""
    push_events(services, run.id, sorted(followers), [e for e in ending.events if e["seq"] > run.seq])
    if ending.status == "failed":
        from chalicelib.engine.notify import tell_failure

        tell_failure(services, run, ending.error, ending.at)
    if services.settings.metrics != "none" or services.settings.tracing != "none":
        from chalicelib.engine.telemetry import report

        report(services, run.id)
