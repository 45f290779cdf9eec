"""Login tokens (only their hashes are stored) and the secret that tickets are signed with."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from typing import Any

from chalicelib.store.table import ConditionFailed, Table

ID_LENGTH = 8


def token_owner(table: Table, token: str) -> str | None:
    """Whose token it is; None for one that is not ours."""
    item = table.get(("TOKEN", _hash(token)))
    return None if item is None else str(item["name"])


def put_token(table: Table, token: str, name: str, created_at: int) -> None:
    """Let a token in. `name` says whose it is."""
    table.put({"pk": "TOKEN", "sk": _hash(token), "name": name, "created_at": created_at})


def list_tokens(table: Table) -> list[dict[str, Any]]:
    """[{id, name, created_at}] of the tokens that let in, the oldest first. The id is the beginning of the hash."""
    items = table.query("pk = :pk", pk="TOKEN")
    found = [{"id": item["sk"][:ID_LENGTH], "name": item["name"], "created_at": item["created_at"]} for item in items]
    return sorted(found, key=lambda token: (token["created_at"], token["id"]))


def drop_tokens(table: Table, which: str) -> list[str]:
    """Let the tokens of that name, or the one of that id, in no more; the ids that went."""
    items = [item for item in table.query("pk = :pk", pk="TOKEN") if which in (item["name"], item["sk"][:ID_LENGTH])]
    for item in items:
        table.delete(("TOKEN", item["sk"]))
    return [item["sk"][:ID_LENGTH] for item in items]


def signing_secret(table: Table) -> str:
    """The secret of tickets, made when it is first needed."""
    key = ("SECRET", "tickets")
    item = table.get(key)
    if item is None:
        with contextlib.suppress(ConditionFailed):  # another process made it at the same moment
            table.put({"pk": key[0], "sk": key[1], "secret": secrets.token_urlsafe(32)}, "attribute_not_exists(pk)")
        item = table.get(key)
    assert item is not None
    return str(item["secret"])


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
