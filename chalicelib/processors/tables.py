"""Reading tables and queries row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.domain.errors import StepError
from chalicelib.processors.databases import said_by_database
from chalicelib.processors.rows import Kind

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData, Table

BATCH = 1000  # rows fetched at a time

_SEQUENCE = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")


def stored_columns(table: Table) -> list[Any]:
    """The columns whose values are kept, not computed."""
    return [column for column in table.columns if column.computed is None]


def selected(table: Table, exact_text: bool) -> Any:
    """A SELECT of every row, in the order of the primary key where there is one.

    With `exact_text` each value is the server's own text of it, else what the driver gives, whatever the declared type:
    SQLite keeps any value in any column.
    """
    from sqlalchemy import Text, cast, select, type_coerce
    from sqlalchemy.types import NullType

    columns = stored_columns(table)
    shown: list[Any] = [cast(column, Text) if exact_text else type_coerce(column, NullType()) for column in columns]
    return select(*shown).select_from(table).order_by(*table.primary_key.columns)


def rows_of(connection: Connection, statement: Any, values: dict[str, Any] | None = None) -> Iterator[Sequence[Any]]:
    streaming = connection.execution_options(stream_results=True, max_row_buffer=BATCH)
    with streaming.execute(statement, values or {}) as result:
        for rows in result.partitions(BATCH):
            yield from rows


def queried(connection: Connection, name: str, sql: str, values: Mapping[str, Any]) -> tuple[list[str], Iterator[Sequence[Any]]]:
    from sqlalchemy import text

    with said_by_database(f"queries.{name}"):
        result = connection.execution_options(stream_results=True, max_row_buffer=BATCH).execute(text(sql), dict(values))
    if not result.returns_rows:
        result.close()
        raise StepError(f"queries.{name}: gives no rows: a SELECT is wanted")
    return list(result.keys()), (row for rows in result.partitions(BATCH) for row in rows)


def kind_of(type_: Any) -> Kind:
    from sqlalchemy import types

    if isinstance(type_, types.Boolean):
        return "boolean"
    if isinstance(type_, types.JSON):
        return "json"
    return "number" if isinstance(type_, types.Integer | types.Numeric) else "text"


def ddl_of(connection: Connection, metadata: MetaData, tables: list[Table]) -> list[str]:
    """What makes these tables and their indexes: SQLite's own text, else as far as SQLAlchemy knows them.

    Empty when a column is of a type that it does not know.
    """
    from sqlalchemy import create_mock_engine
    from sqlalchemy.exc import SQLAlchemyError

    if connection.dialect.name == "sqlite":
        names = {table.name for table in tables}
        found = connection.exec_driver_sql(
            "SELECT tbl_name, sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type = 'index'"
        )
        return [sql for name, sql in found if name in names]
    made: list[str] = []

    def note(statement: Any, *_: Any, **__: Any) -> None:
        made.append(str(statement.compile(dialect=connection.dialect)).strip())

    try:
        metadata.create_all(create_mock_engine(connection.engine.url, note), tables=tables, checkfirst=False)
    except SQLAlchemyError:
        return []
    preparer = connection.dialect.identifier_preparer
    schemas = sorted({table.schema for table in tables if table.schema})
    before, after = [f"CREATE SCHEMA IF NOT EXISTS {preparer.quote(schema)}" for schema in schemas], []
    # A serial column that is no primary key counts by a sequence that nothing else makes.
    counted = set(_SEQUENCE.findall("\n".join(made)))
    for column in (column for table in tables for column in table.columns):
        for sequence in counted & set(_SEQUENCE.findall(str(getattr(column.server_default, "arg", "")))):
            name = sequence.replace("''", "'")
            before.append(f"CREATE SEQUENCE IF NOT EXISTS {name}")
            after.append(f"ALTER SEQUENCE {name} OWNED BY {preparer.format_table(column.table)}.{preparer.quote(column.name)}")
    return before + made + after
