"""The samples of chalicelib/tasks: each does its work on the input that ships with it."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import tarfile
import traceback
from collections.abc import Callable
from datetime import date
from importlib import import_module
from inspect import isgenerator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.catalog.decorators import PROCESSORS, call_task
from chalicelib.domain.errors import StepError, TransientError
from chalicelib.processors.base import Processor
from chalicelib.tasks.cpu_benchmark import cpu_benchmark
from chalicelib.tasks.database_backup import backup
from chalicelib.tasks.inspect_csv import inspect_csv
from chalicelib.tasks.long_watch import long_watch
from chalicelib.tasks.order_import import flaky_import
from chalicelib.tasks.post_notice import post_notice
from chalicelib.tasks.purge_old_files import purge_old_files
from chalicelib.tasks.sync_index import sync_index
from chalicelib.tasks.traffic_report import traffic_report
from tests.unit.processors.recorder import Recorder

TASKS = Path(__file__).parents[3] / "chalicelib" / "tasks"
DEFINITIONS = yaml.safe_load((TASKS / "housekeeping.yaml").read_text(encoding="utf-8"))
PIPELINES = {pipeline["name"]: pipeline["processors"] for pipeline in DEFINITIONS["pipelines"]}


def go(name: str, run: Recorder) -> dict[str, Any]:
    """The steps of a pipeline one after the other, as long as all is well; the last one's output."""
    for step in PIPELINES[name]:
        ((kind, config),) = step.items()
        module = "chalicelib.tasks" if kind == "redact" else "chalicelib.processors"
        import_module(f"{module}.{kind}")
        processor: Processor = PROCESSORS[kind].model_validate(config)
        if processor.applies(failed=False):
            run.previous = processor(run) or {}
            run.outputs[kind] = run.previous
    return run.previous


def written(run: Recorder, path: str, content: bytes) -> dict[str, Any]:
    """A file argument as the engine hands it over."""
    (run.workspace / path).write_bytes(content)
    return {"name": path, "path": str(run.workspace / path), "size": len(content)}


def call(function: Callable[..., Any], run: Recorder, **args: Any) -> Any:
    run.args = args
    result = call_task(function, run, args)
    return result if not isgenerator(result) else to_the_end(result)


def to_the_end(work: Any) -> Any:
    """What a function that yields checkpoints returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_data_backup_ends_in_the_bucket(run: Recorder, s3: Any) -> None:
    assert go("backup_pipeline", run)["path"] == "s3://backups/backup.tar.gz"
    with tarfile.open(fileobj=s3.get_object(Bucket="backups", Key="backup.tar.gz")["Body"], mode="r|gz") as archive:
        packed = {member.name: member.size for member in archive}
    expected = {p.relative_to(TASKS / "data").as_posix(): p.stat().st_size for p in TASKS.glob("data/**/*.csv")}
    assert packed == expected


def test_log_rotation_packs_the_large_logs_under_dated_names(run: Recorder) -> None:
    output = go("log_rotation_pipeline", run)
    with tarfile.open(output["path"]) as archive:
        assert {re.sub(r"\d{4}-\d\d-\d\d", "DATE", name) for name in archive.getnames()} == {
            "access-DATE.log",
            "worker-DATE.log",
        }
    assert [path.name for path in (run.workspace / "rotated").glob("*.log")] == ["cron.log"]


def test_health_check_measures_and_alerts_nobody_when_well(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    disk, memory = psutil.disk_usage("/")._replace(percent=1.0), psutil.virtual_memory()._replace(percent=1.0)
    monkeypatch.setattr("psutil.disk_usage", lambda _: disk)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    go("health_check_pipeline", run)
    assert list(run.outputs) == ["check_disk_space", "check_memory"]


def test_disk_usage_tells_the_largest_first(run: Recorder) -> None:
    assert go("disk_usage_pipeline", run)["exit_code"] == 0
    assert any(text.startswith("Filesystem") for text in run.texts())
    assert run.texts()[-1].split()[1].startswith(".")


def test_share_logs_has_no_address_left(run: Recorder) -> None:
    output = go("share_logs_pipeline", run)
    assert output["files"] == 3
    assert run.outputs["redact"]["found"]["email"] > 5
    assert run.outputs["redact"]["found"]["ip"] > 100
    for path in (run.workspace / "redacted").iterdir():
        assert not re.search(r"@example|\d+\.\d+\.\d+\.\d+", path.read_text())


@pytest.mark.parametrize("format", ["sql", "tar"])
def test_backup_can_be_restored_from_the_bucket(run: Recorder, s3: Any, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    monkeypatch.setenv("NIGHTSHIFT_BUCKET", "backups")
    result = call(backup, run, database="shop", format=format, verify=True)
    assert result["tables"] == {"customers": 60, "orders": 300, "products": 60}
    assert result["path"].startswith("s3://backups/backups/shop-")
    body = s3.get_object(Bucket="backups", Key=result["path"].removeprefix("s3://backups/"))["Body"].read()
    assert len(body) == result["bytes"]
    if format == "sql":
        restored = sqlite3.connect(":memory:")
        restored.executescript(gzip.decompress(body).decode())
        assert restored.execute("SELECT count(*) FROM orders").fetchone() == (300,)


def test_backup_runs_the_seed_first_and_names_unknown_databases(run: Recorder) -> None:
    seed = written(run, "seed.sql", b"CREATE TABLE extra (x); INSERT INTO extra VALUES (1), (2);")
    assert call(backup, run, seed=seed)["tables"]["extra"] == 2
    with pytest.raises(StepError, match="no database 'none'; there are: shop"):
        call(backup, run, database="none")


def test_inspect_csv_summarises_each_column(run: Recorder) -> None:
    result = call(inspect_csv, run)
    rows = {row["column"]: row for row in result["rows"]}
    assert (result["records"], result["ragged"]) == (300, 0)
    assert rows["quantity"]["type"] == "number"
    assert rows["quantity"]["maximum"] == 5
    assert rows["note"]["missing"] > 0


def test_inspect_csv_reads_an_upload(run: Recorder) -> None:
    file = written(run, "up.csv", "\ufeffname;size\nä;1\nb;2,5\nc\n".encode())
    result = call(inspect_csv, run, file=file)
    assert [row["column"] for row in result["rows"]] == ["name", "size"]
    assert result["ragged"] == 1
    with pytest.raises(StepError, match=r"none.csv is empty"):
        call(inspect_csv, run, file=written(run, "none.csv", b"\n"))


def test_traffic_report_is_in_colour_and_adds_up(run: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    result = call(traffic_report, run, top=50)
    assert "\x1b[31m500" in capsys.readouterr().out
    assert result["requests"] == sum(row["requests"] for row in result["rows"]) == 130
    later = call(traffic_report, run, since="2026-01-29")
    assert 0 < later["requests"] < 130
    with pytest.raises(StepError, match="2030-01-01 or later"):
        call(traffic_report, run, since="2030-01-01")


@pytest.mark.parametrize(("limit", "primes"), [(1_000, 168), (1_000_000, 78_498)])
def test_cpu_benchmark_counts_right(run: Recorder, limit: int, primes: int) -> None:
    assert call(cpu_benchmark, run, limit=limit)["primes"] == primes
    assert run.fractions[-1] == 1.0


def test_flaky_import_fails_deep_inside_and_says_where(run: Recorder) -> None:
    with pytest.raises(TransientError, match=r"line 121 of orders-half-written.csv: quantity is '', a number") as caught:
        call(flaky_import, run)
    trace = "".join(traceback.format_exception(caught.value))
    assert all(name in trace for name in ("parse_order", "parse_amount", "parse_number", "InvalidOperation"))


def test_flaky_import_can_skip_bad_rows(run: Recorder) -> None:
    assert call(flaky_import, run, skip_bad_rows=True)["imported"] == 119
    assert call(flaky_import, run, source="complete")["imported"] == 300


def test_long_watch_measures_at_each_interval(run: Recorder) -> None:
    assert call(long_watch, run, seconds=1, interval=0.2)["measurements"] == 5


def test_long_watch_goes_on_from_its_checkpoint(run: Recorder) -> None:
    run.args = {"seconds": 1, "interval": 0.2}
    first = call_task(long_watch, run, run.args)
    run.checkpoint = [next(first) for _ in range(2)][-1]
    first.close()
    assert to_the_end(call_task(long_watch, run, run.args))["measurements"] == 5


def test_purge_deletes_old_ones_but_never_the_newest(run: Recorder, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_BUCKET", "backups")
    for name in ("backups/a", "backups/b", "backups/c", "other/d"):
        s3.put_object(Bucket="backups", Key=name, Body=b"x")
    assert call(purge_old_files, run, older_than_days=0, keep=1)["deleted"] == 0
    assert call(purge_old_files, run, older_than_days=0, keep=1, dry_run=False)["deleted"] == 2
    left = [item["Key"] for item in s3.list_objects_v2(Bucket="backups")["Contents"]]
    assert len(left) == 2
    assert "other/d" in left
    assert call(purge_old_files, run, older_than_days=1, keep=0, dry_run=False)["deleted"] == 0


def test_post_notice_stores_it_signed_with_its_attachment(run: Recorder) -> None:
    file = written(run, "plan.txt", b"plan")
    result = call(post_notice, run, title="Moving", text="On\nMonday", signing_key="k", starts_on="2026-02-01", attachment=file)
    assert result["notice"]["until"] == date(2026, 2, 8).isoformat()
    folder = run.workspace / "notices" / run.id
    assert json.loads((folder / "notice.json").read_text())["signature"] == result["notice"]["signature"]
    assert (folder / "plan.txt").read_bytes() == b"plan"
    assert "k" not in result["notice"].values()


def test_sync_index_sends_only_what_has_changed(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr("chalicelib.tasks.sync_index._send", lambda url, key, lines: sent.extend(lines))
    first = call(sync_index, run, url="http://search")
    assert (first["written"], len(sent)) == (60, 120)
    known = json.loads((run.workspace / "sync" / "products.json").read_text())
    known["P001"], known["GONE"] = "other", "x"
    (run.workspace / "sync" / "products.json").write_text(json.dumps(known))
    sent.clear()
    again = call(sync_index, run, url="http://search")
    assert again == {"written": 1, "deleted": 1, "unchanged": 59, "sent": True}
    assert [next(iter(line)) for line in sent] == ["index", "sku", "delete"]


def test_shipped_input_is_small() -> None:
    files = [path for folder in ("data", "logs") for path in (TASKS / folder).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60_000
