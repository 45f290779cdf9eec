"""The only place that builds AWS clients, and wires them into store and engine. Once per process, when first asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from chalicelib.engine.services import Services
from chalicelib.settings import Settings, load_settings


@lru_cache(maxsize=1)
def services() -> Services:
    """This process's services, from its environment and the compiled catalog. Raises SettingsError, DefinitionErrors."""
    from chalicelib.catalog.load import load_catalog
    from chalicelib.store.table import Table

    catalog = load_catalog()
    settings = load_settings(catalog.settings)
    return Services(
        table=Table(client("dynamodb"), settings.table),
        catalog=catalog,
        settings=settings,
        invoke=_Invoke(settings),
        post=_Post(settings),
        s3=lambda: client("s3"),
        log=logger(settings),
        clients=client,
        now=_clock(),
    )


@lru_cache(maxsize=16)
def client(service: str, endpoint: str | None = None) -> Any:
    """A client of an AWS service, with waits that fit inside a Lambda."""
    import boto3
    from botocore.config import Config

    waits: dict[str, Any] = {"connect_timeout": 2, "read_timeout": 10, "retries": {"mode": "standard", "max_attempts": 4}}
    if service in ("apigatewaymanagementapi", "xray"):
        # A follower that cannot be reached at once sees a gap and asks again; a trace stays at its route. Better than waiting.
        waits = {"connect_timeout": 1, "read_timeout": 2, "retries": {"mode": "standard", "max_attempts": 1}}
    if service == "s3":
        waits |= {"s3": {"addressing_style": "path"}} if endpoint_is_local() else {}
        waits["signature_version"] = "s3v4"
    make: Any = boto3.client  # the name is not known before
    return make(service, endpoint_url=endpoint, config=Config(max_pool_connections=8, **waits))


def endpoint_is_local() -> bool:
    """Whether AWS is a stand-in on this machine, which has no bucket host names."""
    import os

    return "AWS_ENDPOINT_URL" in os.environ or "AWS_ENDPOINT_URL_S3" in os.environ


def logger(settings: Settings) -> Any:
    """Powertools' Logger: JSON lines, with the ids that `append_keys` gave it."""
    from aws_lambda_powertools.logging.logger import Logger

    return Logger(service="nightshift", level="DEBUG" if settings.debug else settings.log_level)


def _clock() -> Callable[[], int]:
    """The time. On the laptop NIGHTSHIFT_CLOCK_FILE may hold an offset in ms, which moves days within a test."""
    import os
    from pathlib import Path

    from chalicelib.domain.clock import now_ms

    named = os.environ.get("NIGHTSHIFT_CLOCK_FILE")
    if not named:
        return now_ms
    file = Path(named)
    return lambda: now_ms() + int(file.read_text() or 0)


class _Invoke:
    """Async invocations through Lambda."""

    def __init__(self, settings: Settings) -> None:
        self.prefix = settings.function_prefix

    def __call__(self, function: str, payload: dict[str, Any]) -> None:
        client("lambda").invoke(FunctionName=self.prefix + function, InvocationType="Event", Payload=json.dumps(payload).encode())


class _Post:
    """Messages to WebSocket connections through API Gateway."""

    def __init__(self, settings: Settings) -> None:
        self.endpoint = settings.connections_endpoint

    def __call__(self, connection: str, text: str) -> bool:
        api = client("apigatewaymanagementapi", self.endpoint)
        try:
            api.post_to_connection(ConnectionId=connection, Data=text.encode())
        except api.exceptions.GoneException:
            return False
        return True
