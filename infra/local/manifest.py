"""What the stack knows of a project: its routes, functions, WebSocket handlers and schedules.

`describe` runs in a child of the fork server, where it may import app.py; the stack reads its result with `Manifest`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_TIMEOUT, DEFAULT_MEMORY = 60, 128  # Chalice's own defaults
SHARED = ("settings", "bootstrap", "domain", "catalog", "store", "engine", "processors", "api", "web")
WEBSOCKET_NAMES = {
    "$connect": "websocket_connect",
    "$default": "websocket_message",
    "$disconnect": "websocket_disconnect",
}


def describe() -> dict[str, Any]:
    """Import app.py and tell, in plain JSON, what Chalice would deploy."""
    module = __import__("app")
    app = module.app
    functions = [{"name": "api", "handler": "app.app"}]
    for function in app.pure_lambda_functions:
        functions.append({"name": function.name, "handler": function.handler_string})
    sockets = {}
    for key, handler in app.websocket_handlers.items():
        name = WEBSOCKET_NAMES.get(key, handler.name)
        functions.append({"name": name, "handler": handler.handler_string})
        sockets[key] = name
    schedules = []
    for source in app.event_sources:
        functions.append({"name": source.name, "handler": source.handler_string})
        expression = getattr(source, "schedule_expression", None)
        if expression is not None:
            text = expression if isinstance(expression, str) else expression.to_string()
            schedules.append({"function": source.name, "expression": text})
    routes = []
    for path, methods in app.routes.items():
        cors = next((entry.cors for entry in methods.values() if entry.cors is not None), None)
        routes.append(
            {
                "path": path,
                "methods": sorted(methods),
                "cors": None if cors is None else cors.get_access_control_headers(),
            }
        )
    return {
        "functions": functions,
        "websockets": sockets,
        "schedules": schedules,
        "routes": routes,
        "binary_types": list(app.api.binary_types),
        "modules": _modules(),
    }


def _modules() -> list[str]:
    """What functions may share: modules of Nightshift, which do nothing when they are imported.

    The user's own may build a client or look at the environment, which are another in each function.
    """
    import pkgutil

    import chalicelib

    names = [f"chalicelib.{name}" for name in SHARED]
    packages = pkgutil.walk_packages(chalicelib.__path__, "chalicelib.", onerror=lambda _: None)
    return [module.name for module in packages if module.name.startswith(tuple(names))]


@dataclass(frozen=True)
class Function:
    """One Lambda function. `name` is the full name; `short` the name in the project; times in seconds, memory in MB."""

    name: str
    short: str
    handler: str
    timeout: float = DEFAULT_TIMEOUT
    memory: int = DEFAULT_MEMORY
    env: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Route:
    """One resource path of the REST API with its methods; `cors` holds the headers to allow, or None."""

    path: str
    methods: tuple[str, ...]
    cors: dict[str, str] | None = field(default=None, hash=False)

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))


@dataclass(frozen=True)
class Manifest:
    functions: dict[str, Function]
    websockets: dict[str, str]
    schedules: tuple[tuple[str, str], ...]
    routes: tuple[Route, ...]
    binary_types: frozenset[str]

    @classmethod
    def read(cls, described: dict[str, Any], config: Path, prefix: str, stage: str, task_limit: float | None = None) -> Manifest:
        """From `describe`'s result and .chalice/config.json (which may not exist). `task_limit`: most seconds of a task."""
        settings = ChaliceConfig(config, stage)
        functions = {}
        for entry in described["functions"]:
            name = prefix + entry["name"]
            timeout = float(settings.get(entry["name"], "lambda_timeout", DEFAULT_TIMEOUT))
            if task_limit is not None and entry["name"].startswith("task_"):
                timeout = min(timeout, task_limit)
            functions[name] = Function(
                name,
                entry["name"],
                entry["handler"],
                timeout=timeout,
                memory=int(settings.get(entry["name"], "lambda_memory_size", DEFAULT_MEMORY)),
                env={k: str(v) for k, v in settings.env(entry["name"]).items()},
            )
        return cls(
            functions,
            {key: prefix + name for key, name in described["websockets"].items()},
            tuple((prefix + entry["function"], entry["expression"]) for entry in described["schedules"]),
            tuple(Route(r["path"], tuple(r["methods"]), r["cors"]) for r in described["routes"]),
            frozenset(described["binary_types"]),
        )


class ChaliceConfig:
    """Looks a setting up as Chalice does: the function's in the stage, the stage's, the project's."""

    def __init__(self, path: Path, stage: str) -> None:
        raw = json.loads(path.read_text()) if path.is_file() else {}
        stages = raw.get("stages", {})
        self.project = raw
        self.stage: dict[str, Any] = stages.get(stage) or next(iter(stages.values()), {})

    def _layers(self, function: str) -> list[dict[str, Any]]:
        alias = "api_handler" if function == "api" else function
        own = self.stage.get("lambda_functions", {})
        return [own.get(alias) or own.get(function) or {}, self.stage, self.project]

    def get(self, function: str, key: str, default: Any) -> Any:
        return next((layer[key] for layer in self._layers(function) if key in layer), default)

    def env(self, function: str) -> dict[str, Any]:
        """The function's variables, without those that say where a deployed stage has its table and doors."""
        merged: dict[str, Any] = {}
        for layer in reversed(self._layers(function)):
            merged.update(layer.get("environment_variables", {}))
        return {name: value for name, value in merged.items() if not name.startswith("NIGHTSHIFT_")}
