"""list, download and checksum: what is there, what it is, and getting it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.domain.errors import StepError, StoppedError
from chalicelib.processors.checksum import Checksum
from chalicelib.processors.download import Download
from chalicelib.processors.list import List
from tests.unit.processors.recorder import Recorder
from tests.unit.processors.trees import BODY, names, put, tree


def test_list_gives_path_name_bytes_and_time(run: Recorder) -> None:
    folder = tree(run.workspace / "data")
    os.utime(folder / "a.txt", (1_000_000_000, 1_000_000_000))
    output = List(source="data/**/*.txt")(run)
    assert output["files"][0] == {
        "path": str(folder / "a.txt"),
        "name": "a.txt",
        "bytes": len(BODY),
        "modified": "2001-09-09T01:46:40Z",
    }
    assert (output["path"], output["count"], output["bytes"], output["total"]) == (str(folder), 2, len(BODY) + 1, 2)


def test_list_sorts_and_limits(run: Recorder) -> None:
    folder = tree(run.workspace / "data")
    for age, name in enumerate(("sub/b ü.txt", "a.txt", "empty")):
        os.utime(folder / name, (time.time() - age * 100,) * 2)

    def listed(**config: Any) -> list[str]:
        return [file["name"] for file in List(source="data", **config)(run)["files"]]

    assert listed(sort="modified", descending=True, limit=2) == ["sub/b ü.txt", "a.txt"]
    assert listed(sort="bytes") == ["empty", "sub/b ü.txt", "a.txt"]
    assert listed(exclude=["sub/**"], min_size=1) == ["a.txt"]
    assert List(source="data", limit=1)(run)["total"] == 3


def test_list_of_nothing_is_empty_unless_told(run: Recorder, s3: Any) -> None:
    for source in ("none", "none*", "s3://backups/none/"):
        assert List(source=source)(run)["files"] == []
        with pytest.raises(StepError, match=r"nothing at|no file matches"):
            List(source=source, missing="fail")(run)


def test_a_path_with_wildcards_that_is_there_is_no_glob(run: Recorder, s3: Any) -> None:
    (run.workspace / "a[1]*.txt").write_text("x")
    put(s3, "in/b?.txt", "in/bc.txt")
    assert List(source="a[1]*.txt")(run)["count"] == 1
    assert [file["path"] for file in List(source="s3://backups/in/b?.txt")(run)["files"]] == ["s3://backups/in/b?.txt"]


def test_list_reads_no_more_of_a_bucket_than_can_match(run: Recorder, s3: Any) -> None:
    put(s3, "logs-1", "logs-2", "other")
    asked: list[Any] = []
    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: asked.append(params.get("Prefix")))
    assert List(source="s3://backups/logs-*")(run)["count"] == 2
    assert asked[-1] == "logs-"


def test_download_into_the_workspace(run: Recorder, s3: Any) -> None:
    put(s3, "daily/a.gz", "daily/sub/b.gz", body=BODY)
    assert Download(source="s3://backups/daily/a.gz")(run)["path"] == str(run.workspace / "a.gz")
    output = Download(source="s3://backups/daily/", destination="got", existing="skip")(run)
    assert names(run.workspace) == ["a.gz", "got/a.gz", "got/sub/b.gz"]
    assert (output["count"], output["bytes"], output["skipped"]) == (2, 2 * len(BODY), 0)
    assert Download(source="s3://backups/daily/", destination="got", existing="skip")(run)["skipped"] == 2


def test_download_that_is_stopped_leaves_no_partial_file(run: Recorder, s3: Any) -> None:
    put(s3, "large", body=os.urandom(9 << 20))
    run.stop_when = lambda: True
    with pytest.raises(StoppedError):
        Download(source="s3://backups/large")(run)
    assert os.listdir(run.workspace) == []


def test_keys_that_lead_out_of_the_folder_are_refused(run: Recorder, s3: Any) -> None:
    for key in ("in/../../../etc/x", "in//etc/x", "in/a/../x"):
        put(s3, "in/fine", key)
        with pytest.raises(StepError, match=r"the name '.*' leads out of"):
            Download(source="s3://backups/in", destination="got")(run)
        assert names(run.workspace) == []
        s3.delete_object(Bucket="backups", Key=key)


def test_download_writes_to_a_local_folder_only() -> None:
    with pytest.raises(ValidationError, match="local folder"):
        Download(source="s3://backups/x", destination="s3://backups/y")


# ---- checksum ----


def test_checksum_of_a_file_here_and_in_s3(run: Recorder, s3: Any) -> None:
    put(s3, "x", body=BODY)
    (run.workspace / "x").write_bytes(BODY)
    expected = hashlib.sha256(BODY).hexdigest()
    for source in ("x", "s3://backups/x"):
        assert Checksum(source=source, expected=expected.upper())(run)["checksum"] == expected
        with pytest.raises(StepError, match=f"sha256 {'0' * 64} is wanted, there is {expected}"):
            Checksum(source=source, expected="0" * 64)(run)
    assert Checksum(source="x", algorithm="md5")(run)["checksum"] == hashlib.md5(BODY).hexdigest()


def test_a_manifest_is_one_that_sha256sum_checks(run: Recorder) -> None:
    folder = tree(run.workspace / "data")
    (folder / "line\nend \\").touch()
    for _ in range(2):  # the second time it lies among the files
        output = Checksum(source="data", manifest="data/")(run)
    assert (output["path"], output["count"]) == (str(folder / "SHA256SUMS"), 4)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    assert Checksum(source="data", verify="data/SHA256SUMS")(run)["count"] == 4


def test_verify_names_what_differs_and_what_is_missing(run: Recorder) -> None:
    folder = tree(run.workspace / "data")
    made = subprocess.run(["sha256sum", "-b", "a.txt", "empty", "sub/b ü.txt"], cwd=folder, check=True, capture_output=True)
    (run.workspace / "sums").write_bytes(made.stdout)
    assert Checksum(source="data", verify="sums")(run)["count"] == 3
    (folder / "new").touch()
    Checksum(source="data", verify="sums")(run)
    assert run.texts("warning") == ["1 file not in the manifest: new"]
    (folder / "a.txt").write_text("other")
    (folder / "empty").unlink()
    with pytest.raises(StepError, match=r"^a\.txt differs, empty is missing \(by sha256"):
        Checksum(source="data", verify="sums")(run)
    (run.workspace / "sums").write_text("what is this\n")
    with pytest.raises(StepError, match="line 1 of sums is no checksum and name"):
        Checksum(source="data", verify="sums")(run)


def test_checksum_does_one_thing() -> None:
    with pytest.raises(ValidationError, match="leave out manifest"):
        Checksum(source="x", verify="sums", manifest="sums")
