"""Nightshift: scheduled and on-demand tasks with live progress on AWS Lambda.

`from chalicelib import File, Param, Run, task, processor` is all that a module under chalicelib/tasks/ needs. The names are
looked up when they are first used: a Lambda that needs none of them pays for none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chalicelib.catalog.decorators import File, Param, processor, task
    from chalicelib.client.programmatic import get_task_status, start_task, stop_task
    from chalicelib.domain.errors import StepError, TransientError
    from chalicelib.domain.handle import RunHandle as Run

__all__ = [
    "File",
    "Param",
    "Run",
    "StepError",
    "TransientError",
    "get_task_status",
    "processor",
    "start_task",
    "stop_task",
    "task",
]

_HOMES = {
    "File": "chalicelib.catalog.decorators",
    "Param": "chalicelib.catalog.decorators",
    "processor": "chalicelib.catalog.decorators",
    "task": "chalicelib.catalog.decorators",
    "Run": "chalicelib.domain.handle",
    "StepError": "chalicelib.domain.errors",
    "TransientError": "chalicelib.domain.errors",
    "start_task": "chalicelib.client.programmatic",
    "stop_task": "chalicelib.client.programmatic",
    "get_task_status": "chalicelib.client.programmatic",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"chalicelib has no {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), "RunHandle" if name == "Run" else name)
