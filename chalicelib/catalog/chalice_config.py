"""`.chalice/config.json`: each function's memory and timeout from the catalog, all else as somebody wrote it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from chalicelib.catalog.checks import FUNCTION_PREFIX
from chalicelib.domain.model import LAMBDA_LIMIT_SECONDS, Catalog

DEFAULT_TASK_TIMEOUT = 300.0
STAGE = "dev"

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


def lambda_timeout(task_timeout: float) -> int:
    """Seconds for a task's function: its timeout and a minute to report, in whole minutes, as far as Lambda goes."""
    return min(LAMBDA_LIMIT_SECONDS, math.ceil((task_timeout + 60) / 60) * 60)


def functions_of(catalog: Catalog) -> dict[str, dict[str, int]]:
    """Chalice's settings of every function."""
    sizes = dict(_OWN)
    default = float(catalog.settings.get("timeout", DEFAULT_TASK_TIMEOUT))
    for task in catalog.tasks.values():
        sizes[task.function] = (lambda_timeout(task.timeout or default), task.memory)
    return {name: {"lambda_timeout": seconds, "lambda_memory_size": mb} for name, (seconds, mb) in sorted(sizes.items())}


def config_text(catalog: Catalog, path: Path) -> str:
    """The file as it should be, given what stands in it now. Raises ValueError if that is no JSON object."""
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not isinstance(config, dict):
        raise ValueError("is not a JSON object")
    fixed = {"version": "2.0", "app_name": "nightshift", "automatic_layer": True, "autogen_policy": True}
    config = {**fixed, **config}
    stages = config.setdefault("stages", {})
    stages.setdefault(STAGE, {"api_gateway_stage": "api"})
    for stage in stages.values():
        functions = stage.get("lambda_functions", {})
        wanted = functions_of(catalog)
        kept = {name: value for name, value in functions.items() if not _gone(name, wanted)}
        stage["lambda_functions"] = {name: kept.get(name, {}) | wanted.get(name, {}) for name in sorted({*kept, *wanted})}
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def _gone(name: str, wanted: dict[str, dict[str, int]]) -> bool:
    """Whether it is the function of a task that is no more."""
    return name.startswith(FUNCTION_PREFIX) and name not in wanted
