"""What survives a restart: table items, event rules and function settings in one SQLite file; S3 objects as files.

Writes are collected and committed a few times a second. A batch is read from the live tables in one go, so the file
always holds a state that the tables really had, also after kill -9.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item

from .tables import Key, SortedTable

BATCH_SECONDS = 0.15
SCHEMA = """
CREATE TABLE IF NOT EXISTS items (name TEXT, key TEXT, item TEXT, PRIMARY KEY (name, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""


class History:
    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        # a killed process loses nothing that the operating system has; only a power cut could cost the last seconds
        self.database.execute("PRAGMA synchronous=OFF")
        self.database.executescript(SCHEMA)
        self.dirty: dict[tuple[str, str], tuple[SortedTable, Key]] = {}
        self.changed: dict[str, Any] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.writer = ThreadPoolExecutor(1, "history")

    def touched(self, table: SortedTable, key: Key) -> None:
        """Note that the item may have changed; it is read when the batch is written."""
        self.dirty[table.name, _name(key)] = (table, key)
        self._plan()

    def set(self, name: str, value: Any) -> None:
        """Keep a small JSON value."""
        self.changed[name] = value
        self._plan()

    def get(self, name: str, default: Any = None) -> Any:
        row = self.database.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else default

    def load(self, table: SortedTable) -> int:
        """Put the kept items into an empty table and return how many. Items past their TTL stay behind."""
        expiry = table.ttl.get("AttributeName") if table.ttl.get("TimeToLiveStatus") == "ENABLED" else None
        now = time.time()
        dead: list[tuple[str, str]] = []
        count = 0
        for key_text, text in self.database.execute("SELECT key, item FROM items WHERE name = ?", (table.name,)):
            attributes = json.loads(text)
            if expiry and float(attributes.get(expiry, {}).get("N", "inf")) < now:
                dead.append((table.name, key_text))
                continue
            head = DynamoType(attributes[table.hash_key_attr])
            tail = DynamoType(attributes[table.range_key_attr]) if table.range_key_attr else None
            item = Item(head, tail, {})
            for name, value in attributes.items():
                dict.__setitem__(item.attrs, name, DynamoType(value))  # sizes were checked when it was written
            if tail is None:
                table.items[head] = item  # type: ignore[assignment]
            else:
                table.items[head][tail] = item
            count += 1
        self.database.executemany("DELETE FROM items WHERE name = ? AND key = ?", dead)
        table.reorder()
        return count

    def _plan(self) -> None:
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._flush_later)

    def _flush_later(self) -> None:
        self.timer = None
        self.writer.submit(self._write, *self._take())

    def _take(self) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
        put, gone = [], []
        for (name, key_text), (table, key) in self.dirty.items():
            item = table.find(key)
            if item is None:
                gone.append((name, key_text))
            else:
                put.append((name, key_text, json.dumps(item.attrs, default=_plain)))
        settings = [(name, json.dumps(value)) for name, value in self.changed.items()]
        self.dirty, self.changed = {}, {}
        return put, gone, settings

    def _write(self, put: list[tuple[str, str, str]], gone: list[tuple[str, str]], settings: list[tuple[str, str]]) -> None:
        database = self.database
        database.execute("BEGIN")
        database.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", put)
        database.executemany("DELETE FROM items WHERE name = ? AND key = ?", gone)
        database.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", settings)
        database.execute("COMMIT")

    def close(self) -> None:
        """Write what is left and close the file."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.writer.submit(self._write, *self._take())
        self.writer.shutdown(wait=True)
        self.database.close()


def _name(key: Key) -> str:
    return json.dumps([_plain(part) for part in key if part is not None])


def _plain(value: Any) -> Any:
    if isinstance(value, DynamoType):
        return {value.type: value.value}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
