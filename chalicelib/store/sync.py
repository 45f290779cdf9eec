"""Which catalog the timetable, the cadence rules and the functions' configuration were made from."""

from __future__ import annotations

from chalicelib.store.table import Table

PARTITION = "SYNC"


def synced_digests(table: Table) -> dict[str, str]:
    """The digest of the last sync of each part; empty when one is wanted."""
    return {item["sk"]: item["digest"] for item in table.query("pk = :pk", pk=PARTITION)}


def note_synced(table: Table, part: str, digest: str) -> None:
    """A sync of a part is done."""
    table.put({"pk": PARTITION, "sk": part, "digest": digest})


def want_sync(table: Table) -> None:
    """A task was changed at run time: the next sweep plans and makes the rules anew."""
    note_synced(table, "timetable", "")
