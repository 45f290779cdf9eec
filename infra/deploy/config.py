"""The stage's part of .chalice/config.json. With it a bare `chalice deploy --stage …` does the right thing, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chalicelib.engine.addresses import API_STAGE

from .stage import DeployError, Stage

ARCHITECTURES = ("arm64", "x86_64")


def config_path(project: Path) -> Path:
    return project / ".chalice" / "config.json"


def read_stage(project: Path, name: str) -> dict[str, Any]:
    """What the file says of a stage; nothing for one that it does not know. Raises DeployError."""
    config = _read(project)
    return dict(config.get("stages", {}).get(name, {}))


def write_stage(stage: Stage, variables: dict[str, str], architecture: str | None = None) -> bool:
    """Name the stage in the file, with its environment; what else somebody wrote there stays. False: nothing is new.

    A variable that somebody set to an address of his own (a custom domain) wins over one that was found out.
    """
    config = _read(stage.project)
    before = json.dumps(config)
    own = config.setdefault("stages", {}).setdefault(stage.name, {})
    if architecture:
        own["lambda_architecture"] = architecture
    own.setdefault("api_gateway_stage", API_STAGE)
    environment = own.setdefault("environment_variables", {})
    environment.update({key: value for key, value in variables.items() if not _is_custom(environment.get(key, ""))})
    if json.dumps(config) == before:
        return False
    path = config_path(stage.project)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return True


def forget_stage(project: Path, name: str) -> None:
    """Take from the file what only a deployed stage has: its environment. A stage that the project came with stays."""
    config = _read(project)
    if name in config.get("stages", {}):
        config["stages"][name].pop("environment_variables", None)
        if name != "dev":
            del config["stages"][name]
        config_path(project).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def stage_variables(stage: Stage, outputs: dict[str, str], api_stage: str = API_STAGE) -> dict[str, str]:
    """The environment of a stage's functions, from the outputs of its stack."""
    found = {
        "NIGHTSHIFT_STAGE": stage.name,
        "NIGHTSHIFT_TABLE": outputs.get("Table", ""),
        "NIGHTSHIFT_BUCKET": outputs.get("Bucket", ""),
        "NIGHTSHIFT_FUNCTION_PREFIX": stage.prefix,
        "NIGHTSHIFT_API_STAGE": api_stage,
        "NIGHTSHIFT_TOPIC_ARN": outputs.get("Topic", ""),
        "NIGHTSHIFT_DEAD_LETTERS_ARN": outputs.get("DeadLetters", ""),
    }
    return {key: value for key, value in found.items() if value}  # an older stack may lack some


def _is_custom(address: str) -> bool:
    return address.startswith(("https://", "wss://")) and ".execute-api." not in address


def _read(project: Path) -> dict[str, Any]:
    path = config_path(project)
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise DeployError(f".chalice/config.json is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise DeployError(".chalice/config.json is not a JSON object")
    return config
