"""Files that a run keeps: which, under what names, and how they are downloaded."""

from __future__ import annotations

import hashlib
import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.api.artifacts import disposition, get_artifact, list_artifacts
from chalicelib.api.http import Request
from chalicelib.domain.errors import UnknownArtifactError
from chalicelib.domain.run import RunRecord
from chalicelib.engine import artifacts, objects
from tests.unit.engine.conftest import Engine, keys_of

NAME = "nightshift-dev-files"


def content_of(bucket: Any, run: RunRecord, name: str) -> bytes:
    return bytes(bucket.get_object(Bucket=NAME, Key=f"artifacts/{run.id}/{name}")["Body"].read())


def names(run: RunRecord) -> list[str]:
    return [note["name"] for note in run.artifacts]


def test_a_file_is_kept_with_its_size_type_and_hash(engine: Engine, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PART", 5 * 1024**2)  # in parts, so that what streams is streamed
    large = os.urandom(6 * 1024**2)
    given: list[Any] = []

    def write(run: Any) -> None:
        (run.workspace / "out").mkdir()
        (run.workspace / "out" / "report.csv").write_bytes(b"a,b\n1,2\n")
        (run.workspace / "large.bin").write_bytes(large)
        given.append(run.artifact("out/report.csv"))
        given.append(run.artifact(run.workspace / "large.bin", name="all of it.bin", content_type="application/x-own"))

    run = engine.run("task", write)
    assert run.artifacts == given
    assert run.artifacts[0] == {
        "name": "report.csv", "path": "out/report.csv", "bytes": 8, "content_type": "text/csv",
        "sha256": hashlib.sha256(b"a,b\n1,2\n").hexdigest(),
    }  # fmt: skip
    assert (names(run)[1], run.artifacts[1]["sha256"]) == ("all of it.bin", hashlib.sha256(large).hexdigest())
    assert content_of(bucket, run, "all of it.bin") == large
    assert bucket.head_object(Bucket=NAME, Key=f"artifacts/{run.id}/all of it.bin")["ContentType"] == "application/x-own"


def test_what_the_task_names_is_collected_at_the_end(engine: Engine, bucket: Any) -> None:
    def write(run: Any) -> None:
        for path in ("out/a.txt", "out/deep/a.txt", "b.log", "inputs/file/given.log"):
            (run.workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (run.workspace / path).write_text(path)

    run = engine.run("task", write, artifacts=["out/**/*.txt", "**/*.log", "nothing*"])
    assert run.status == "completed"
    assert {a["name"]: a["path"] for a in run.artifacts} == {
        "a.txt": "out/a.txt",
        "out-deep-a.txt": "out/deep/a.txt",
        "b.log": "b.log",
    }
    assert content_of(bucket, run, "out-deep-a.txt") == b"out/deep/a.txt"


@pytest.mark.parametrize("how", ["error", "timeout"])
def test_after_a_failure_it_is_collected_too(engine: Engine, bucket: Any, how: str) -> None:
    def fail(run: Any) -> None:
        (run.workspace / "core.log").write_text("what there was")
        (run.workspace / "gone.log").symlink_to("/etc/hostname")
        while how == "timeout":
            pass
        raise ValueError("no")

    run = engine.run("task", fail, artifacts=["*.log"], timeout="1s")
    assert (run.status, names(run)) == ("failed", ["core.log"])
    assert run.error is not None
    assert run.error["type"] == ("Timeout" if how == "timeout" else "ValueError")
    assert any("'gone.log' is not kept" in text for _, text in engine.lines(run))


@pytest.mark.usefixtures("quick_retries")
def test_what_an_earlier_attempt_kept_stays(engine: Engine, bucket: Any) -> None:
    def second_time(run: Any) -> None:
        (run.workspace / "same.txt").write_text(f"attempt {run.attempt}")
        (run.workspace / f"{run.attempt}.txt").write_text("own")
        if run.attempt == 1:
            raise OSError("not yet")

    run = engine.run("task", second_time, artifacts=["*.txt"], retry_count=1)
    assert (run.status, sorted(names(run))) == ("completed", ["1.txt", "2.txt", "same.txt"])
    assert content_of(bucket, run, "same.txt") == b"attempt 2"


def test_what_may_not_be_kept_fails_the_run_for_good(engine: Engine, bucket: Any) -> None:
    def keep(run: Any) -> None:
        (run.workspace / "link").symlink_to("/etc/hostname")

    run = engine.run("task", keep, artifacts=["*"], retry_count=3)
    assert (run.status, run.attempt, keys_of(bucket)) == ("failed", 1, [])
    assert run.error is not None
    assert run.error["message"].startswith("artifact 'link' is a link to a place outside of the run's workspace")


def test_hostile_file_names_become_harmless_ones(engine: Engine, bucket: Any) -> None:
    def write(run: Any) -> None:
        for name in ('..;"quoted".csv', "line\nbreak.txt", "Übersicht ☃.pdf", "x" * 240 + ".json", ".hidden"):
            (run.workspace / name).write_text("x")

    run = engine.run("task", write, artifacts=["*"])
    assert run.status == "completed", run.error
    found = sorted(names(run))
    assert set(found) == {";_quoted_.csv", "line_break.txt", "Übersicht ☃.pdf", "x" * 195 + ".json", "hidden"}
    for name in found:
        reply = get_artifact(Request(engine.services, {"run_id": run.id, "name": name}))
        assert reply.status == 302
        query = parse_qs(urlsplit(reply.headers["Location"]).query)
        assert query["response-content-disposition"] == [disposition(name)]
        assert reply.headers["Location"].isascii()


def test_a_disposition_is_one_ascii_line_that_saves() -> None:
    said = disposition('Übersicht "1"\r\nX-Evil: yes.csv')
    assert said == (
        "attachment; filename=\"_bersicht _1___X-Evil_ yes.csv\"; filename*=UTF-8''%C3%9Cbersicht%20%221%22%0D%0AX-Evil%3A%20yes.csv"
    )


def test_too_many_are_refused(engine: Engine, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "MOST_ARTIFACTS", 2)

    def write(run: Any) -> None:
        for n in range(3):
            (run.workspace / f"{n}.txt").write_text("x")

    run = engine.run("task", write, artifacts=["*.txt"])
    assert (run.status, names(run)) == ("failed", ["0.txt", "1.txt"])
    assert run.error is not None
    assert "at most 2 artifacts" in run.error["message"]


def test_the_list_names_where_each_is_downloaded(engine: Engine, bucket: Any) -> None:
    def write(run: Any) -> None:
        (run.workspace / "a b.txt").write_text("x")

    run = engine.run("task", write, artifacts=["*.txt"])
    body = list_artifacts(Request(engine.services, {"run_id": run.id})).body
    assert [a["url"] for a in body["artifacts"]] == [f"/run/{run.id}/artifacts/a%20b.txt"]
    encoded = get_artifact(Request(engine.services, {"run_id": run.id, "name": "a%20b.txt"}))
    assert encoded.status == 302, "API Gateway may leave the segment encoded"
    with pytest.raises(UnknownArtifactError):
        get_artifact(Request(engine.services, {"run_id": run.id, "name": "../legs"}))
