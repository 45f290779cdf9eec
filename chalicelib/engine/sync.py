"""Brings what lies outside the code in step with it, once after each deploy.

That is Lambda's handling of our functions, how long their logs are kept, their own addresses, the timetable, the cadence rules.

`nightshift deploy` does it as its last step. A bare `chalice deploy` is enough: the sweeper does this within a minute. Everything
here may be done twice.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from chalicelib.engine.addresses import addresses_are_missing, complete_functions
from chalicelib.engine.services import RUNTIME_FUNCTION, Services
from chalicelib.store.sync import note_synced, synced_digests

API = ""  # the function of the REST API has no name but the prefix
SWEEPER = "sweeper"
OWN = ("dispatcher", "follow", SWEEPER)  # invoked asynchronously, and not reported to the sweeper
DOORS = (API, "websocket_connect", "websocket_message", "websocket_disconnect")
STORAGE = 512  # MB of /tmp that Lambda gives away
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""All retentions that CloudWatch knows."""


def sync(services: Services) -> list[str]:
    """What was out of step, by name."""
    from chalicelib.engine.timetable import sync_timetable

    done = []
    digests = synced_digests(services.table)
    wanted = services.catalog.digest + services.settings.websocket_url  # new APIs stand for functions that are new
    for part, bring in (("functions", configure_functions), ("timetable", sync_timetable)):
        if digests.get(part) != wanted:
            bring(services)
            note_synced(services.table, part, wanted, digests.get(part, ""))
            done.append(part)
    storage = storage_of(services)
    own_storage = "functions" in done and any(megabytes != STORAGE for megabytes in storage.values())
    if services.clients is not None and (own_storage or addresses_are_missing(services)):
        complete_functions(services, storage)
        done.append("addresses")
    return done


def storage_of(services: Services) -> dict[str, int]:
    """{full name of a function: MB of its /tmp}, for all functions."""
    prefix = services.settings.function_prefix
    wanted = {task.function: task.ephemeral_storage for task in services.catalog.tasks.values()}
    return {name: wanted.get(name.removeprefix(prefix), STORAGE) for name in function_names(services)}


def function_names(services: Services) -> list[str]:
    """The full names of all functions of this deployment."""
    prefix = services.settings.function_prefix
    return [full_name(prefix, name) for name in (*DOORS, *OWN, *_task_functions(services))]


def full_name(prefix: str, name: str) -> str:
    """A function's name as Lambda knows it."""
    return prefix + name if name else prefix.removesuffix("-")


def configure_functions(services: Services) -> None:
    """No retries by Lambda itself (an attempt is ours to repeat), its report of a bad end to the sweeper, and no recursion guard: a
    run hands its slot to the next, so Lambda calls Lambda for as long as somebody waits."""
    if services.clients is None:
        return
    functions = services.clients("lambda")
    prefix = services.settings.function_prefix
    sweeper = functions.get_function_configuration(FunctionName=prefix + SWEEPER)["FunctionArn"]
    for name in _task_functions(services):
        functions.put_function_event_invoke_config(
            FunctionName=prefix + name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": sweeper}}
        )
    queue = services.settings.dead_letters_arn
    if queue:
        for name in OWN:
            functions.put_function_event_invoke_config(
                FunctionName=prefix + name, MaximumRetryAttempts=2, DestinationConfig={"OnFailure": {"Destination": queue}}
            )
        keep_logs(services.clients("logs"), function_names(services), services.settings.retention_days)
    for name in (*_task_functions(services), SWEEPER):
        functions.put_function_recursion_config(FunctionName=prefix + name, RecursiveLoop="Allow")


def keep_logs(logs: Any, functions: list[str], days: int) -> None:
    """Let the functions' logs go after so many days, or the next more that CloudWatch knows. Its own default is never."""
    kept = next((known for known in LOG_DAYS if known >= days), LOG_DAYS[-1])
    for name in functions:
        group = f"/aws/lambda/{name}"
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        logs.put_retention_policy(logGroupName=group, retentionInDays=kept)


def _task_functions(services: Services) -> list[str]:
    return sorted({task.function for task in services.catalog.tasks.values()} | {RUNTIME_FUNCTION})
