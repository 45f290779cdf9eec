"""Where the numbering of PostgreSQL's columns stands: serial and identity ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

Counters = dict[str, list[Any]]
"""By column: the last number, and whether it was given out already."""


def counters_of(connection: Connection, table: Table) -> Counters:
    """Where each column's numbering stands; empty where there is none."""
    found = {}
    for column, sequence in _sequences(connection, table).items():
        last, used = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()
        found[column] = [last, used]
    return found


def set_counters(connection: Connection, table: Table, noted: Counters) -> None:
    """Let the numbering go on where it stood, or, for columns that nothing is noted of, behind their greatest number."""
    from sqlalchemy import func, select, text

    for column, sequence in _sequences(connection, table).items():
        last, used = noted.get(column) or [connection.execute(select(func.max(table.columns[column]))).scalar(), True]
        if last is not None:
            named = {"name": sequence, "last": last, "used": used}
            connection.execute(text("SELECT setval(CAST(:name AS regclass), :last, :used)"), named)


def _sequences(connection: Connection, table: Table) -> dict[str, str]:
    """By column: the name of its own sequence, quoted."""
    from sqlalchemy import text

    found = {}
    named = connection.dialect.identifier_preparer.format_table(table)
    for column in table.columns:
        if column.identity is None and "nextval(" not in str(getattr(column.server_default, "arg", "")):
            continue
        asked = {"table": named, "column": column.name}
        sequence = connection.execute(text("SELECT pg_get_serial_sequence(:table, :column)"), asked).scalar()
        if sequence:
            found[column.name] = sequence
    return found
