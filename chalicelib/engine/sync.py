"""Brings what lies outside the code in step with it, once after each deploy.

That is Lambda's handling of our functions, the timetable, the cadence rules.

A bare `chalice deploy` is enough: the sweeper does this within a minute. Everything here may be done twice.
"""

from __future__ import annotations

from typing import Any

from chalicelib.engine.services import RUNTIME_FUNCTION, Services
from chalicelib.store.sync import note_synced, synced_digests

SWEEPER = "sweeper"


def sync(services: Services) -> list[str]:
    """What was out of step, by name."""
    from chalicelib.engine.timetable import sync_timetable

    done = []
    digests = synced_digests(services.table)
    for part, bring in (("functions", configure_functions), ("timetable", sync_timetable)):
        if digests.get(part) != services.catalog.digest:
            bring(services)
            note_synced(services.table, part, services.catalog.digest, digests.get(part, ""))
            done.append(part)
    return done


def configure_functions(services: Services) -> None:
    """No retries by Lambda itself (an attempt is ours to repeat), its report of a bad end to the sweeper, and no recursion guard: a
    run hands its slot to the next, so Lambda calls Lambda for as long as somebody waits."""
    if services.clients is None:
        return
    functions = services.clients("lambda")
    prefix = services.settings.function_prefix
    sweeper = functions.get_function_configuration(FunctionName=prefix + SWEEPER)["FunctionArn"]
    names = {task.function for task in services.catalog.tasks.values()} | {RUNTIME_FUNCTION}
    for name in sorted(names):
        _configure(functions, prefix + name, sweeper)


def _configure(functions: Any, name: str, sweeper: str) -> None:
    functions.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": sweeper}}
    )
    functions.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
