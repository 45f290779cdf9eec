"""What a deploy would change: in the stack, of the functions, among the rules that wake the dispatcher."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chalicelib.catalog.chalice_config import functions_of
from chalicelib.domain.cadence import rules_for
from chalicelib.domain.model import Catalog, CatalogTask
from chalicelib.settings import load_settings

from .inventory import Inventory
from .stack import Change, StackPlan
from .stage import Stage

RULE, FUNCTION = "rule", "function"


@dataclass
class Plan:
    """Everything that would change; `code`: whether the deployed code or settings are not these."""

    stack: StackPlan
    changes: list[Change] = field(default_factory=list)
    code: bool = True

    @property
    def all(self) -> list[Change]:
        """In the order in which it happens."""
        return [*self.stack.changes, *self.changes]

    @property
    def is_empty(self) -> bool:
        """Whether a deploy would change nothing."""
        return not self.all and not self.code


def plan_deploy(stage: Stage, catalog: Catalog, tasks: list[CatalogTask], stack: StackPlan, found: Inventory, code: bool) -> Plan:
    """Compare what is there with what the catalog wants. `tasks`: those to be scheduled, with what was changed at run time."""
    changes = list(_functions(functions_of(catalog), found))
    wanted = rules_for(tasks, load_settings(catalog.settings, {}).time_zone)
    prefix = f"{stage.prefix}wake-"
    there = {name.removeprefix(prefix): text for name, text in found.rules.items() if name.startswith(prefix)}
    for name in sorted(wanted.keys() - there.keys()):
        changes.append(Change("add", prefix + name, RULE, wanted[name]))
    for name in sorted(there.keys() - wanted.keys()):
        changes.append(Change("remove", prefix + name, RULE, there[name]))
    for name in sorted(wanted.keys() & there.keys()):
        if wanted[name] != there[name]:
            changes.append(Change("change", prefix + name, RULE, f"{there[name]} -> {wanted[name]}"))
    complete = found.functions and found.rest_api and found.websocket_api
    return Plan(stack, changes, code or not complete or any(change.kind == FUNCTION for change in changes))


def _functions(wanted: dict[str, dict[str, Any]], found: Inventory) -> list[Change]:
    changes = []
    for name in sorted(wanted.keys() | found.functions.keys()):
        if name not in found.functions:
            changes.append(Change("add", name, FUNCTION, _size(wanted[name])))
        elif name not in wanted:
            changes.append(Change("remove", name, FUNCTION))
        else:
            there = {"lambda_timeout": found.functions[name]["Timeout"], "lambda_memory_size": found.functions[name]["MemorySize"]}
            if _size(there) != _size(wanted[name]):
                changes.append(Change("change", name, FUNCTION, f"{_size(there)} -> {_size(wanted[name])}"))
    return changes


def _size(function: dict[str, Any]) -> str:
    return f"{function['lambda_memory_size']} MB, {function['lambda_timeout']} s"
