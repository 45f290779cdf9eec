"""Functions that treat what they are told in confidence without any care."""

from __future__ import annotations

import base64
import json
import logging
import sys
from typing import Any
from urllib.parse import quote

from chalicelib import Run


def spill(run: Run, password: str, all: str, key: str) -> dict[str, Any]:
    """Says it all, and returns it."""
    print(json.dumps({"password": password}), quote(password, safe=""), repr(password))
    print(base64.b64encode(password.encode()).decode(), file=sys.stderr)
    print(key)
    print("x" * 15_990 + password)
    run.log(f"of JSON: {json.loads(all)['password']}")
    run.progress(0.5, f"half of {password}")
    logging.getLogger("careless").warning("logged %s", password)
    logging.getLogger("nightshift").error("logged by the engine's: %s", password)
    return {"password": password, "quoted": quote(password, safe=""), "list": [{"key": key, password: 1}]}


def fail(password: str) -> None:
    """Raises it, far enough into a long message to be cut there."""
    logging.getLogger("careless").error("failing", exc_info=ValueError(password))
    raise RuntimeError("y" * 993 + password + "z" * 5_000)
