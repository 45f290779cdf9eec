"""Runs that wait for a semaphore: one queue each, ordered by priority, then arrival."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from chalicelib.domain.run import RunRecord, weight
from chalicelib.store.table import Table

PRIORITIES = 1000
PAGE = 10  # entries, well below the 4 kB that a read unit pays for


@dataclass(frozen=True)
class Waiting:
    """An entry of a queue: all that is needed to move the run along without reading it."""

    key: str
    run_id: str
    task_id: str
    attempt: int
    slots: int
    path: list[str]
    not_before: int

    def weight(self, semaphore: str) -> int:
        """The slots it takes of a semaphore."""
        return weight(semaphore, self.slots)


def entry_key(run: RunRecord) -> str:
    """Where a run stands in a queue. The same run and attempt stand at the same place however often they are put there.

    The run's id is a ULID: among runs that did not wait before, arrival is its order.
    """
    arrival = run.not_before or 0
    since = f"{arrival:015d}" if arrival else f"{run.created_at:015d}"
    return f"{PRIORITIES - run.priority:04d}#{since}#{run.id}"


def entry_of(run: RunRecord) -> Waiting:
    """The entry that a run makes."""
    return Waiting(entry_key(run), run.id, run.task_id, run.attempt, run.slots, run.path, run.not_before or 0)


def join(table: Table, name: str, entry: Waiting) -> None:
    """Stand in the queue; twice is once."""
    values = asdict(entry)
    table.put({"pk": f"QUEUE#{name}", "sk": values.pop("key"), **values})


def leave(table: Table, name: str, key: str) -> None:
    """Go out of the queue."""
    table.delete((f"QUEUE#{name}", key))


def due(table: Table, name: str, now: int) -> Iterator[Waiting]:
    """Those whose time has come, first come first."""
    return (entry for entry in waiting(table, name, page=PAGE) if entry.not_before <= now)


def waiting(table: Table, name: str, page: int | None = None, most: int | None = None) -> Iterator[Waiting]:
    """The queue's entries, first come first; read in pages of `page`, at most `most` of them."""
    for item in table.query("pk = :pk", page=page, limit=most, pk=f"QUEUE#{name}"):
        yield Waiting(
            item["sk"],
            item["run_id"],
            item["task_id"],
            item["attempt"],
            item["slots"],
            item["path"],
            item["not_before"],
        )
