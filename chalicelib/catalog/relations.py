"""A task against its surroundings: the pools there are, their slots, and the tasks that it depends on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from chalicelib.catalog.faults import Fault, suggestion
from chalicelib.domain.model import Task


def check_relations(task: Task, tasks: Mapping[str, Task], pools: Mapping[str, int], slots: int) -> list[Fault]:
    """Every fault of a task among the others. `pools`: their slots by name; `slots`: those over all tasks.

    `tasks` are all others; the one of the same id, if it is among them, is what the task replaces.
    """
    faults = [*place_faults(task, {*tasks, task.id}, pools, slots)]
    after = {other.id: other.depends_on for other in tasks.values()} | {task.id: task.depends_on}
    if (cycle := cycle_through(task.id, after)) is not None:
        faults.append(cycle_fault(cycle))
    return faults


def place_faults(task: Task, known: Collection[str], pools: Mapping[str, int], slots: int) -> list[Fault]:
    """The faults that can be seen without knowing more of the other tasks than their ids."""
    faults = []
    most, whose = slots, "max_concurrent_tasks has"
    if task.pool is not None and task.pool not in pools:
        hint = suggestion(task.pool, pools) if pools else f"define it: task: {{pools: {{{task.pool}: 5}}}}"
        faults.append(Fault(("pool",), f"there is no pool '{task.pool}'", hint))
    elif task.pool is not None and pools[task.pool] < most:
        most, whose = pools[task.pool], f"pool '{task.pool}' has"
    if task.slots > most:
        faults.append(
            Fault(("slots",), f"is {task.slots}, more than the {most} that {whose}", f"take at most {most}, like slots: 1")
        )
    for index, other in enumerate(task.depends_on):
        if other not in known:
            hint = suggestion(other, set(known) - {task.id})
            faults.append(Fault(("depends_on", index), f"there is no task '{other}'", hint))
    return faults


def cycle_through(task_id: str, depends_on: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The shortest way from a task back to itself along what it depends on: `[a, b, a]`. None: there is none.

    That a task names itself is not told here.
    """
    came_from: dict[str, str] = {}
    row = [task_id]
    for here in row:
        for there in depends_on.get(here, ()):
            if there == task_id and here != task_id:
                way = [here]
                while way[-1] != task_id:
                    way.append(came_from[way[-1]])
                return [*reversed(way), task_id]
            if there not in came_from and there != task_id:
                came_from[there] = here
                row.append(there)
    return None


def cycle_fault(cycle: Sequence[str]) -> Fault:
    """`a -> b -> a` as a fault of its first task."""
    says = f"goes round in a circle: {' -> '.join(cycle)}; none of them would ever start"
    return Fault(("depends_on",), says, f"take '{cycle[1]}' out of it, like depends_on: []")
