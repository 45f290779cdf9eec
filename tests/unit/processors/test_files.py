"""copy, compress, upload and rotate: local folders and S3."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pydantic import ValidationError

from chalicelib.domain.errors import StepError, StoppedError, TransientError
from chalicelib.processors import clients
from chalicelib.processors.compress import Compress
from chalicelib.processors.copy import Copy
from chalicelib.processors.rotate import Rotate
from chalicelib.processors.upload import Upload
from tests.unit.processors.recorder import Recorder
from tests.unit.processors.trees import BODY, keys, names, put, tree

# ---- copy ----


def test_copy_puts_a_folders_files_below_the_destination(run: Recorder, project: Path) -> None:
    tree(project / "data")
    output = Copy(source="./data", destination="./backup")(run)
    assert output == {"path": str(run.workspace / "backup"), "files": 3, "bytes": len(BODY) + 1, "skipped": 0}
    assert names(run.workspace / "backup") == ["a.txt", "empty", "sub/b ü.txt"]
    assert run.fractions[-1] == 1.0


def test_copy_looks_in_the_workspace_before_the_project(run: Recorder, project: Path) -> None:
    (project / "x").write_text("project")
    (run.workspace / "x").write_text("workspace")
    Copy(source="x", destination="y")(run)
    assert (run.workspace / "y").read_text() == "workspace"


@pytest.mark.parametrize(("destination", "path"), [("new.txt", "new.txt"), ("folder/", "folder/a.txt"), ("there", "there/a.txt")])
def test_copy_of_a_file_goes_into_a_folder_or_gets_the_name(run: Recorder, project: Path, destination: str, path: str) -> None:
    tree(project / "data")
    (run.workspace / "there").mkdir()
    assert Copy(source="data/a.txt", destination=destination)(run)["path"] == str(run.workspace / path)
    assert (run.workspace / path).read_bytes() == BODY


def test_copy_keeps_mode_and_time(run: Recorder, project: Path) -> None:
    script = tree(project / "data") / "a.txt"
    script.chmod(0o750)
    os.utime(script, (1_000_000_000, 1_000_000_000))
    Copy(source="data/a.txt", destination="b.txt")(run)
    stat = (run.workspace / "b.txt").stat()
    assert (stat.st_mode & 0o777, stat.st_mtime) == (0o750, 1_000_000_000)


@pytest.mark.parametrize(
    ("glob", "found"),
    [("data/*.txt", ["a.txt"]), ("data/**/*.txt", ["a.txt", "sub/b ü.txt"]), ("*/a.*", ["data/a.txt"])],
)
def test_copy_takes_globs(run: Recorder, project: Path, glob: str, found: list[str]) -> None:
    tree(project / "data")
    Copy(source=glob, destination="out")(run)
    assert names(run.workspace / "out") == found


def test_copy_travels_to_s3_within_it_and_back(run: Recorder, project: Path, s3: Any) -> None:
    tree(project / "data")
    Copy(source="data", destination="s3://backups/one/")(run)
    assert keys(s3) == ["one/a.txt", "one/empty", "one/sub/b ü.txt"]
    Copy(source="s3://backups/one", destination="s3://backups/two")(run)
    Copy(source="s3://backups/two/**/*.txt", destination="home")(run)
    assert names(run.workspace / "home") == ["a.txt", "sub/b ü.txt"]
    output = Copy(source="s3://backups/two/a.txt", destination="s3://backups")(run)
    assert output["path"] == "s3://backups/a.txt"
    assert s3.get_object(Bucket="backups", Key="a.txt")["Body"].read() == BODY


@pytest.mark.parametrize("source", ["nothing", "s3://backups/nothing", "no*.txt"])
def test_copy_of_nothing_names_it_and_where_it_looked(run: Recorder, project: Path, s3: Any, source: str) -> None:
    with pytest.raises(StepError, match=re.escape(f"'{source}' (looked at ")):
        Copy(source=source, destination="x")(run)


def test_copy_onto_itself_is_refused(run: Recorder, project: Path) -> None:
    tree(run.workspace / "data")
    with pytest.raises(StepError, match="'data' is the source itself"):
        Copy(source="./data", destination="data")(run)


def test_copy_that_is_stopped_leaves_no_partial_file(run: Recorder, project: Path) -> None:
    tree(project / "data")
    run.stop_when = lambda: True
    with pytest.raises(StoppedError):
        Copy(source="data/a.txt", destination="x")(run)
    assert names(run.workspace) == []


def test_destination_takes_date_and_run(run: Recorder, project: Path) -> None:
    tree(project / "data")
    Copy(source="data/a.txt", destination="{task_id}/{run_id}/{date}-{other}.txt")(run)
    (name,) = names(run.workspace)
    assert re.fullmatch(r"some_task/01RUN/\d{4}-\d\d-\d\d-\{other\}\.txt", name)


# ---- compress ----


@pytest.mark.parametrize(
    ("algorithm", "suffix", "opened"), [("gzip", "gz", gzip.open), ("bz2", "bz2", bz2.open), ("xz", "xz", lzma.open)]
)
def test_compress_of_a_file(run: Recorder, project: Path, algorithm: Any, suffix: str, opened: Any) -> None:
    tree(project / "data")
    output = Compress(algorithm=algorithm, source="data/a.txt")(run)
    assert output["path"] == str(run.workspace / f"a.txt.{suffix}")
    assert output["bytes"] == Path(output["path"]).stat().st_size < output["original_bytes"] == len(BODY)
    with opened(output["path"]) as reader:
        assert reader.read() == BODY


@pytest.mark.parametrize(("algorithm", "suffix"), [("gzip", "tar.gz"), ("tar.gz", "tar.gz"), ("bz2", "tar.bz2"), ("xz", "tar.xz")])
def test_compress_packs_the_previous_steps_folder(run: Recorder, algorithm: Any, suffix: str) -> None:
    run.previous = {"path": str(tree(run.workspace / "backup"))}
    output = Compress(algorithm=algorithm)(run)
    assert output["path"] == str(run.workspace / f"backup.{suffix}")
    assert output["files"] == 3
    with tarfile.open(output["path"]) as archive:
        archive.extractall(run.workspace / "out", filter="data")
    assert names(run.workspace / "out") == names(run.workspace / "backup")
    assert (run.workspace / "out" / "a.txt").read_bytes() == BODY


def test_compress_zips_files_that_are_older_than_zip(run: Recorder) -> None:
    folder = tree(run.workspace / "data")
    os.utime(folder / "a.txt", (0, 0))
    output = Compress(algorithm="zip", source="data", destination="made/all.zip")(run)
    with zipfile.ZipFile(output["path"]) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == names(folder)
        assert archive.read("a.txt") == BODY


def test_compress_fetches_from_s3(run: Recorder, project: Path, s3: Any) -> None:
    s3.put_object(Bucket="backups", Key="logs/a.log", Body=BODY)
    assert Compress(source="s3://backups/logs/a.log")(run)["path"] == str(run.workspace / "a.log.gz")
    assert Compress(source="s3://backups/logs")(run)["path"] == str(run.workspace / "logs.tar.gz")


def test_compress_takes_the_last_path_even_when_the_step_between_gave_none(run: Recorder) -> None:
    run.outputs = {"copy": {"path": str(tree(run.workspace / "backup"))}, "echo": {"lines": 1}}
    run.previous = {"lines": 1}
    assert Compress()(run)["path"].endswith("backup.tar.gz")


def test_compress_without_anything_to_take_asks_for_a_source(run: Recorder) -> None:
    with pytest.raises(StepError, match="say `source`"):
        Compress()(run)


def test_compress_that_is_stopped_leaves_no_partial_archive(run: Recorder) -> None:
    tree(run.workspace / "data")
    run.stop_when = lambda: True
    with pytest.raises(StoppedError):
        Compress(source="data")(run)
    assert os.listdir(run.workspace) == ["data"]


def test_compress_each_file_beside_itself_and_once_only(run: Recorder) -> None:
    folder = tree(run.workspace / "logs")
    for _ in range(2):
        output = Compress(source="logs", each=True, remove_source=True, min_size=1)(run)
    assert names(folder) == ["a.txt.gz", "empty", "sub/b ü.txt.gz"]
    assert gzip.decompress((folder / "a.txt.gz").read_bytes()) == BODY
    assert output["files"] == 0


def test_compress_into_and_out_of_s3_leaves_nothing_on_the_disk(run: Recorder, s3: Any) -> None:
    put(s3, "logs/a.log", "logs/b.log", body=BODY)
    for algorithm in ("zip", "tar.gz"):
        Compress(source="s3://backups/logs", algorithm=algorithm, destination="s3://backups/packed/")(run)
    assert keys(s3) == ["logs/a.log", "logs/b.log", "packed/logs.tar.gz", "packed/logs.zip"]
    assert names(run.workspace) == []
    body = s3.get_object(Bucket="backups", Key="packed/logs.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.read("b.log") == BODY


def test_compress_again_does_not_pack_its_own_archive(run: Recorder) -> None:
    tree(run.workspace / "data")
    for _ in range(2):
        output = Compress(source="data", destination="data/all.tar.gz")(run)
    assert output["files"] == 3
    with tarfile.open(output["path"]) as archive:
        assert "all.tar.gz" not in archive.getnames()


def test_compress_keeps_the_source_that_changed_meanwhile(run: Recorder) -> None:
    log = run.workspace / "app.log"
    log.write_bytes(BODY)

    def write_on() -> bool:
        if log.stat().st_size == len(BODY):
            log.write_bytes(BODY + b"one more line")
        return False

    run.stop_when = write_on
    with pytest.raises(StepError, match=r"app\.log has changed"):
        Compress(source="app.log", remove_source=True)(run)
    assert log.exists()


# ---- upload ----


def test_upload_puts_the_previous_file_into_the_bucket(run: Recorder, s3: Any) -> None:
    (run.workspace / "backup.tar.gz").write_bytes(BODY)
    run.previous = {"path": str(run.workspace / "backup.tar.gz")}
    output = Upload(destination="s3://backups/")(run)
    path = "s3://backups/backup.tar.gz"
    assert output == {"path": path, "files": [path], "count": 1, "bytes": len(BODY), "skipped": 0}
    assert s3.get_object(Bucket="backups", Key="backup.tar.gz")["Body"].read() == BODY


def test_upload_of_a_folder_into_a_local_one(run: Recorder, tmp_path: Path) -> None:
    tree(run.workspace / "data")
    output = Upload(source="data", destination=str(tmp_path / "share"))(run)
    assert names(tmp_path / "share") == names(run.workspace / "data")
    assert len(output["files"]) == 3


def test_upload_in_parts_says_how_far_it_is(run: Recorder, s3: Any) -> None:
    (run.workspace / "large").write_bytes(os.urandom(20 << 20))
    assert Upload(source="large", destination="s3://backups/x")(run)["bytes"] == 20 << 20
    assert s3.head_object(Bucket="backups", Key="x/large")["ContentLength"] == 20 << 20
    assert run.fractions == sorted(run.fractions)
    assert run.fractions[-1] == 1.0


def test_upload_to_a_bucket_that_is_not_there_fails_for_good(run: Recorder, s3: Any) -> None:
    (run.workspace / "x").touch()
    with pytest.raises(StepError, match="no such bucket; create it, or name another one"):
        Upload(source="x", destination="s3://missing-bucket/")(run)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, TransientError),
        ({"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, TransientError),
        ({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, StepError),
        (EndpointConnectionError(endpoint_url="https://s3"), TransientError),
    ],
)
def test_passing_failures_of_s3_are_worth_another_attempt(run: Recorder, s3: Any, error: Any, kind: type) -> None:
    def fail(**_: Any) -> None:
        raise error if isinstance(error, Exception) else ClientError(error, "PutObject")

    s3.meta.events.register("before-call.s3.PutObject", fail)
    (run.workspace / "x").touch()
    with pytest.raises(kind, match=r"copying .*/x to s3://backups/x: "):
        Upload(source="x", destination="s3://backups/")(run)


def test_the_endpoint_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    clients.hand_over(None)
    assert clients.client("s3").meta.endpoint_url == clients.client("sns").meta.endpoint_url == "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2")
    clients.hand_over(None)
    assert clients.client("s3").meta.endpoint_url == "http://127.0.0.1:2"
    clients.hand_over(None)


def test_upload_says_what_the_objects_are(run: Recorder, s3: Any) -> None:
    for name in ("page.html", "all.tar.gz", "what"):
        (run.workspace / name).write_bytes(b"x")
    Upload(source="*", destination="s3://backups/", metadata={"by": "night"}, storage_class="STANDARD_IA", kms_key="alias/own")(run)
    heads = {name: s3.head_object(Bucket="backups", Key=name) for name in keys(s3)}
    types = {name: head["ContentType"] for name, head in heads.items()}
    assert types == {"page.html": "text/html", "all.tar.gz": "application/gzip", "what": "binary/octet-stream"}
    assert heads["what"]["Metadata"] == {"by": "night"}
    assert (heads["what"]["StorageClass"], heads["what"]["SSEKMSKeyId"]) == ("STANDARD_IA", "alias/own")


def test_upload_that_is_stopped_leaves_no_parts_behind(run: Recorder, s3: Any) -> None:
    (run.workspace / "large").write_bytes(os.urandom(20 << 20))
    uploads = []
    s3.meta.events.register("after-call.s3.CreateMultipartUpload", lambda **_: uploads.append(1))
    run.stop_when = lambda: bool(uploads)
    with pytest.raises(StoppedError):
        Upload(source="large", destination="s3://backups/")(run)
    assert keys(s3) == []
    assert not s3.list_multipart_uploads(Bucket="backups").get("Uploads")


def test_settings_of_s3_are_refused_for_a_local_folder() -> None:
    with pytest.raises(ValidationError, match="storage_class is for S3"):
        Upload(destination="./x", storage_class="GLACIER")


@pytest.mark.parametrize("processor", [Copy, Upload])
def test_what_is_there_already_is_left_or_told(run: Recorder, s3: Any, processor: Any) -> None:
    tree(run.workspace / "data")
    put(s3, "x/a.txt", body=b"old")
    config = {"source": "data", "destination": "s3://backups/x/"}
    with pytest.raises(StepError, match=r"s3://backups/x/a\.txt exists already: nothing was written"):
        processor(**config, existing="fail")(run)
    assert keys(s3) == ["x/a.txt"]
    assert processor(**config, existing="skip")(run)["skipped"] == 1
    assert s3.get_object(Bucket="backups", Key="x/a.txt")["Body"].read() == b"old"
    assert len(keys(s3)) == 3


# ---- rotate ----


def rotated(folder: Path) -> list[str]:
    return [re.sub(r"\d{4}-\d\d-\d\d", "DATE", name) for name in names(folder)]


def test_rotate_moves_every_file_to_a_dated_name(run: Recorder) -> None:
    tree(run.workspace / "logs")
    output = Rotate(source="logs")(run)
    assert output["path"] == str(run.workspace / "logs" / "archive")
    assert rotated(run.workspace / "logs") == ["archive/a-DATE.txt", "archive/empty-DATE", "archive/sub/b ü-DATE.txt"]
    assert output["left"] == 0


def test_rotate_obeys_age_and_size(run: Recorder) -> None:
    folder = tree(run.workspace / "logs")
    (folder / "young").write_bytes(BODY)
    for name in ("a.txt", "empty"):
        os.utime(folder / name, (time.time() - 8 * 86400,) * 2)
    output = Rotate.model_validate({"source": "logs", "older_than": "7d", "min_size": "1kB", "archive": "old"})(run)
    assert rotated(run.workspace / "old") == ["a-DATE.txt"]
    assert output["left"] == 3


def test_rotate_twice_a_day_numbers_and_keeps_the_newest(run: Recorder) -> None:
    (run.workspace / "archive").mkdir()
    (run.workspace / "archive" / "app-2020-01-01.log.gz").touch()
    (run.workspace / "archive" / "other-2020-01-01.log.gz").touch()
    for text in ("first", "second"):
        (run.workspace / "app.log").write_text(text)
        output = Rotate(source="app.log", keep=2)(run)
    assert rotated(run.workspace) == ["archive/app-DATE.2.log", "archive/app-DATE.log", "archive/other-DATE.log.gz"]
    assert output["removed"] == ["app-2020-01-01.log.gz"]
    assert (run.workspace / "archive" / output["files"][0]).read_text() == "second"


def test_rotate_does_not_touch_the_project(run: Recorder, project: Path) -> None:
    tree(project / "logs")
    with pytest.raises(StepError, match="nothing at 'logs'"):
        Rotate(source="logs")(run)


@pytest.mark.parametrize(
    "config", [{"older_than": "soon"}, {"min_size": "big"}, {"keep_for": "1h"}, {"keep": 0}, {"exclude": ["/x"]}]
)
def test_rotate_refuses_unreadable_limits(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rotate.model_validate({"source": "x", **config})


def test_rotate_works_in_s3(run: Recorder, s3: Any) -> None:
    put(s3, "logs/app.log", "logs/sub/web.log", "logs/archive/app-2020-01-01.log.gz")
    output = Rotate(source="s3://backups/logs/", keep=1)(run)
    assert [re.sub(r"\d{4}-\d\d-\d\d", "DATE", key) for key in keys(s3)] == [
        "logs/archive/app-DATE.log",
        "logs/archive/sub/web-DATE.log",
    ]
    assert (output["path"], output["count"]) == ("s3://backups/logs/archive", 2)
    assert output["removed"] == ["app-2020-01-01.log.gz"]


def test_rotate_spares_the_newest(run: Recorder) -> None:
    folder = tree(run.workspace / "logs")
    for age, name in enumerate(("a.txt", "empty", "sub/b ü.txt")):
        os.utime(folder / name, (time.time() - age * 100,) * 2)
    output = Rotate(source="logs", spare=2)(run)
    assert rotated(folder) == ["a.txt", "archive/sub/b ü-DATE.txt", "empty"]
    assert output["left"] == 2


@pytest.mark.parametrize(
    ("limits", "kept"), [({"keep_for": "30d"}, ["new"]), ({"keep_size": "250 B"}, ["new", "old"]), ({"keep": 1}, ["new"])]
)
def test_rotate_removes_archives_by_age_size_and_count(run: Recorder, limits: dict[str, Any], kept: list[str]) -> None:
    (run.workspace / "archive").mkdir()
    for name in ("app-2020-01-01.log.gz", "app-2020-01-02.log"):
        (run.workspace / "archive" / name).write_bytes(b"x" * 100)
    (run.workspace / "app.log").write_bytes(b"y" * 100)
    Rotate.model_validate({"source": "app.log", **limits})(run)
    left = {"new" if "2020" not in name else "old" for name in names(run.workspace / "archive")}
    assert sorted(left) == kept
    assert not (run.workspace / "archive" / "app-2020-01-01.log.gz").exists()


def test_rotate_never_overwrites_an_archive(run: Recorder) -> None:
    for text in ("one", "two", "three"):
        for name in ("app.log.1", "app", "app.log"):
            (run.workspace / name).write_text(f"{name} {text}")
        Rotate(source="app*")(run)
    texts = sorted(path.read_text() for path in (run.workspace / "archive").iterdir())
    assert texts == sorted(f"{name} {text}" for name in ("app", "app.log", "app.log.1") for text in ("one", "two", "three"))
