"""What a cadence rule wakes: gives free slots to the runs that wait. The timetable's fires are turned into runs here too."""

from __future__ import annotations

from chalicelib.engine.services import Services
from chalicelib.engine.slots import serve
from chalicelib.store.semaphores import read_semaphores


def dispatch(services: Services) -> int:
    """Serve every queue; how many semaphores there are."""
    semaphores = read_semaphores(services.table)
    for semaphore in semaphores:
        if semaphore.active < services.limit_of(semaphore.name):
            serve(services, semaphore.name)
    return len(semaphores)
