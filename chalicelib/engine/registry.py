"""Tasks as they are now: the code's catalog, and over it what was changed at run time.

A change is in effect everywhere within CACHED_MS; the process that made it sees it at once.
"""

from __future__ import annotations

from typing import Any

from chalicelib.domain.errors import UnknownTaskError
from chalicelib.domain.model import CatalogTask, Definition
from chalicelib.engine.services import RUNTIME_FUNCTION, Services
from chalicelib.store import definitions

CACHED_MS = 5_000
CHANGEABLE = ("enabled", "schedule", "time_zone", "timeout", "retry_count", "title", "description", "category", "tags")


class Registry:
    """All tasks of one process's services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._changes: dict[str, dict[str, Any]] = {}
        self._read_at = 0

    def tasks(self) -> dict[str, CatalogTask]:
        """Every task that is not deleted, by id."""
        self._refresh()
        found = {}
        for task_id in [*self.services.catalog.tasks, *self._changes]:
            task = self._current(task_id)
            if task is not None:
                found[task_id] = task
        return found

    def task(self, task_id: str) -> CatalogTask:
        """One task. Raises UnknownTaskError. One that this process does not know is asked of the table before that is said."""
        self._refresh()
        task = self._current(task_id)
        if task is None:
            self._refresh(force=True)
            task = self._current(task_id)
        if task is None:
            raise UnknownTaskError(task_id)
        return task

    def known(self, task_id: str) -> CatalogTask | None:
        """One task as this process knows it, asking nobody; the code's for one that is deleted."""
        return self._current(task_id) or self.services.catalog.tasks.get(task_id)

    def change(self, task_id: str, change: dict[str, Any] | None) -> None:
        """Keep a change (`{"set": {…}}`, `{"deleted": true}`, `{"task": {…}}`), or forget all of a task's (None)."""
        if change is None:
            definitions.forget_change(self.services.table, task_id)
        else:
            definitions.put_change(self.services.table, task_id, change)
        self._refresh(force=True)

    def changes_of(self, task_id: str) -> dict[str, Any]:
        """What was changed of a task at run time."""
        return self._changes.get(task_id, {})

    def _refresh(self, force: bool = False) -> None:
        now = self.services.now()
        if force or now - self._read_at > CACHED_MS:
            self._changes = definitions.list_changes(self.services.table)
            self._read_at = now

    def _current(self, task_id: str) -> CatalogTask | None:
        change = self._changes.get(task_id)
        known = self.services.catalog.tasks.get(task_id)
        if change is None:
            return known
        if change.get("deleted"):
            return None
        if "task" in change:
            own = {"function": RUNTIME_FUNCTION, "source": "made at run time"}
            return CatalogTask.model_validate(change["task"] | own)
        return None if known is None else _with(known, change.get("set", {}))


def _with(task: CatalogTask, values: dict[str, Any]) -> CatalogTask:
    return CatalogTask.model_validate(Definition.model_dump(task) | values) if values else task
