"""The processor `sql_load`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.bodies import reading
from chalicelib.processors.databases import DatabaseUrl, connected, reflected, said_by_database, shown_database
from chalicelib.processors.paths import Entry, Location, find, previous_path
from chalicelib.processors.row_files import SUFFIXES, converter, rows_in, table_of
from chalicelib.processors.rows import csv_line
from chalicelib.processors.sequences import Counters, set_counters
from chalicelib.processors.sql_dump import MANIFEST

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

_BATCH = 1000  # rows


@dataclass
class _Part:
    """One file and the table it goes into; `rows` is how many the dump says there are."""

    entry: Entry
    table: str
    rows: int | None = None
    columns: list[str] = field(default_factory=list)
    counters: Counters = field(default_factory=dict)


@processor("sql_load")
class SqlLoad(Processor):
    """Loads CSV or JSON lines into tables of a SQL database: all of it, or on any error nothing.

    It reads what `sql_dump` wrote, a folder or a single file NAME.csv, NAME.jsonl, packed with gzip or not. Without `source` it
    takes what the step before has made.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    url: DatabaseUrl = Field(description="SQLAlchemy URL of the database", examples=["sqlite:///restored.sqlite"])
    source: Location | None = Field(None, description="A folder of sql_dump, a file or a glob; default: the previous step's output")
    table: str | None = Field(None, description="The table of a single file; default: the file's name without its suffix")
    mode: Literal["append", "replace", "create"] = Field(
        "append", description="replace: empty the tables before; create: make the tables as they were when dumped"
    )
    db_schema: str | None = Field(None, alias="schema", description="The schema of the tables; default: the database's")
    timeout: Duration = Field(60.0, gt=0, description="Longest wait for the server")
    tls: Literal["verify", "off"] | None = Field(None, description="PostgreSQL: default verify, off on this very machine")
    trusted: Location | None = Field(None, description="PEM file of certificates to trust instead of the system's")

    def describe(self, run: RunHandle) -> str:
        """What it would do, in one sentence."""
        return f"loads {self.source or 'what the step before has made'} into {shown_database(self.url)} ({self.mode})"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: tables (rows loaded, by name), rows."""
        parts, ddl = self._parts(run)
        loaded: dict[str, int] = {}
        with connected(run, self.url, self.timeout, self.tls, self.trusted, write=True) as connection:
            for statement in ddl:
                connection.exec_driver_sql(statement)
            _, tables = reflected(connection, sorted({part.table for part in parts}), self.db_schema)
            if self.mode == "replace":
                for table in reversed(tables):
                    connection.execute(table.delete())
            order = {table.name: (number, table) for number, table in enumerate(tables)}
            for part in sorted(parts, key=lambda part: order[part.table][0]):
                run.progress(len(loaded) / len(parts), part.table)
                with said_by_database(f"loading {part.entry.name} into {part.table}"):
                    count = _loaded(connection, order[part.table][1], part, run)
                if part.rows is not None and count != part.rows:
                    raise StepError(f"{part.entry.name} holds {count} rows, {part.rows} were dumped: it is not the same file")
                loaded[part.table] = loaded.get(part.table, 0) + count
            if connection.dialect.name == "postgresql":
                noted = {} if self.mode == "append" else {part.table: part.counters for part in parts}
                for table in tables:
                    set_counters(connection, table, noted.get(table.name, {}))
        for name, count in loaded.items():
            run.log(f"{name}: {count} rows")
        run.progress(1.0)
        return {"tables": loaded, "rows": sum(loaded.values())}

    def _parts(self, run: RunHandle) -> tuple[list[_Part], list[str]]:
        text = self.source or previous_path(run)
        found = find(run, text)
        manifest = next((entry for entry in found.entries if entry.name == MANIFEST), None)
        ddl: list[str] = []
        if manifest is not None:
            noted = _noted(manifest)
            entries = {entry.name: entry for entry in found.entries}
            missing = [file["file"] for file in noted["files"] if file["file"] not in entries]
            if missing:
                raise StepError(f"'{text}' is not whole: {', '.join(missing)} is missing")
            parts = [
                _Part(entries[file["file"]], file["name"], file["rows"], file["columns"], file.get("counters", {}))
                for file in noted["files"]
            ]
            ddl = noted["ddl"]
        else:
            parts = [_Part(entry, table_of(entry)) for entry in found.entries if entry.name.endswith(SUFFIXES)]
        if not parts:
            raise StepError(f"'{text}' holds no file named NAME.csv or NAME.jsonl (.gz)")
        if self.table:
            if len(parts) != 1:
                raise StepError(f"table: '{text}' is {len(parts)} files, which go into the tables of their names: leave it out")
            parts[0].table = self.table
        if self.mode == "create" and not ddl:
            raise StepError(f"mode create: '{text}' does not say how the tables were made: make them, and say mode: append")
        return parts, ddl if self.mode == "create" else []


def _noted(manifest: Entry) -> dict[str, Any]:
    """What sql_dump has noted. StepError for a file of that name that is another one's."""
    with reading(manifest) as stream:
        content = stream.read()
    try:
        noted = dict(json.loads(content))
        if {"files", "ddl"} <= noted.keys():
            return noted
    except (ValueError, TypeError):
        pass
    raise StepError(f"{manifest.path} is not of sql_dump: name the files alone, like ./in/*.csv")


def _loaded(connection: Connection, table: Table, part: _Part, run: RunHandle) -> int:
    """How many rows went in."""
    columns, rows = rows_in(part.entry, part.columns)
    known = {column.name for column in table.columns if column.computed is None}
    strange = [name for name in columns if name not in known]
    if strange:
        raise StepError(f"{part.entry.name}: the table {table.name} has no column {', '.join(strange)}")
    if not columns:  # a file without a line
        return 0
    exact = connection.engine.driver == "pg8000"
    converts = [converter(table.columns[name].type, part.entry, dumped=part.rows is not None, exact_text=exact) for name in columns]
    valued = ([convert(value) for convert, value in zip(converts, row, strict=True)] for row in rows)
    counted = _Counted(valued, run)
    if exact:
        quote = connection.dialect.identifier_preparer
        names = ", ".join(quote.quote(name) for name in columns)
        statement = f"COPY {quote.format_table(table)} ({names}) FROM STDIN WITH (FORMAT csv)"
        cursor: Any = connection.connection.cursor()
        cursor.execute(statement, stream=(csv_line(row).encode() for row in counted))
        cursor.close()
        return counted.count
    from sqlalchemy import column  # what was read goes to the driver as it is
    from sqlalchemy import table as untyped

    insert = untyped(table.name, *map(column, columns), schema=table.schema).insert()
    source = iter(counted)
    while batch := list(islice(source, _BATCH)):
        connection.execute(insert, [dict(zip(columns, row, strict=True)) for row in batch])
    return counted.count


class _Counted:
    """Rows on their way; the stop is heard between them."""

    def __init__(self, rows: Iterable[list[Any]], run: RunHandle) -> None:
        self.rows, self.run, self.count = rows, run, 0

    def __iter__(self) -> Iterator[list[Any]]:
        for row in self.rows:
            self.count += 1
            if self.count % _BATCH == 0:
                self.run.check_stopped()
            yield row
