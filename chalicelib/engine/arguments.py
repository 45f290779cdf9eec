"""A run's arguments made ready for its code: files lie in the workspace, secrets are known to be hidden."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from chalicelib.domain.model import Parameter
from chalicelib.domain.run import RunRecord
from chalicelib.engine.services import Services

INPUTS = "inputs"


def ready_arguments(services: Services, parameters: list[Parameter], run: RunRecord, workspace: Path) -> dict[str, Any]:
    """The arguments, each file as `{name, path, size}`."""
    args = dict(run.args)
    for parameter in parameters:
        value = args.get(parameter.name)
        if parameter.type == "file" and isinstance(value, dict):
            folder = workspace / INPUTS / parameter.name
            folder.mkdir(parents=True, exist_ok=True)
            # The name is what somebody's browser said: its last part alone, never a path.
            path = folder / (Path(str(value.get("name", ""))).name or "file")
            if path.exists():
                pass  # it came with the workspace of the leg before, as the code left it
            elif "key" in value:
                services.s3().download_file(services.settings.bucket, value["key"], str(path))
            else:
                path.write_bytes(base64.b64decode(value["content_base64"]))
            args[parameter.name] = {"name": path.name, "path": str(path), "size": path.stat().st_size}
    return args


def secrets_of(parameters: list[Parameter], args: dict[str, Any]) -> list[str]:
    """The values that nobody may read in what the run says."""
    return [str(args[p.name]) for p in parameters if p.type == "secret" and args.get(p.name)]
