"""The functions' handlers that are not HTTP: what each does with its event."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chalicelib.engine.services import Services


def run_message(services: Services, event: dict[str, Any], seconds_left: float) -> None:
    """A task's Lambda: `{run_id, attempt}`, and `leg` when it is not the first."""
    from chalicelib.engine.runner import run_task

    services.log.append_keys(run_id=event["run_id"])
    run_task(services, event["run_id"], event["attempt"], seconds_left, event.get("leg", 1))


def sweep_event(services: Services, event: dict[str, Any]) -> dict[str, Any]:
    """The sweeper's Lambda: the minute's sweep, or Lambda's report of an attempt whose process ended badly."""
    from chalicelib.engine.sweeper import attempt_crashed, sweep

    payload = event.get("requestPayload")
    if not payload:
        mended = sweep(services)
        if mended:
            services.log.warning("the sweep mended something", extra={"mended": dict(mended)})
        return dict(mended + _timetable(services))
    said = event.get("responsePayload") or {}
    message = str(said.get("errorMessage", "its process ended badly"))
    error = {"type": _kind(message, said), "message": message, "step": None, "traceback": "\n".join(said.get("stackTrace") or [])}
    done = attempt_crashed(services, payload["run_id"], payload["attempt"], error, payload.get("leg", 1))
    services.log.warning("an attempt crashed", extra={**payload, "error": message, "done": done})
    return {"done": done}


def _timetable(services: Services) -> Counter[str]:
    """What a lost wake-up, a deploy or a change at run time left to do."""
    from chalicelib.engine.dependents import start_all_due
    from chalicelib.engine.dispatcher import dispatch
    from chalicelib.engine.sync import sync

    done: Counter[str] = Counter(f"synced_{part}" for part in sync(services))
    done.update({f"fire_{outcome}": count for outcome, count in dispatch(services).items()})
    if any(task.depends_on for task in services.registry.tasks().values()):
        done["dependents_started"] = len(start_all_due(services))
    return +done


def _kind(message: str, said: dict[str, Any]) -> str:
    if "timed out" in message.lower():
        return "Timeout"
    if "signal: killed" in message or "Runtime exited" in message:
        return "Crashed"
    return str(said.get("errorType") or "Crashed")
