"""sql_dump and sql_load: what is restored equals what was dumped."""

from __future__ import annotations

import gzip
import json
import select
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.catalog.decorators import PROCESSORS
from chalicelib.catalog.pipelines import check_pipeline
from chalicelib.domain.errors import StepError, StoppedError, TransientError
from chalicelib.processors.rows import csv_line, csv_records, json_line, read_json
from chalicelib.processors.sql_dump import SqlDump
from chalicelib.processors.sql_load import SqlLoad
from tests.support.certificates import Issued, issue
from tests.support.postgres import Postgres
from tests.support.shop import ROWS, SCHEMA
from tests.unit.processors.recorder import Recorder


@pytest.fixture(scope="module")
def shop(postgres: Postgres) -> str:
    return postgres.database(*SCHEMA, *ROWS)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_postgres_is_restored_byte_for_byte(run: Recorder, postgres: Postgres, shop: str, format: Any) -> None:
    output = SqlDump(url=postgres.url(shop), destination="./dump", format=format, compress=True)(run)
    assert output["tables"] == {"customer": 3, 'Odd "name" 100%': 2, "a_order": 2500, "nothing_in_it": 0}
    restored = postgres.database()
    assert SqlLoad(url=postgres.url(restored), source="./dump", mode="create")(run)["rows"] == 2505
    whitespace = ["--exclude-table-data=customer"] if format == "jsonl" else []  # a json's line breaks become blanks there
    assert postgres.dump(restored, *whitespace) == postgres.dump(shop, *whitespace)
    question = "SELECT (c.*)::text FROM (SELECT {} FROM customer ORDER BY id) c"
    columns = "id, name, nick, balance, since, local, day, at, span, photo, ratio, small, active, facts, raw::jsonb, tags, mood, token, host, big"
    assert postgres.run(restored, question.format(columns)) == postgres.run(shop, question.format(columns))


def test_schema_is_dumped_and_made_again_partitions_as_one_table(run: Recorder, postgres: Postgres) -> None:
    name = postgres.database(
        'CREATE SCHEMA "Odd one"',
        'CREATE TABLE "Odd one".p (id bigserial, day date) PARTITION BY RANGE (day)',
        """CREATE TABLE "Odd one".p_26 PARTITION OF "Odd one".p FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')""",
        """INSERT INTO "Odd one".p (day) VALUES ('2026-01-01'), ('2026-12-31')""",
    )
    dump = SqlDump.model_validate({"url": postgres.url(name), "destination": "./d", "schema": "Odd one"})
    assert dump(run)["tables"] == {"p": 2}
    copy = postgres.database()
    SqlLoad.model_validate({"url": postgres.url(copy), "source": "./d", "schema": "Odd one", "mode": "create"})(run)
    assert postgres.run(copy, 'SELECT count(*), max(day) FROM "Odd one".p').strip() == "2|31.12.2026"


def test_numbers_go_on_behind_what_was_appended(run: Recorder, postgres: Postgres) -> None:
    name = postgres.database("CREATE TABLE t (id serial PRIMARY KEY, n integer GENERATED ALWAYS AS IDENTITY, x text)")
    (run.workspace / "t.csv").write_text("id,n,x\n41,7,a\n")
    SqlLoad(url=postgres.url(name), source="./t.csv")(run)
    assert postgres.run(name, "INSERT INTO t (x) VALUES ('b') RETURNING id, n").strip() == "42|8"


def test_the_same_rows_give_the_same_bytes(run: Recorder, postgres: Postgres, shop: str) -> None:
    for folder in ("one", "two"):
        SqlDump(url=postgres.url(shop), destination=f"./{folder}", tables=["customer"], compress=True)(run)
    names = sorted(path.name for path in (run.workspace / "one").iterdir())
    assert names == ["customer.csv.gz", "manifest.json"]
    for name in names:
        assert (run.workspace / "one" / name).read_bytes() == (run.workspace / "two" / name).read_bytes()


def test_query_takes_its_values_apart_from_its_text(run: Recorder, postgres: Postgres, shop: str) -> None:
    sql = "SELECT id, name, balance, since::text AS since, facts FROM customer WHERE name = :name OR id = :id ORDER BY id"
    queries: Any = {"found": {"sql": sql, "parameters": {"name": "'; DROP TABLE customer; --", "id": 1}}}
    output = SqlDump(url=postgres.url(shop), destination="./out", format="jsonl", queries=queries)(run)
    assert output["tables"] == {"found": 1}
    line = json.loads((run.workspace / "out" / "found.jsonl").read_text())
    assert (line["id"], line["since"], line["facts"]["a"]) == (1, "2026-03-29 00:30:00.123456+00", 1.1)


def test_dump_is_of_one_moment(run: Recorder, postgres: Postgres) -> None:
    name = postgres.database("CREATE TABLE a AS SELECT n FROM generate_series(1, 1500) AS n", "CREATE TABLE b (n integer)")
    written: list[str] = []

    def write() -> bool:
        if not written:
            written.append(postgres.run(name, "DELETE FROM a", "INSERT INTO b VALUES (1)"))
        return False

    run.stop_when = write  # asked within the rows of a, before b is read
    assert SqlDump(url=postgres.url(name), destination="./out")(run)["tables"] == {"a": 1500, "b": 0}
    assert written
    assert SqlDump(url=postgres.url(name), destination="./out")(run)["tables"] == {"a": 0, "b": 1}


def test_dump_changes_nothing(run: Recorder, postgres: Postgres, shop: str) -> None:
    for sql, why in {
        "SELECT setval('a_order_id_seq', 1)": "read-only transaction",
        "INSERT INTO nothing_in_it VALUES (1) RETURNING id": "syntax error",
        "SELECT 1; DROP TABLE nothing_in_it": "read-only transaction",
    }.items():
        with pytest.raises(StepError, match=f"queries.x: .*({why})"):
            SqlDump(url=postgres.url(shop), destination="./out", queries={"x": {"sql": sql}})(run)  # type: ignore[dict-item]
    assert not (run.workspace / "out" / "manifest.json").exists()
    assert postgres.run(shop, "SELECT count(*) FROM nothing_in_it").strip() == "0"


def test_load_that_fails_changes_nothing(run: Recorder, postgres: Postgres) -> None:
    name = postgres.database("CREATE TABLE a (id integer PRIMARY KEY)", "CREATE TABLE b (id integer)", "INSERT INTO a VALUES (7)")
    folder = run.workspace / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("id\n1\n2\n")
    (folder / "b.csv").write_text("id\n1\ntwo\n")
    with pytest.raises(StepError, match=r"loading b\.csv into b: invalid input syntax for type integer") as caught:
        SqlLoad(url=postgres.url(name), source="./in", mode="replace")(run)
    assert "p@ss" not in str(caught.value)
    assert postgres.run(name, "SELECT id FROM a").split() == ["7"]


@pytest.mark.parametrize(
    ("url", "kind", "why"),
    [
        ("postgresql://tester:wrong@127.0.0.1:{port}/postgres", StepError, r"tester:\*\*\*@127.*password authentication failed"),
        ("postgresql://tester:{password}@127.0.0.1:{port}/missing", StepError, 'database "missing" does not exist'),
        ("postgresql://tester:s3cret@127.0.0.1:1/x", TransientError, "create a connection to host 127.0.0.1 and port 1"),
        ("oracle9://u:s3cret@h/x", StepError, "there is no kind of database 'oracle9'"),
        ("mysql+pymysql://u:s3cret@h/x", StepError, "mysql needs the package 'pymysql'"),
        ("sqlite:///nowhere.sqlite", StepError, "there is nothing at 'nowhere.sqlite'"),
        ("sqlite://", StepError, "in memory holds nothing"),
    ],
)
def test_database_that_cannot_be_reached_is_named_without_its_password(
    run: Recorder, postgres: Postgres, url: str, kind: type[Exception], why: str
) -> None:
    with pytest.raises(kind, match=why) as caught:
        SqlDump(url=url.format(port=postgres.port, password="p%40ss%3Aw%2Frd"), destination="./out")(run)
    assert "s3cret" not in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_server_without_tls_is_refused_unless_said_so(run: Recorder, postgres: Postgres, shop: str) -> None:
    with pytest.raises((StepError, TransientError), match="SSL"):
        SqlDump(url=postgres.url(shop), destination="./out", tls="verify")(run)


@contextmanager
def behind_tls(port: int, certificate: Issued) -> Iterator[int]:
    """The port of something that speaks TLS as PostgreSQL does, and hands all on to the server at `port`."""

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.recv(8)  # the wish for TLS
            client.sendall(b"S")
            secured = certificate.context().wrap_socket(client, server_side=True)
            with secured, socket.create_connection(("127.0.0.1", port)) as server:
                while True:
                    ready = [secured] if secured.pending() else select.select([secured, server], [], [], 10)[0]
                    for one, other in ((secured, server), (server, secured)):
                        if one in ready:
                            block = one.recv(65536)
                            if not block:
                                return
                            other.sendall(block)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=[listening.accept()[0]], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]


def test_certificate_of_a_server_is_verified(run: Recorder, postgres: Postgres, shop: str, tmp_path: Path) -> None:
    own = issue(tmp_path, "localhost")
    with behind_tls(postgres.port, own) as port:
        url = postgres.url(shop).replace(f"127.0.0.1:{postgres.port}", f"localhost:{port}")
        dump = SqlDump(url=url, destination="./out", tables=["customer"], tls="verify")
        with pytest.raises(StepError, match="has a certificate that is not trusted: self-signed certificate"):
            dump(run)
        assert dump.model_copy(update={"trusted": str(own.alone)})(run)["rows"] == 3


def test_missing_table_and_bad_statement_are_named(run: Recorder, postgres: Postgres, shop: str) -> None:
    with pytest.raises(StepError, match=r"there is no table 'orders'; there are: .*a_order"):
        SqlDump(url=postgres.url(shop), destination="./out", tables=["orders"])(run)
    queries: Any = {"a_order": {"sql": "SELECT 1"}}
    with pytest.raises(StepError, match=r"queries\.a_order: there is a table of that name, too"):
        SqlDump(url=postgres.url(shop), destination="./out", tables=["a_order"], queries=queries)(run)
    with pytest.raises(StepError, match=r'queries\.late: column "due" does not exist'):
        SqlDump(url=postgres.url(shop), destination="./out", queries={"late": {"sql": "SELECT due FROM a_order"}})(run)  # type: ignore[dict-item]


def test_a_stop_leaves_no_half_file(run: Recorder, postgres: Postgres, shop: str) -> None:
    run.stop_when = lambda: True
    with pytest.raises(StoppedError):
        SqlDump(url=postgres.url(shop), destination="./out", tables=["a_order"])(run)
    assert list((run.workspace / "out").iterdir()) == []


def test_load_that_is_stopped_or_breaks_within_its_rows_changes_nothing(run: Recorder, postgres: Postgres) -> None:
    name = postgres.database("CREATE TABLE t (id integer, x text)")
    path = run.workspace / "t.csv"
    path.write_text("id,x\n" + "1,abcdefghij\n" * 20_000 + "1,2,3\n")
    load = SqlLoad(url=postgres.url(name), source="./t.csv")
    began = time.monotonic()
    with pytest.raises(StepError, match=r"t\.csv: row 20001 has 3 values"):
        load(run)
    checks = count()
    run.stop_when = lambda: next(checks) == 10
    with pytest.raises(StoppedError):
        load(run)
    assert time.monotonic() - began < 20
    assert postgres.run(name, "SELECT count(*) FROM t").strip() == "0"


def test_stop_does_not_wait_for_a_slow_statement(run: Recorder, postgres: Postgres, shop: str) -> None:
    def stop(*_: object) -> None:
        raise StoppedError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    began = time.monotonic()
    try:
        with pytest.raises(StoppedError):
            SqlDump(url=postgres.url(shop), destination="./out", queries={"slow": {"sql": "SELECT pg_sleep(60)"}})(run)  # type: ignore[dict-item]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 10


# ---- SQLite ----


def sqlite(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return path


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


ODD = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT, c BLOB, d REAL)",
    "INSERT INTO t VALUES (1, NULL, '', x'00ff', 0.1), (2, 'text', NULL, x'', 1e300), (3, 12, 'ü\n\"', NULL, -0.0)",
    "CREATE TABLE p (id INTEGER PRIMARY KEY AUTOINCREMENT, t_id REFERENCES t (id))",
    "INSERT INTO p (t_id) VALUES (3), (1)",
    "CREATE VIEW v AS SELECT * FROM t",
)


def test_sqlite_file_is_copied_byte_for_byte_while_it_is_used(run: Recorder) -> None:
    source = sqlite(run.workspace / "shop.sqlite", "PRAGMA page_size = 1024", *ODD)
    with closing(sqlite3.connect(source)) as writer:
        writer.execute("INSERT INTO t (id) VALUES (99)")  # not committed: no part of it
        output = SqlDump(url="sqlite:///shop.sqlite", destination="./backup/", format="sqlite")(run)
        writer.rollback()
    copy = run.workspace / "backup" / "shop.sqlite"
    assert (output["path"], output["tables"]) == (str(copy), {"p": 2, "t": 3})
    assert content(copy) == content(source)
    assert copy.read_bytes() == source.read_bytes()
    assert [path.name for path in copy.parent.iterdir()] == ["shop.sqlite"]


def test_sqlite_goes_through_json_lines(run: Recorder) -> None:
    source = sqlite(run.workspace / "shop.sqlite", *ODD[:-1])
    SqlDump(url="sqlite:///shop.sqlite", destination="./out", format="jsonl")(run)
    SqlLoad(url="sqlite:///new.sqlite", source="./out", mode="create")(run)
    rows = "SELECT *, typeof(a), typeof(b), typeof(c), typeof(d) FROM t ORDER BY id"
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(run.workspace / "new.sqlite")) as new:
        assert new.execute(rows).fetchall() == old.execute(rows).fetchall()
        assert new.execute("SELECT * FROM p").fetchall() == old.execute("SELECT * FROM p").fetchall()


def test_damaged_sqlite_file_is_told(run: Recorder) -> None:
    (run.workspace / "shop.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StepError, match="file is not a database"):
        SqlDump(url="sqlite:///shop.sqlite", destination="./b.sqlite", format="sqlite")(run)
    assert [path.name for path in run.workspace.iterdir()] == ["shop.sqlite"]


# ---- files ----


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("t.csv", "id,b\n1,x,y\n", "row 1 has 3 values, there are 2 columns"),
        ("t.csv", 'id,b\n1,"open\n2,x\n', r"t\.csv:2: a quote is not closed"),
        ("t.csv", 'id,b\n1,"x"y\n', r"t\.csv:2: a comma is wanted behind value 2"),
        ("t.csv", "id,missing\n1,2\n", "the table t has no column missing"),
        ("t.csv", "", "names of columns are wanted"),
        ("t.jsonl", '{"id": 1}\n{"id": 2, "z": 1}\n', "row 2 has the column z"),
        ("t.jsonl", '{"id": 1}\n{"id": \n', r"t\.jsonl:2: is no JSON"),
        ("t.jsonl", "[1]\n", r"t\.jsonl:1: an object is wanted"),
        ("t.txt", "x", "holds no file named"),
    ],
)
def test_malformed_file_is_named_with_its_line_and_changes_nothing(run: Recorder, name: str, text: str, why: str) -> None:
    database = sqlite(run.workspace / "db.sqlite", *ODD[:2])
    before = content(database)
    (run.workspace / name).write_text(text)
    with pytest.raises(StepError, match=why):
        SqlLoad(url="sqlite:///db.sqlite", source=f"./{name}")(run)
    assert content(database) == before


def test_dump_with_a_missing_or_shortened_file_is_refused(run: Recorder) -> None:
    sqlite(run.workspace / "shop.sqlite", *ODD[:2])
    SqlDump(url="sqlite:///shop.sqlite", destination="./out", compress=True)(run)
    path = run.workspace / "out" / "t.csv.gz"
    whole = path.read_bytes()
    load = SqlLoad(url="sqlite:///new.sqlite", source="./out", mode="create")
    path.write_bytes(whole[:-9])
    with pytest.raises(StepError, match="its end is missing"):
        load(run)
    path.write_bytes(gzip.compress(gzip.decompress(whole).partition(b'"3"')[0]))
    with pytest.raises(StepError, match="holds 2 rows, 3 were dumped"):
        load(run)
    path.unlink()
    with pytest.raises(StepError, match=r"t\.csv\.gz is missing"):
        load(run)


def test_folder_with_somebody_elses_manifest_is_told(run: Recorder) -> None:
    (run.workspace / "in").mkdir()
    (run.workspace / "in" / "t.csv").write_text("id\n")
    for content in ("no json", "[1]", '{"name": "x"}'):
        (run.workspace / "in" / "manifest.json").write_text(content)
        with pytest.raises(StepError, match=r"manifest\.json is not of sql_dump"):
            SqlLoad(url="sqlite:///new.sqlite", source="./in")(run)


def test_csv_tells_nothing_from_empty_text() -> None:
    rows = [[None, "", "a"], ['"', ",", "\r\n"], ["NULL", "\\N", " "]]
    lines = "".join(map(csv_line, rows)).encode()
    assert list(csv_records(lines.splitlines(keepends=True), "x")) == rows
    assert list(csv_records([b"\xef\xbb\xbfa,b\r\n"], "x")) == [["a", "b"]]


def test_json_keeps_the_digits() -> None:
    line = json_line(["a", "b", "c"], ["1.10", "NaN", "100000000000000000000.000000000000000000001"], ["number"] * 3)
    assert line == '{"a":1.10,"b":"NaN","c":100000000000000000000.000000000000000000001}\n'
    assert read_json(line.encode())["a"] == "1.10"


@pytest.mark.parametrize(
    "config",
    [
        {"url": "shop", "destination": "x"},
        {"url": "sqlite:///x", "destination": "x", "format": "sqlite", "tables": ["t"]},
        {"url": "sqlite:///x", "destination": "x", "queries": {"../x": {"sql": "SELECT 1"}}},
        {"url": "sqlite:///x", "destination": "../x"},
        {"url": "sqlite:///x", "destination": "x", "queries": {"x": {"sql": "SELECT * FROM t WHERE n = '${args.n}'"}}},
    ],
)
def test_config_that_cannot_work_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SqlDump.model_validate(config)


@pytest.mark.parametrize(("reference", "fine"), [("${args.day}", False), ("${ steps.x.output.y|z}", False), ("${run.date}", True)])
def test_value_in_a_statement_is_refused_when_the_catalog_is_compiled(reference: str, fine: bool) -> None:
    sql = f"SELECT * FROM orders WHERE due = '{reference}'"
    step = {"sql_dump": {"url": "sqlite:///x", "destination": "x", "queries": {"late": {"sql": sql}}}}
    _, faults = check_pipeline({"name": "p", "processors": [step]}, PROCESSORS)
    if fine:
        assert faults == []
    else:
        (fault,) = faults
        assert fault.path == ("processors", 0, "sql_dump", "queries", "late", "sql")
        assert fault.message.startswith("a statement takes values by parameters only: write :")


def test_dump_says_what_it_would_do_without_its_password(run: Recorder) -> None:
    dump = SqlDump(url="postgresql://me:s3cret@db/shop?options=s3cret", destination="./d")
    assert dump.describe(run) == "dumps every table as csv of postgresql+pg8000://me:***@db/shop to ./d"
