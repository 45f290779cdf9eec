"""What the engine works with, handed to it by bootstrap.py (or a test)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.domain.clock import now_ms
from chalicelib.domain.model import Catalog, Task
from chalicelib.engine.secrets import Secrets
from chalicelib.settings import Settings
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from chalicelib.engine.registry import Registry

RUNTIME_FUNCTION = "task_runtime"  # runs tasks that were made at run time
GLOBAL = "global"  # the semaphore over all tasks


class Invoke(Protocol):
    """Sends an async invocation to one of our functions (name without prefix); raises what the SDK raises."""

    def __call__(self, function: str, payload: dict[str, Any]) -> None: ...


class Post(Protocol):
    """Sends text to a WebSocket connection. False: the connection is gone. Other failures raise."""

    def __call__(self, connection: str, text: str) -> bool: ...


@dataclass
class Services:
    """One process's table, catalog, settings and doors to the outside."""

    table: Table
    catalog: Catalog
    settings: Settings
    invoke: Invoke
    post: Post
    s3: Callable[[], Any]
    log: Any = field(default_factory=lambda: logging.getLogger("nightshift"))
    now: Callable[[], int] = now_ms
    sleep: Callable[[float], None] = time.sleep
    clients: Callable[[str], Any] | None = None  # AWS clients by service, for what changes the deployment itself
    registry: Registry = field(init=False)
    secrets: Secrets = field(init=False)

    def __post_init__(self) -> None:
        from chalicelib.engine.registry import Registry

        self.registry = Registry(self)
        self.secrets = Secrets(self.clients)

    def function_of(self, task_id: str) -> str:
        """The function that runs a task."""
        task = self.catalog.tasks.get(task_id)
        return task.function if task else RUNTIME_FUNCTION

    def limit_of(self, semaphore: str) -> int:
        """The slots that a semaphore has: `global`, `pool:{name}` or `task:{id}`."""
        kind, _, name = semaphore.partition(":")
        if kind == "pool":
            return self.settings.pools.get(name, self.settings.max_concurrent_tasks)
        if kind == "task":
            task = self.registry.known(name)
            return task.limit if task else 1
        return self.settings.max_concurrent_tasks

    def path_of(self, task: Task) -> list[str]:
        """The semaphores that a task's runs acquire, in this order."""
        path = [f"task:{task.id}"] if task.limited else []
        if task.pool:
            path.append(f"pool:{task.pool}")
        return [*path, GLOBAL]
