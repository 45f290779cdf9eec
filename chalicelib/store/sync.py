"""Which catalog the timetable, the cadence rules and the functions' configuration were made from."""

from __future__ import annotations

import uuid
from contextlib import suppress

from chalicelib.store.table import ConditionFailed, Table

PARTITION = "SYNC"


def synced_digests(table: Table) -> dict[str, str]:
    """The digest of the last sync of each part; another than the catalog's when one is wanted."""
    return {item["sk"]: item["digest"] for item in table.query("pk = :pk", pk=PARTITION)}


def note_synced(table: Table, part: str, digest: str, seen: str) -> None:
    """A sync of a part is done, unless somebody wants another since `seen` was read."""
    with suppress(ConditionFailed):
        table.put({"pk": PARTITION, "sk": part, "digest": digest}, "attribute_not_exists(pk) OR digest = :seen", seen=seen)


def want_sync(table: Table) -> None:
    """A task was changed at run time: the next sweep plans and makes the rules anew."""
    table.put({"pk": PARTITION, "sk": "timetable", "digest": f"wanted {uuid.uuid4().hex}"})
