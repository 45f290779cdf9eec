"""Copying a SQLite database while it is used."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.bodies import one_file
from chalicelib.processors.databases import database_url, said_by_database, shown_database
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.writing import replaced

if TYPE_CHECKING:
    import sqlite3

# Where the head of a file counts changes and schemas, and says which version of SQLite wrote last.
_COUNTERS = ((24, 28), (40, 44), (92, 100))
_PAGES = 1000  # copied at a time; writers get their turn in between


def sqlite_file(run: RunHandle, text: str) -> Path:
    """The local file of a sqlite:/// URL. StepError when it is none."""
    url = database_url(text)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise StepError(f"{shown_database(url)} is no SQLite file")
    path = one_file(run, url.database).path
    if not isinstance(path, Path):
        raise StepError(f"'{url.database}' is in S3: fetch it to a local path first")
    return path


def copy_sqlite(run: RunHandle, source: Path, target: Path, timeout: float) -> dict[str, int]:
    """Copy the database as of one moment, page by page; the rows of each table. The copy is checked, and there or not at all."""
    import sqlite3

    if target.resolve() == source.resolve():
        raise StepError(f"{target} is the database itself: name another destination")

    def told(_status: int, left: int, total: int) -> None:
        run.check_stopped()
        run.progress((total - left) / total if total else 1.0, f"{total - left} of {total} pages")

    address = f"{source.absolute().as_uri()}?mode=ro"
    with said_plainly(f"writing {target}"), said_by_database(f"copying {source}"), replaced(run, target) as partial:
        with closing(sqlite3.connect(address, timeout, uri=True)) as database, closing(sqlite3.connect(partial)) as copy:
            copy.execute("PRAGMA journal_mode = MEMORY")  # no second file that a stop would leave
            database.backup(copy, pages=_PAGES, progress=told)
        _same_counters(source, partial)
        with closing(sqlite3.connect(partial)) as copy:
            return _checked(copy, source)


def _same_counters(source: Path, copy: Path) -> None:
    """Give the copy the source's counters, by which nothing but caches go: the copy is then equal byte for byte."""
    with source.open("rb") as reader, copy.open("r+b") as writer:
        head = reader.read(100)
        for start, end in _COUNTERS:
            writer.seek(start)
            writer.write(head[start:end])


def _checked(copy: sqlite3.Connection, source: Path) -> dict[str, int]:
    answer = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if answer != "ok":
        raise StepError(f"{source} is damaged: {answer}")
    names = [name for (name,) in copy.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    own = [name for name in names if not name.startswith("sqlite_")]
    return {name: copy.execute('SELECT count(*) FROM "{}"'.format(name.replace('"', '""'))).fetchone()[0] for name in own}
