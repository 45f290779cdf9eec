"""Secrets by their name, from AWS Secrets Manager and the Parameter Store. They live in this process's memory alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from chalicelib.domain.errors import StepError

KEPT = 300.0  # seconds; a secret that was rotated is read anew after that
PARAMETER = "ssm:"


class Secrets:
    """Calling it with `name`, `name#key` (of a secret that is JSON) or `ssm:/path` gives the secret's text.

    Raises StepError for one that is missing or denied, TransientError where asking again may help; neither says a value.
    """

    def __init__(self, clients: Callable[[str], Any] | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients, self._clock = clients, clock
        self._kept: dict[str, tuple[str, float]] = {}

    def __call__(self, name: str) -> str:
        stored, _, key = name.partition("#")
        kept = self._kept.get(stored)
        if kept is None or self._clock() - kept[1] > KEPT:
            kept = self._kept[stored] = (self._read(stored), self._clock())
        return part_of(kept[0], key, stored) if key else kept[0]

    def _read(self, name: str) -> str:
        from chalicelib.processors.failures import said_plainly

        if self._clients is None:
            raise StepError(f"the secret '{name}' cannot be read: there is no AWS here")
        if name.startswith(PARAMETER):
            with said_plainly(f"the secret '{name}' cannot be read from the Parameter Store"):
                found = self._clients("ssm").get_parameter(Name=name.removeprefix(PARAMETER), WithDecryption=True)
            return str(found["Parameter"]["Value"])
        with said_plainly(f"the secret '{name}' cannot be read from Secrets Manager"):
            found = self._clients("secretsmanager").get_secret_value(SecretId=name)
        if "SecretString" in found:
            return str(found["SecretString"])
        try:
            return bytes(found["SecretBinary"]).decode()
        except UnicodeDecodeError:
            raise StepError(f"the secret '{name}' is binary and no text") from None


def part_of(text: str, key: str, name: str) -> str:
    """The value of one key of a secret that is a JSON object; what is no text as its JSON. Raises StepError."""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise StepError(f"the secret '{name}' is no JSON object, so it has no '{key}': refer to it as ${{secret:{name}}}")
    if key not in content:
        raise StepError(f"the secret '{name}' has no '{key}', but {', '.join(content) or 'nothing'}")
    value = content[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
