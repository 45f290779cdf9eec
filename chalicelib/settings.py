"""TASK_* variables and the `task:` block of the YAML become one frozen Settings. Read when asked for, never at import.

A TASK_* variable wins over the block. An unknown or malformed setting is an error that names it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chalicelib.domain.durations import seconds_of
from chalicelib.domain.errors import SettingsError
from chalicelib.domain.ratelimit import parse_rate

METRICS = ("none", "stage", "task")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _whole(value: Any) -> int:
    number = int(str(value))
    if number < 1:
        raise ValueError("a whole number above 0")
    return number


def _truth(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ValueError("true or false")


def _level(value: Any) -> str:
    if str(value).upper() not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)}")
    return str(value).upper()


def _pools(value: Any) -> dict[str, int]:
    """A mapping of the YAML, or `name=slots,name=slots` of a variable."""
    if isinstance(value, Mapping):
        pairs = [(str(name), slots) for name, slots in value.items()]
    else:
        split = [part.partition("=") for part in str(value).split(",") if part.strip()]
        pairs = [(name.strip(), slots.strip()) for name, _, slots in split]
    pools = {}
    for name, slots in pairs:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name) or isinstance(slots, bool):
            raise ValueError("names of letters, digits, _ . and -, each with its slots")
        try:
            pools[name] = _whole(slots)
        except ValueError:
            raise ValueError(f"{name} needs a whole number of slots above 0") from None
    return pools


def _rate(value: Any) -> str:
    """`10/minute`; nothing for no limit."""
    if value in (None, ""):
        return ""
    parse_rate(value)
    return str(value)


def _metrics(value: Any) -> str:
    if str(value) not in METRICS:
        raise ValueError(f"one of {', '.join(METRICS)}")
    return str(value)


def _tracing(value: Any) -> str:
    """`none`, `xray`, or where a collector takes OTLP over HTTP."""
    from urllib.parse import urlsplit

    text = str(value)
    if text in ("none", "xray"):
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("none, xray, or the address of an OTLP collector")
    return text.rstrip("/")


def _headers(value: Any) -> Mapping[str, str]:
    """A mapping of the YAML, or `name=value,name=value` of a variable."""
    if isinstance(value, Mapping):
        return {str(name): str(text) for name, text in value.items()}
    pairs = [part.partition("=") for part in str(value).split(",") if part.strip()]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise ValueError("names of headers, each with = and its value")
    return {name.strip(): text.strip() for name, _, text in pairs}


def _zone(value: Any) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(str(value))
    except (KeyError, ValueError, OSError):
        raise ValueError("an IANA zone like UTC or Europe/Berlin") from None
    return str(value)


# Setting -> (variable, parser, what would be right, what it is for)
SETTINGS: dict[str, tuple[str, Callable[[Any], Any], str, str]] = {
    "time_zone": ("TASK_TIME_ZONE", _zone, "UTC", "Zone of schedules that name none"),
    "max_concurrent_tasks": ("TASK_MAX_CONCURRENT", _whole, "100", "Slots over all tasks"),
    "timeout": ("TASK_TIMEOUT", seconds_of, "5m", "Longest run of a task that says nothing else"),
    "websocket_enabled": ("TASK_WEBSOCKET_ENABLED", _truth, "true", "Stream progress; false: clients poll"),
    "buffer_size": ("TASK_BUFFER_SIZE", _whole, "1000", "Events held in memory before a run waits for the table"),
    "log_level": ("TASK_LOG_LEVEL", _level, "INFO", "Least level of the functions' own logs"),
    "retention_days": ("TASK_RETENTION_DAYS", _whole, "30", "Days that finished runs are kept"),
    "rate_limit": ("TASK_RATE_LIMIT", _rate, "100/minute", "Most starts over all tasks; none when empty"),
    "pools": ("TASK_POOLS", _pools, "{db: 2, api: 5}, as a variable db=2,api=5", "Slots of each named pool"),
    "debug": ("TASK_DEBUG", _truth, "false", "Log everything, log_level notwithstanding"),
    "log_task_execution": ("TASK_LOG_TASK_EXECUTION", _truth, "false", "Log each start, step and end of a run"),
    "metrics": ("TASK_METRICS", _metrics, "none", "CloudWatch metrics of each run: none, of the stage, or of each task too"),
    "tracing": ("TASK_TRACING", _tracing, "none", "Send each run's trace: none, xray, or an OTLP collector's address"),
    "tracing_headers": ("TASK_TRACING_HEADERS", _headers, "x-api-key=${secret:collector}", "Headers for that collector"),
}


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Durations in seconds."""

    time_zone: str = "UTC"
    max_concurrent_tasks: int = 100
    timeout: float = 300.0
    websocket_enabled: bool = True
    buffer_size: int = 1000
    log_level: str = "INFO"
    retention_days: int = 30
    rate_limit: str = ""
    pools: Mapping[str, int] = field(default_factory=dict)
    debug: bool = False
    log_task_execution: bool = False
    metrics: str = "none"
    tracing: str = "none"
    tracing_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    # Where this deployment's parts are: from NIGHTSHIFT_* variables, not for people to set by hand.
    stage: str = "dev"
    table: str = "nightshift-dev"
    bucket: str = "nightshift-dev-files"
    function_prefix: str = "nightshift-dev-"
    api_url: str = ""
    websocket_url: str = ""
    connections_endpoint: str = ""
    topic_arn: str = ""
    dead_letters_arn: str = ""
    token: str = field(default="", repr=False)


_WIRING = (
    "stage",
    "table",
    "bucket",
    "function_prefix",
    "api_url",
    "websocket_url",
    "connections_endpoint",
    "topic_arn",
    "dead_letters_arn",
    "token",
)


def load_settings(block: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings out of the catalog's `task:` block and the environment. Raises SettingsError for each kind of mistake."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for key, raw in (block or {}).items():
        values[key] = _parsed(f"task.{key}", _known(key, f"task.{key}", SETTINGS), raw)
    variables = {variable: name for name, (variable, *_rest) in SETTINGS.items()}
    for variable, raw in environ.items():
        if variable.startswith("TASK_"):
            name = variables[_known(variable, variable, variables)]
            values[name] = _parsed(variable, name, raw)
    stage = environ.get("NIGHTSHIFT_STAGE", "dev")
    wiring: dict[str, Any] = {"stage": stage, "table": f"nightshift-{stage}", "bucket": f"nightshift-{stage}-files"}
    wiring["function_prefix"] = f"nightshift-{stage}-"
    for name in _WIRING:
        wiring[name] = environ.get(f"NIGHTSHIFT_{name.upper()}", wiring.get(name, ""))
    return Settings(**values, **wiring)


def _known(key: str, shown: str, known: Mapping[str, Any]) -> str:
    if key not in known:
        near = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
        raise SettingsError(f"{shown} is not a setting: {hint}")
    return key


def _parsed(shown: str, name: str, raw: Any) -> Any:
    _variable, parse, example, _purpose = SETTINGS[name]
    try:
        return parse(raw)
    except ValueError as error:
        raise SettingsError(f"{shown} is {raw!r}, which is not right: {error}; for example {example}") from None


assert {f.name for f in fields(Settings)} == set(SETTINGS) | set(_WIRING)
