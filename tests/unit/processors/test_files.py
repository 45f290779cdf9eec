"""copy, compress, upload and rotate: local folders and S3."""

from __future__ import annotations

import bz2
import gzip
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

BODY = b"some text that shrinks well\n" * 2000


def tree(folder: Path) -> Path:
    """A folder with a file, one in a subfolder, and an empty one."""
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_bytes(BODY)
    (folder / "sub" / "b ü.txt").write_bytes(b"b")
    (folder / "empty").touch()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def keys(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket="backups").get("Contents", [])]


# ---- copy ----


def test_copy_puts_a_folders_files_below_the_destination(run: Recorder, project: Path) -> None:
    tree(project / "data")
    output = Copy(source="./data", destination="./backup")(run)
    assert output == {"path": str(run.workspace / "backup"), "files": 3, "bytes": len(BODY) + 1}
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


# ---- where paths may lead ----


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("../x", "leads out of the run's workspace"),
        ("a/../../x", "leads out of the run's workspace"),
        ("", "a path is wanted"),
        ("s3://", "names no bucket"),
        ("gs://bucket/x", "neither a local path nor an s3:// one"),
    ],
)
def test_paths_that_cannot_be_meant_are_refused_in_the_definition(text: str, reason: str) -> None:
    for config in ({"source": text, "destination": "x"}, {"source": "x", "destination": text}):
        with pytest.raises(ValidationError, match=reason):
            Copy.model_validate(config)


def test_a_link_does_not_lead_out_of_the_workspace(run: Recorder, project: Path, tmp_path: Path) -> None:
    (run.workspace / "out").symlink_to(tmp_path)
    (project / "x").touch()
    with pytest.raises(StepError, match=r"'out/y' leads out of"):
        Copy(source="x", destination="out/y")(run)
    assert not (tmp_path / "y").exists()


def test_a_previous_path_that_leads_out_is_refused(run: Recorder, project: Path) -> None:
    run.previous = {"path": "../../etc/passwd"}
    with pytest.raises(StepError, match="leads out of the run's workspace"):
        Upload(destination="x")(run)


def test_absolute_paths_are_taken_as_they_are(run: Recorder, tmp_path: Path) -> None:
    tree(tmp_path / "elsewhere")
    Copy(source=str(tmp_path / "elsewhere"), destination=str(tmp_path / "third"))(run)
    assert names(tmp_path / "third") == ["a.txt", "empty", "sub/b ü.txt"]


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


# ---- upload ----


def test_upload_puts_the_previous_file_into_the_bucket(run: Recorder, s3: Any) -> None:
    (run.workspace / "backup.tar.gz").write_bytes(BODY)
    run.previous = {"path": str(run.workspace / "backup.tar.gz")}
    output = Upload(destination="s3://backups/")(run)
    path = "s3://backups/backup.tar.gz"
    assert output == {"path": path, "files": [path], "bytes": len(BODY)}
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


def test_rotate_refuses_s3_and_unreadable_limits() -> None:
    for config in ({"source": "s3://b-b/x"}, {"source": "x", "older_than": "soon"}, {"source": "x", "min_size": "big"}):
        with pytest.raises(ValidationError):
            Rotate.model_validate(config)
