"""The `chalice` command: it makes functions, roles, layer, APIs, the sweeper's rule, and remembers them in .chalice/deployed/."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chalicelib.engine.addresses import API_STAGE

from .inventory import API_FUNCTION, LAYER, Inventory
from .stage import DeployError, Stage

COMMAND = [sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())"]
SWEEPER_RULE = "sweeper-event"
MOST_SHOWN = 30  # lines of a failed command


def chalice(stage: Stage, command: str, told: Callable[[str], None]) -> None:
    """Run `chalice deploy` or `chalice delete` for the stage, line by line. Raises DeployError with its last words."""
    last: deque[str] = deque(maxlen=MOST_SHOWN)
    for cache in (stage.project / "chalicelib").rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)  # chalice packs whatever lies there
    process = subprocess.Popen(
        [*COMMAND, command, "--stage", stage.name],
        cwd=stage.project,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip():
            last.append(line.rstrip())
            told(line.strip())
    if process.wait() != 0:
        raise DeployError(f"chalice {command} failed:\n" + "\n".join(last))


def remembered(stage: Stage) -> dict[str, dict[str, Any]]:
    """What chalice has deployed, by its own names; nothing where it remembers nothing."""
    path = _memory(stage)
    if not path.is_file():
        return {}
    return {resource["name"]: resource for resource in json.loads(path.read_text(encoding="utf-8"))["resources"]}


def remember(stage: Stage, found: Inventory) -> bool:
    """Write chalice's memory anew from what is in the account, where it is lost (another machine, a build server) or another's.

    Without it chalice would make a second pair of APIs, and leave the first. False: it was right.
    """
    resources = remembered(stage)
    known = {name: resources.get(name, {}).get(f"{name}_id", "") for name in ("rest_api", "websocket_api")}
    if resources and known == {"rest_api": found.rest_api, "websocket_api": found.websocket_api}:
        return False
    path = _memory(stage)
    if found.is_empty:
        path.unlink(missing_ok=True)
        return bool(resources)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"resources": list(_resources(stage, found)), "schema_version": "2.0", "backend": "api"}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return True


def forget(stage: Stage) -> None:
    """There is nothing to remember any more."""
    _memory(stage).unlink(missing_ok=True)


def fingerprint(stage: Stage) -> str:
    """Of all that decides on what `chalice deploy` makes: code, libraries, settings and policies, the interpreter."""
    digest = hashlib.sha256(f"{version('chalice')} {sys.version_info[:2]}".encode())
    config = json.loads((stage.project / ".chalice" / "config.json").read_text(encoding="utf-8"))
    stages = config.pop("stages", {})
    digest.update(json.dumps([config, stages.get(stage.name)], sort_keys=True).encode())
    for path in _deployed_files(stage):
        digest.update(f"\0{path.relative_to(stage.project)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _deployed_files(stage: Stage) -> Iterator[Path]:
    project = stage.project
    yield from (project / name for name in ("app.py", "requirements.txt") if (project / name).is_file())
    folders = [project / "chalicelib", project / "vendor", project / ".chalice" / "policies" / stage.name]
    files = (path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*")))
    yield from (path for path in files if path.is_file() and "__pycache__" not in path.parts)


def _memory(stage: Stage) -> Path:
    return stage.project / ".chalice" / "deployed" / f"{stage.name}.json"


def _resources(stage: Stage, found: Inventory) -> Iterator[dict[str, str]]:
    """As chalice writes them; what is older goes first, since it deletes in reverse."""
    lambdas = f"arn:{stage.partition}:lambda:{stage.region}:{stage.account}:function:"
    if found.layers:
        yield {"name": LAYER, "resource_type": "lambda_layer", "layer_version_arn": found.layers[0]}
    for role in found.roles:
        arn = f"arn:{stage.partition}:iam::{stage.account}:role/{role}"
        name = role.removeprefix(stage.prefix) + "_role"
        yield {"name": name, "resource_type": "iam_role", "role_arn": arn, "role_name": role}
    for name in found.functions:
        full = stage.app if name == API_FUNCTION else stage.prefix + name
        yield {"name": name, "resource_type": "lambda_function", "lambda_arn": lambdas + full}
    if stage.prefix + SWEEPER_RULE in found.rules:
        yield {"name": SWEEPER_RULE, "resource_type": "cloudwatch_event", "rule_name": stage.prefix + SWEEPER_RULE}
    host = f"execute-api.{stage.region}.amazonaws.com/{API_STAGE}/"
    if found.rest_api:
        yield {
            "name": "rest_api",
            "resource_type": "rest_api",
            "rest_api_id": found.rest_api,
            "rest_api_url": f"https://{found.rest_api}.{host}",
        }
    if found.websocket_api:
        yield {
            "name": "websocket_api",
            "resource_type": "websocket_api",
            "websocket_api_url": f"wss://{found.websocket_api}.{host}",
            "websocket_api_id": found.websocket_api,
        }
