"""Tasks as they are now: the code's catalog, and over it what was changed at run time.

A change is in effect everywhere within CACHED_MS; the process that made it sees it at once.
"""

from __future__ import annotations

from typing import Any

from chalicelib.domain.errors import ChangedMeanwhileError, UnknownTaskError
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.retry import changed
from chalicelib.engine.services import RUNTIME_FUNCTION, Services
from chalicelib.store import definitions

CACHED_MS = 5_000
EVERYTHING = "*"  # the change that pauses all tasks
CHANGEABLE = (
    "enabled",
    "paused",
    "schedule",
    "every",
    "at",
    "time_zone",
    "start",
    "end",
    "except",
    "spread",
    "catch_up",
    "catch_up_limit",
    "overlap",
    "max_concurrent",
    "pool",
    "slots",
    "priority",
    "rate_limit",
    "timeout",
    "retry_count",
    "retry",
    "title",
    "description",
    "category",
    "tags",
    "icon",
    "danger",
    "expensive",
)


class Registry:
    """All tasks of one process's services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._changes: dict[str, tuple[dict[str, Any], int]] = {}
        self._read_at = 0

    def tasks(self) -> dict[str, CatalogTask]:
        """Every task that is not deleted, by id."""
        self._refresh()
        found = {}
        for task_id in [*self.services.catalog.tasks, *self._changes]:
            if task_id == EVERYTHING:
                continue
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

    def change(self, task_id: str, change: dict[str, Any] | None, seen: str | None = None) -> None:
        """Keep a change (`{"set": {…}}`, `{"deleted": true}`, `{"task": {…}}`), or forget all of a task's (None).

        `seen` is the ETag that the change was made on. Raises ChangedMeanwhileError when the task is another by now.
        """
        self._refresh(force=True)
        if seen is not None and seen != self.etag(task_id):
            raise ChangedMeanwhileError(f"'{task_id}' was changed meanwhile: read it again")
        version = self._changes.get(task_id, ({}, 0))[1]
        if not definitions.put_change(self.services.table, task_id, change or {}, version):
            raise ChangedMeanwhileError(f"'{task_id}' was changed at this very moment: read it again")
        self._refresh(force=True)

    def refresh(self) -> None:
        """Read what was changed now, rather than within seconds."""
        self._refresh(force=True)

    def etag(self, task_id: str) -> str:
        """What a task is, in a word: another catalog or another change gives another."""
        return f'"{self.services.catalog.digest[:12]}-{self._changes.get(task_id, ({}, 0))[1]}"'

    @property
    def version(self) -> str:
        """What all tasks are, in a word: it is another as soon as this process knows of any change."""
        changed = ",".join(f"{task_id}-{version}" for task_id, (_change, version) in sorted(self._changes.items()))
        return f"{self.services.catalog.digest}:{changed}"

    def changes_of(self, task_id: str) -> dict[str, Any]:
        """What was changed of a task at run time."""
        return self._changes.get(task_id, ({}, 0))[0]

    def paused(self, task: CatalogTask) -> bool:
        """Whether its fires are to be skipped just now: its own pause, or everybody's."""
        return task.paused or bool(self.changes_of(EVERYTHING).get("paused"))

    def pause_of_all(self) -> dict[str, Any] | None:
        """While every task is paused: `{by, at}`, as far as it is known who did it and when (epoch ms)."""
        change = self.changes_of(EVERYTHING)
        return {"by": change.get("by"), "at": change.get("at")} if change.get("paused") else None

    def _refresh(self, force: bool = False) -> None:
        now = self.services.now()
        if force or now - self._read_at > CACHED_MS:
            self._changes = definitions.list_changes(self.services.table)
            self._read_at = now

    def _current(self, task_id: str) -> CatalogTask | None:
        change = self.changes_of(task_id)
        known = self.services.catalog.tasks.get(task_id)
        if not change:
            return known
        if change.get("deleted"):
            return None
        if "task" in change:
            own = {"function": RUNTIME_FUNCTION, "source": "made at run time"}
            return CatalogTask.model_validate(change["task"] | own)
        return None if known is None else _with(known, change.get("set", {}))


def _with(task: CatalogTask, values: dict[str, Any]) -> CatalogTask:
    return CatalogTask.model_validate(changed(task.model_dump(by_alias=True), values)) if values else task
