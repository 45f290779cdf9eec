"""The processor `sql_dump`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.databases import DatabaseUrl, connected, reflected, shown_database
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Location, destination_of, file_below, into_folder
from chalicelib.processors.rows import Kind, csv_line, json_line
from chalicelib.processors.sequences import counters_of
from chalicelib.processors.sqlite_files import copy_sqlite, sqlite_file
from chalicelib.processors.tables import BATCH, ddl_of, kind_of, queried, rows_of, selected, stored_columns
from chalicelib.processors.writing import replaced

MANIFEST = "manifest.json"


# References to what somebody else may have written. `run.…`, `env.…` and secrets are the author's own.
_DATA = re.compile(r"\$\{\s*(?!run\.|env\.|secret:)([^{}|]*)")


class Query(BaseModel):
    """One SELECT, whose rows become a file."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(min_length=1, description="The statement; values stand in it as :name")
    parameters: dict[str, Any] = Field(default_factory=dict, description="The values of its names")

    @field_validator("sql")
    @classmethod
    def _holds_no_values(cls, sql: str) -> str:
        # Whatever stood there would become part of the statement: `'; DROP TABLE …` as well.
        if found := _DATA.search(sql):
            name = re.sub(r"\W+", "_", found[1].strip().rpartition(".")[2]) or "value"
            example = f'write :{name} in it, and parameters: {{{name}: "${{{found[1].strip()}}}"}}'
            raise PydanticCustomError(
                "refused_reference", "{says}", {"says": f"a statement takes values by parameters only: {example}"}
            )
        return sql


@processor("sql_dump")
class SqlDump(Processor):
    """Writes tables and queries of a SQL database to files, row by row, as of one moment; or copies a SQLite file while it is used.

    PostgreSQL and SQLite are there; others need their SQLAlchemy driver among the requirements. `sql_load` reads it back.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the database", examples=["postgresql://reader:${secret:shop}@db.example.com/shop"]
    )
    destination: Location = Field(description="Folder for the files; with format sqlite a file, or a folder ending in /")
    format: Literal["csv", "jsonl", "sqlite"] = Field("csv", description="A file a table; or the whole SQLite file, byte for byte")
    tables: list[str] | None = Field(None, description="Which tables; default: all, or none where there are queries")
    queries: dict[str, Query] = Field(
        default_factory=dict,
        description="SELECT statements by the name of their file, each with sql and parameters",
        examples=[{"late": {"sql": "SELECT * FROM orders WHERE due < :day", "parameters": {"day": "2026-01-31"}}}],
    )
    db_schema: str | None = Field(None, alias="schema", description="The schema of the tables; default: the database's")
    compress: bool = Field(False, description="Write gzip, NAME.csv.gz")
    timeout: Duration = Field(60.0, gt=0, description="Longest wait for the server")
    tls: Literal["verify", "off"] | None = Field(None, description="PostgreSQL: default verify, off on this very machine")
    trusted: Location | None = Field(None, description="PEM file of certificates to trust instead of the system's")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.format == "sqlite" and (self.tables is not None or self.queries or self.compress):
            raise ValueError("format sqlite is the whole file: without tables, queries and compress")
        for name in self.queries:
            if not name or name.startswith(".") or "/" in name:
                raise ValueError(f"queries: '{name}' becomes a file's name: letters, digits and dashes are wanted")
        return self

    def describe(self, run: RunHandle) -> str:
        """What it would do, in one sentence."""
        tables = "every table" if self.tables is None and not self.queries else ", ".join([*(self.tables or ()), *self.queries])
        what = "the whole file" if self.format == "sqlite" else f"{tables} as {self.format}"
        return f"dumps {what} of {shown_database(self.url)} to {self.destination}"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (folder or file), files (their paths), tables (rows by name), rows, bytes."""
        target = destination_of(run, self.destination)
        if not isinstance(target, Path):
            raise StepError(f"'{self.destination}' is in S3: dump to a local path, then upload it")
        if self.format == "sqlite":
            return self._copied(run, target)
        return self._written(run, target)

    def _written(self, run: RunHandle, folder: Path) -> dict[str, Any]:
        with said_plainly(f"writing to {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / MANIFEST).unlink(missing_ok=True)  # it is written last: a folder that has one is complete
        files: list[dict[str, Any]] = []
        with connected(run, self.url, self.timeout, self.tls, self.trusted) as connection:
            postgres = connection.dialect.name == "postgresql"
            wanted = [] if self.queries and self.tables is None else self.tables
            metadata, tables = reflected(connection, wanted, self.db_schema)
            if twice := sorted({table.name for table in tables} & set(self.queries)):
                raise StepError(f"queries.{twice[0]}: there is a table of that name, too: give the query another one")
            total = len(tables) + len(self.queries)
            for table in tables:
                run.progress(len(files) / total, table.name)
                columns = stored_columns(table)
                kinds = [kind_of(column.type) for column in columns] if postgres else None
                rows = rows_of(connection, selected(table, exact_text=postgres))
                file = self._file(run, folder, table.name, [column.name for column in columns], rows, kinds)
                files.append(file | {"counters": counters_of(connection, table)} if postgres else file)
            for name, query in self.queries.items():
                run.progress(len(files) / total, name)
                names, rows = queried(connection, name, query.sql, query.parameters)
                files.append(self._file(run, folder, name, names, rows, None))
            ddl = ddl_of(connection, metadata, tables)
            manifest = {"dialect": connection.dialect.name, "format": self.format, "files": files, "ddl": ddl}
        with said_plainly(f"writing {folder / MANIFEST}"):
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        run.progress(1.0)
        return {
            "path": str(folder),
            "files": [str(folder / file["file"]) for file in files] + [str(folder / MANIFEST)],
            "tables": {file["name"]: file["rows"] for file in files},
            "rows": sum(file["rows"] for file in files),
            "bytes": sum(file["bytes"] for file in files),
        }

    def _file(
        self, run: RunHandle, folder: Path, name: str, columns: list[str], rows: Iterator[Sequence[Any]], kinds: list[Kind] | None
    ) -> dict[str, Any]:
        target = _below(run, folder, f"{name}.{self.format}{'.gz' if self.compress else ''}")
        count, digest = 0, hashlib.sha256()
        with said_plainly(f"writing {target}"), replaced(run, target) as partial, self._opened(partial) as writer:
            head = csv_line(columns).encode() if self.format == "csv" else b""
            writer.write(head)
            digest.update(head)
            for row in rows:
                line = (csv_line(row) if self.format == "csv" else json_line(columns, row, kinds)).encode()
                writer.write(line)
                digest.update(line)
                count += 1
                if count % BATCH == 0:
                    run.check_stopped()
        run.log(f"{name}: {count} rows, {size_text(target.stat().st_size)}")
        more = {"rows": count, "bytes": target.stat().st_size, "sha256": digest.hexdigest()}
        return {"name": name, "file": target.name, "columns": columns, **more}

    @contextmanager
    def _opened(self, partial: Path) -> Iterator[IO[bytes]]:
        import gzip

        with partial.open("wb") as writer:
            if self.compress:
                # Without name and time in its head, so that the same rows give the same bytes.
                with gzip.GzipFile("", "wb", 6, writer, mtime=0) as packed:
                    yield cast("IO[bytes]", packed)
            else:
                yield writer

    def _copied(self, run: RunHandle, target: Path) -> dict[str, Any]:
        source = sqlite_file(run, self.url)
        if into_folder(self.destination, target):
            target = _below(run, target, source.name)
        counts = copy_sqlite(run, source, target, self.timeout)
        size = target.stat().st_size
        run.log(f"{target.name}: {len(counts)} tables, {size_text(size)}")
        return {"path": str(target), "files": [str(target)], "tables": counts, "rows": sum(counts.values()), "bytes": size}


def _below(run: RunHandle, folder: Path, name: str) -> Path:
    """The file of a table. StepError for a name that no file can have."""
    if "/" in name or name.startswith("."):
        raise StepError(f"the table '{name}' cannot be a file's name: dump it by a query with another name")
    path = file_below(run, folder, name)
    assert isinstance(path, Path)
    return path
