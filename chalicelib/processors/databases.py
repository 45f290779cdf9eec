"""Connections to SQL databases by SQLAlchemy, and their errors said without statements, values or passwords."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.bodies import one_file
from chalicelib.processors.paths import destination_of

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, MetaData, Table

_URL = re.compile(r"[a-z][a-z0-9]*(\+[a-z0-9_]+)?:(//)?.*", re.DOTALL)
_DRIVERS = {"postgresql": "postgresql+pg8000", "postgres": "postgresql+pg8000"}
# What other drivers call the longest wait.
_TIMEOUTS = {
    "pymysql": ("connect_timeout", "read_timeout", "write_timeout"),
    "psycopg": ("connect_timeout",),
    "psycopg2": ("connect_timeout",),
}
_HERE = {None, "", "localhost", "127.0.0.1", "::1"}
# Classes of SQLSTATE that pass: lost connections, conflicts of transactions, too little of something, shutting down.
_PASSING = ("08", "40", "53", "55P03", "57P")
# So that text is the same whatever the server's settings: and exact.
_PLAIN_TEXT = (
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'postgres'",
    "SET TimeZone = 'UTC'",
    "SET bytea_output = 'hex'",
    "SET extra_float_digits = 1",
)


def checked_database(text: str) -> str:
    """A database URL that could be meant; ValueError says how one is written, without repeating what may be a secret."""
    if not _URL.fullmatch(text):
        raise ValueError("a database URL is wanted, like postgresql://user:password@host/name or sqlite:///file.sqlite")
    return text


DatabaseUrl = Annotated[str, AfterValidator(checked_database)]


@contextmanager
def connected(
    run: RunHandle, text: str, timeout: float, tls: str | None = None, trusted: str | None = None, write: bool = False
) -> Iterator[Connection]:
    """A connection to the database in one transaction, committed at the end; `timeout` is the longest wait for the server.

    A relative file of SQLite is looked up like any source. Without `write` nothing can be changed, and all that is read is of
    one moment. StepError and TransientError as the cause is.
    """
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    # Closing the cursor of a failed statement fails, too, and is logged with the statement: the first error says it all.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    url = database_url(text)
    shown = shown_database(url)
    dialect = url.get_backend_name()
    options: dict[str, Any] = dict.fromkeys(_TIMEOUTS.get(url.drivername.partition("+")[2], ()), max(1, round(timeout)))
    if dialect == "sqlite":
        url, options = _sqlite(run, url, timeout, write)
    elif url.drivername == "postgresql+pg8000":
        options = {"timeout": timeout, "application_name": "nightshift", "ssl_context": _tls(run, url, tls, trusted)}
    try:
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=options)
    except NoSuchModuleError:
        raise StepError(f"there is no kind of database '{url.drivername}': postgresql:// and sqlite:// are there") from None
    except ImportError as error:
        raise StepError(f"{dialect} needs the package '{error.name}': add it to requirements.txt") from None
    except (SQLAlchemyError, TypeError, ValueError):
        raise StepError(f"the URL of {shown} is malformed") from None
    with said_by_database(shown), engine.connect() as connection:
        if dialect == "postgresql" and not write:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        if dialect == "postgresql":
            for setting in _PLAIN_TEXT:
                connection.exec_driver_sql(setting)
        elif dialect == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")  # the driver waits with it for the first change
        try:
            yield connection
            connection.commit() if write else connection.rollback()
        except BaseException:
            # In the middle of rows going either way nothing can be said to the server any more: without a connection it rolls back.
            connection.invalidate()
            raise


def reflected(connection: Connection, names: list[str] | None, schema: str | None) -> tuple[MetaData, list[Table]]:
    """The tables of these names, those that others refer to first. StepError names one that is missing.

    None is all of them; partitions are part of their table then.
    """
    from sqlalchemy import MetaData, inspect, text

    known = inspect(connection).get_table_names(schema)
    if names is None and connection.dialect.name == "postgresql":
        named = "relispartition AND relnamespace = to_regnamespace(coalesce(quote_ident(:schema), quote_ident(current_schema())))"
        parts = connection.execute(text(f"SELECT relname FROM pg_class WHERE {named}"), {"schema": schema}).scalars().all()
        known = [name for name in known if name not in parts]
    for name in names or ():
        if name not in known:
            raise StepError(f"there is no table '{name}'; there are: {', '.join(sorted(known)) or 'none'}")
    metadata = MetaData()
    wanted = known if names is None else names
    metadata.reflect(connection, schema=schema, only=wanted)
    return metadata, [table for table in metadata.sorted_tables if table.name in wanted]


@contextmanager
def said_by_database(doing: str) -> Iterator[None]:
    """Errors of the database as `DOING: why`."""
    import ssl

    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except DBAPIError as error:
        kind, why = _cause(error.orig)
        raise kind(f"{doing}: {why}") from None
    except SQLAlchemyError as error:
        raise StepError(f"{doing}: {str(error).splitlines()[0]}") from None
    except ssl.SSLCertVerificationError as error:
        hint = "name its authority in `trusted`"
        raise StepError(f"{doing} has a certificate that is not trusted: {error.verify_message} ({hint})") from None
    except OSError as error:
        raise TransientError(f"{doing}: {error.strerror or error}") from None
    except Exception as error:
        # A driver called directly (COPY) raises its own.
        if type(error).__module__.partition(".")[0] not in ("pg8000", "sqlite3"):
            raise
        kind, why = _cause(error)
        raise kind(f"{doing}: {why}") from None


def shown_database(url: URL | str) -> str:
    """The database as it may be shown: without password and options."""
    if isinstance(url, str):
        try:
            url = database_url(url)
        except StepError:
            return "the database"
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database}"
    return url.set(query={}).render_as_string(hide_password=True)


def _cause(error: Any) -> tuple[type[StepError | TransientError], str]:
    said = error.args[0] if error is not None and error.args else ""
    if isinstance(said, dict):  # pg8000: the fields of the server's message
        code = str(said.get("C", ""))
        detail = f" ({said['D']})" if "D" in said and not code.startswith("23") else ""  # those of 23 hold values
        return (TransientError if code.startswith(_PASSING) else StepError), f"{said.get('M', 'error')}{detail}"
    text = str(said) or type(error).__name__
    passing = "locked" in text or "busy" in text or type(error).__name__ == "InterfaceError"
    return (TransientError if passing else StepError), text


def database_url(text: str) -> URL:
    """The URL, with the driver that is there for PostgreSQL. StepError when it is malformed."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StepError("the database URL is malformed: write postgresql://user:password@host/name, with %40 for an @") from None
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _sqlite(run: RunHandle, url: URL, timeout: float, write: bool) -> tuple[URL, dict[str, Any]]:
    from urllib.parse import quote

    if not url.database or url.database == ":memory:":
        raise StepError("a SQLite database in memory holds nothing: name a file, like sqlite:///shop.sqlite")
    path = destination_of(run, url.database) if write else one_file(run, url.database).path
    if not isinstance(path, Path):
        raise StepError(f"'{url.database}' is in S3: fetch it to a local path first")
    mode = "rwc" if write else "ro"
    file = url.set(database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"})
    return file, {"timeout": timeout}


def _tls(run: RunHandle, url: URL, tls: str | None, trusted: str | None) -> Any:
    import ssl

    if (tls or ("off" if url.host in _HERE else "verify")) == "off":
        return False
    path = one_file(run, trusted).path if trusted else None
    try:
        return ssl.create_default_context(cafile=str(path) if path else None)
    except OSError as error:
        raise StepError(f"'{trusted}' holds no certificates in PEM form: {error}") from None
