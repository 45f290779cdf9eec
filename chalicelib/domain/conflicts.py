"""Where fires to come would need more slots than there are."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Slice:
    """A run to come: when it begins and usually ends (epoch ms), and its slots."""

    task_id: str
    begins: int
    ends: int
    slots: int


@dataclass
class Conflict:
    """A stretch of time in which runs of several tasks are at work at once. `over`: they need more than there is."""

    semaphore: str
    begins: int
    ends: int
    needed: int
    limit: int
    tasks: set[str] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether somebody will have to wait."""
        return self.needed > self.limit


def conflicts_of(semaphore: str, limit: int, slices: list[Slice], most: int = 1_000) -> list[Conflict]:
    """Maximal stretches in which at least two runs overlap, in order, with the most slots they need at any moment in it."""
    found: list[Conflict] = []
    running: list[tuple[int, int, str]] = []  # (ends, slots, task) of the runs at work, the first to end first
    open_stretch: Conflict | None = None
    for piece in sorted(slices, key=lambda s: s.begins):
        while running and running[0][0] <= piece.begins:
            ended, _slots, _task = heapq.heappop(running)
            if len(running) < 2 and open_stretch is not None:
                open_stretch.ends = ended
                open_stretch = None
        heapq.heappush(running, (piece.ends, piece.slots, piece.task_id))
        if len(running) < 2:
            continue
        if open_stretch is None:
            if len(found) == most:
                break
            open_stretch = Conflict(semaphore, piece.begins, piece.ends, 0, limit)
            found.append(open_stretch)
        open_stretch.tasks |= {task for _ends, _slots, task in running}
        open_stretch.needed = max(open_stretch.needed, sum(slots for _ends, slots, _task in running))
    if open_stretch is not None:
        open_stretch.ends = sorted(ends for ends, _slots, _task in running)[-2] if len(running) > 1 else open_stretch.ends
    return found
