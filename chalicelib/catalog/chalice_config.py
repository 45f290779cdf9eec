"""`.chalice/`: each function's size, place and policy from the catalog; all else in config.json as somebody wrote it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from chalicelib.catalog.checks import FUNCTION_PREFIX
from chalicelib.catalog.policies import policies_of, policy_name
from chalicelib.domain.model import LAMBDA_LIMIT_SECONDS, Catalog, CatalogTask

DEFAULT_TASK_TIMEOUT = 300.0
STAGE = "dev"
STAGE_NAME = re.compile(r"[a-z][a-z0-9]{0,10}")
POLICIES = "policies"
ARCHITECTURE = "x86_64"

# name -> (seconds, MB). `api_handler` is what Chalice calls the function of the REST API.
_OWN = {
    "api_handler": (30, 512),
    "websocket_connect": (30, 256),
    "websocket_message": (30, 256),
    "websocket_disconnect": (30, 256),
    "follow": (60, 256),
    "dispatcher": (60, 256),
    "sweeper": (120, 256),
    "task_runtime": (LAMBDA_LIMIT_SECONDS, 512),
}

# What a task's function has by its definition alone; anything else that stands in config.json is kept.
_FROM_TASKS = ("reserved_concurrency", "environment_variables", "subnet_ids", "security_group_ids", "tags")


def lambda_timeout(task_timeout: float) -> int:
    """Seconds for a task's function: its timeout and a minute to report, in whole minutes, as far as Lambda goes."""
    return min(LAMBDA_LIMIT_SECONDS, math.ceil((task_timeout + 60) / 60) * 60)


def functions_of(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Chalice's settings of every function, but for its policy."""
    found = {name: {"lambda_timeout": seconds, "lambda_memory_size": mb} for name, (seconds, mb) in _OWN.items()}
    default = float(catalog.settings.get("timeout", DEFAULT_TASK_TIMEOUT))
    for task in catalog.tasks.values():
        found[task.function] = _settings_of(task, default)
    return dict(sorted(found.items()))


def chalice_files(catalog: Catalog, folder: Path) -> dict[Path, str | None]:
    """Every file of `.chalice` as it should be, given the config.json that is there; None for one that should not be.

    Raises ValueError if that is no JSON object, or names a stage that cannot be.
    """
    path = folder / "config.json"
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not isinstance(config, dict):
        raise ValueError("is not a JSON object")
    fixed: dict[str, Any] = {"version": "2.0", "app_name": "nightshift", "automatic_layer": True, "autogen_policy": False}
    config = {**fixed, "lambda_architecture": ARCHITECTURE, **config}
    stages = config.setdefault("stages", {})
    stages.setdefault(STAGE, {"api_gateway_stage": "api"})
    files: dict[Path, str | None] = {}
    for name, stage in stages.items():
        if not STAGE_NAME.fullmatch(name):
            raise ValueError(f"the stage '{name}' is not a letter and up to ten small letters or digits: names are made of it")
        files |= _stage_files(catalog, folder / POLICIES / name, {**config, **stage}, name)
        own = {path.stem for path, text in files.items() if text is not None and path.parent.name == name}
        stage["lambda_functions"] = _functions(catalog, stage.get("lambda_functions", {}), name, own)
    return {path: _json(config), **files}


def _stage_files(catalog: Catalog, folder: Path, stage: dict[str, Any], name: str) -> dict[Path, str | None]:
    """The stage's policies; and those of tasks that are no more, to be removed."""
    policies = policies_of(catalog, name, stage)
    wanted = {folder / f"{policy}.json": _json(document) for policy, document in policies.items()}
    gone = [path for path in folder.glob("*.json") if path not in wanted]
    return {**wanted, **dict.fromkeys(gone)}


def _functions(catalog: Catalog, written: dict[str, Any], stage: str, policies: set[str]) -> dict[str, Any]:
    wanted = functions_of(catalog)
    for name, settings in wanted.items():
        settings["iam_policy_file"] = f"{POLICIES}/{stage}/{policy_name(name, policies)}.json"
    kept = {name: _kept(name, settings) for name, settings in written.items() if not _gone(name, wanted)}
    merged = {name: kept.get(name, {}) | wanted.get(name, {}) for name in sorted({*kept, *wanted})}
    return {name: dict(sorted(settings.items())) for name, settings in merged.items()}


def _settings_of(task: CatalogTask, default_timeout: float) -> dict[str, Any]:
    settings = {
        "lambda_timeout": lambda_timeout(task.timeout or default_timeout),
        "lambda_memory_size": task.memory,
        "reserved_concurrency": task.reserved_concurrency,
        "environment_variables": dict(sorted(task.environment.items())),
        "subnet_ids": task.subnet_ids,
        "security_group_ids": task.security_group_ids,
        "tags": {"nightshift-task": task.id},
    }
    return {name: value for name, value in settings.items() if value not in (None, [], {})}


def _kept(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    owned = _FROM_TASKS if name.startswith(FUNCTION_PREFIX) else ()
    return {key: value for key, value in settings.items() if key not in owned}


def _gone(name: str, wanted: dict[str, Any]) -> bool:
    """Whether it is the function of a task that is no more."""
    return name.startswith(FUNCTION_PREFIX) and name not in wanted


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
