"""Rate limits of starts, per task and over all."""

from __future__ import annotations

from chalicelib.domain.errors import RateLimitedError
from chalicelib.domain.model import Task
from chalicelib.engine.services import Services
from chalicelib.store.rates import take


def check_rates(services: Services, task: Task, starter: str) -> None:
    """Count one start of a task, once per `starter`. A task without a limit costs no request. Raises RateLimitedError."""
    from chalicelib.domain.ratelimit import parse_rate

    for name, rate in ((f"task:{task.id}", task.rate_limit), ("all", services.settings.rate_limit)):
        if not rate:
            continue
        most, seconds = parse_rate(rate)
        wait = take(services.table, name, starter, most, seconds, services.now())
        if wait is not None:
            whose = f"task '{task.id}'" if name != "all" else "all tasks together"
            raise RateLimitedError(f"{whose} may start {rate}", wait)
