"""Backup of a SQLite database."""

from __future__ import annotations

import csv
import gzip
import hashlib
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from chalicelib import File, Param, Run, StepError, task

DATA = Path(__file__).parent / "data"


@task(
    title="Database backup",
    category="maintenance",
    icon="database",
    tags=["db", "backup"],
    schedule="0 2 * * *",
    time_zone="Europe/Berlin",
    danger="Writers wait while the database is dumped",
    expensive=True,
    timeout="30m",
    retry_count=3,
    memory=1024,
)
def backup(
    run: Run,
    database: Annotated[str, Param(pattern=r"^\w+$", help="Which one; its tables are the CSV files in data/NAME")] = "shop",
    format: Annotated[Literal["sql", "tar"], Param(help="SQL statements, or the database file itself")] = "sql",
    verify: Annotated[bool, Param(help="Restore the backup and count the rows again")] = True,
    seed: Annotated[File | None, Param(accept=".sql", max_bytes=1_000_000, help="SQL to run before")] = None,
) -> dict[str, Any]:
    """Dumps a SQLite database, restores the dump to see that it is good, and keeps it in the project's bucket.

    The database is made from the CSV files of its folder; the optional SQL file is run on it first.
    """
    run.progress(0.05, "opening")
    path = _opened(run, database)
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(path)) as guard:
        if seed is not None:
            run.log(f"running {seed.name}")
            connection.executescript(seed.read_text())
        guard.execute("BEGIN IMMEDIATE")  # readers go on, writers wait
        tables = _row_counts(connection)
        run.progress(0.3, f"dumping {len(tables)} tables")
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = run.workspace / f"{database}-{stamp}.{'sql.gz' if format == 'sql' else 'tar.gz'}"
        _dump_sql(connection, target) if format == "sql" else _dump_file(connection, target, database)
    for table, count in tables.items():
        print(f"{table:<12} {count:>6} rows")
    if verify:
        run.progress(0.6, "verifying")
        restored = _restored_sql(target) if format == "sql" else _restored_file(target, run.workspace / "verify")
        if restored != tables:
            raise StepError(f"the backup restores to {restored}, the database has {tables}")
        run.log("verified: it restores to the same rows")
    run.progress(0.9, "storing")
    return {
        "path": _stored(run, target),
        "bytes": target.stat().st_size,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "verified": verify,
        "tables": tables,
        "rows": sum(tables.values()),
    }


def _opened(run: Run, database: str) -> Path:
    sources = sorted((DATA / database).glob("*.csv"))
    if not sources:
        known = ", ".join(sorted(folder.name for folder in DATA.iterdir() if folder.is_dir()))
        raise StepError(f"there is no database '{database}'; there are: {known}")
    path = run.workspace / f"{database}.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        for source in sources:
            with source.open(encoding="utf-8", newline="") as lines:
                header, *rows = csv.reader(lines)
            columns = ", ".join(f'"{name}"' for name in header)
            connection.execute(f'CREATE TABLE "{source.stem}" ({columns})')
            connection.executemany(f'INSERT INTO "{source.stem}" VALUES ({", ".join("?" * len(header))})', rows)
    return path


def _row_counts(connection: sqlite3.Connection) -> dict[str, int]:
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in names}


def _dump_sql(connection: sqlite3.Connection, target: Path) -> None:
    with gzip.open(target, "wt", encoding="utf-8") as dump:
        for statement in connection.iterdump():
            dump.write(f"{statement}\n")


def _dump_file(connection: sqlite3.Connection, target: Path, database: str) -> None:
    copy = target.with_suffix(".sqlite")
    with closing(sqlite3.connect(copy)) as other:
        connection.backup(other)
    with tarfile.open(target, "w:gz") as archive:
        archive.add(copy, arcname=f"{database}.sqlite")
    copy.unlink()


def _restored_sql(dump: Path) -> dict[str, int]:
    with closing(sqlite3.connect(":memory:")) as connection, gzip.open(dump, "rt", encoding="utf-8") as text:
        connection.executescript(text.read())
        return _row_counts(connection)


def _restored_file(archive_path: Path, folder: Path) -> dict[str, int]:
    with tarfile.open(archive_path) as archive:
        name = archive.getnames()[0]
        archive.extractall(folder, filter="data")
    with closing(sqlite3.connect(folder / name)) as connection:
        if (answer := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise StepError(f"the backup is damaged: {answer}")
        return _row_counts(connection)


def _stored(run: Run, backup: Path) -> str:
    """A processor can be called from Python as well."""
    from chalicelib.processors.paths import files_root
    from chalicelib.processors.upload import Upload

    return str(Upload(source=str(backup), destination=f"{files_root(run)}/backups/")(run)["path"])
