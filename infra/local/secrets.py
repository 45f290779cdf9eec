"""A developer's secrets: a YAML file beside the code, put into moto's Secrets Manager and Parameter Store.

db: {user: app, password: "…"}      # a secret that is JSON
smtp-password: "…"                  # one that is text
ssm:/app/key: "…"                   # a parameter
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .options import ACCOUNT, REGION

FILE = "secrets.yaml"
VARIABLE = "NIGHTSHIFT_SECRETS_FILE"
PARAMETER = "ssm:"


class SecretsFileError(Exception):
    """The file cannot be used; the message names it and no value."""


def secrets_file(project: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """NIGHTSHIFT_SECRETS_FILE, else secrets.yaml in the project."""
    return Path(environment.get(VARIABLE) or project / FILE)


def read_secrets(path: Path) -> dict[str, str]:
    """The secrets of a file, by name; none when there is no file. Raises SecretsFileError."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsFileError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise SecretsFileError(f"{path}{f':{mark.line + 1}' if mark else ''}: is not YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SecretsFileError(f"{path}: is a mapping of names to secrets, like db: {{user: app, password: …}}")
    return {str(name): value if isinstance(value, str) else json.dumps(value, default=str) for name, value in content.items()}


class LocalSecrets:
    """Keeps moto as the file is, whenever somebody is about to ask."""

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self.path = path
        self._complain = complain
        self._seen: tuple[int, int] | None = None

    def load(self) -> None:
        """Take up the file if it has changed. One that cannot be used is told, and what was there before goes on."""
        try:
            stat = self.path.stat()
            seen: tuple[int, int] | None = (stat.st_mtime_ns, stat.st_size)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        try:
            found = read_secrets(self.path)
        except SecretsFileError as error:
            self._complain(str(error))
            return
        for name, value in found.items():
            if name.startswith(PARAMETER):
                _put_parameter(name.removeprefix(PARAMETER), value)
            else:
                _put_secret(name, value)


def _put_secret(name: str, value: str) -> None:
    from moto.secretsmanager.models import secretsmanager_backends

    backend: Any = secretsmanager_backends[ACCOUNT][REGION]
    if name in backend.secrets:
        backend.put_secret_value(name, value, None, None, ["AWSCURRENT"])
    else:
        backend.create_secret(name, value, None, None, None, None, None, [], False)


def _put_parameter(name: str, value: str) -> None:
    from moto.ssm.models import ssm_backends

    backend: Any = ssm_backends[ACCOUNT][REGION]
    backend.put_parameter(name, "", value, "SecureString", None, None, True, [], "text", None, None)
