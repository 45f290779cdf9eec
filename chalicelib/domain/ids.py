"""Run ids: ULIDs, so that they sort by the time they were made."""

from __future__ import annotations

import hashlib
import re

from ulid import ULID

_ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_SLUG = re.compile(r"[^A-Za-z0-9_]")


def new_run_id() -> str:
    """A fresh run id."""
    return str(ULID())


def run_id_of(instant_ms: int, *names: str) -> str:
    """The same id for the same instant and names, whoever makes it: that is how a fire becomes one run."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return str(ULID.from_bytes(instant_ms.to_bytes(6, "big") + digest[:10]))


def is_run_id(text: str) -> bool:
    """Whether a text could be a run id at all."""
    return _ULID.fullmatch(text) is not None


def slug(task_id: str) -> str:
    """A task id as a name that Lambda and Python accept."""
    return _SLUG.sub("_", task_id)


def first_run_id(instant_ms: int) -> str:
    """The least id that a run made at this instant can have."""
    return str(ULID.from_bytes(instant_ms.to_bytes(6, "big") + bytes(10)))


def instant_of(run_id: str) -> int:
    """When a run was made, in epoch ms."""
    return ULID.from_str(run_id).milliseconds
