"""decompress: what comes out, and what never does."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.domain.errors import StepError, StoppedError
from chalicelib.processors.compress import Compress
from chalicelib.processors.decompress import Decompress
from tests.unit.processors.recorder import Recorder
from tests.unit.processors.trees import BODY, names, put, tree


def tar(path: Path, *members: tuple[str, bytes | str | None], **more: Any) -> Path:
    """A tar of (name, content) files, (name, target) links of the type given, or folders (None)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode = more.get("mode", 0o644)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type = more.get("type", tarfile.SYMTYPE) if content is not None else tarfile.DIRTYPE
                info.linkname = content or ""
                archive.addfile(info)
    return path


def zipped(path: Path, *members: tuple[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def refused(run: Recorder, archive: Path, match: str, **config: Any) -> None:
    """Nothing but the archive is left, in the workspace and beside it."""
    with pytest.raises(StepError, match=match):
        Decompress.model_validate({"source": archive.name, "destination": "out", **config})(run)
    assert os.listdir(run.workspace) == [archive.name]
    assert os.listdir(run.workspace.parent) == ["workspace"]


@pytest.mark.parametrize("algorithm", ["gzip", "bz2", "xz", "zip"])
def test_what_compress_packs_comes_out_again(run: Recorder, algorithm: Any) -> None:
    folder = tree(run.workspace / "data")
    os.utime(folder / "a.txt", (1_500_000_000, 1_500_000_000))
    (folder / "a.txt").chmod(0o750)
    run.previous = Compress(algorithm=algorithm, source="data")(run)
    output = Decompress(destination="out")(run)
    assert output == {
        "path": str(run.workspace / "out"),
        "files": 3,
        "bytes": len(BODY) + 1,
        "packed_bytes": run.previous["bytes"],
    }
    assert names(run.workspace / "out") == names(folder)
    found = (run.workspace / "out" / "a.txt").stat()
    assert (run.workspace / "out" / "a.txt").read_bytes() == BODY
    assert (stat.S_IMODE(found.st_mode), int(found.st_mtime)) == (0o750, 1_500_000_000)
    assert run.fractions[-1] == 1.0


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_a_compressed_file_loses_its_suffix(run: Recorder, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    (run.workspace / f"app.log.{suffix}").write_bytes(pack(BODY))
    assert Decompress(source=f"app.log.{suffix}")(run)["path"] == str(run.workspace / "app.log")
    assert Decompress(source=f"app.log.{suffix}", destination="in/")(run)["path"] == str(run.workspace / "in" / "app.log")
    Decompress(source=f"app.log.{suffix}", destination="other", remove_source=True)(run)
    assert names(run.workspace) == ["app.log", "in/app.log", "other"]
    assert (run.workspace / "other").read_bytes() == BODY


def test_each_of_a_folder_goes_under_its_own_name(run: Recorder, s3: Any) -> None:
    for name in ("in/a.log.gz", "in/sub/b.gz"):
        put(s3, name, body=gzip.compress(BODY))
    put(s3, "in/c.zip", body=zipped(run.workspace / "c.zip", ("x/y", b"y")).read_bytes())
    put(s3, "in/read.me")
    assert Decompress(source="s3://backups/in", destination="out")(run)["files"] == 3
    assert names(run.workspace / "out") == ["a.log", "c/x/y", "sub/b"]


def test_unpacking_again_replaces_and_keeps_what_else_is_there(run: Recorder) -> None:
    tar(run.workspace / "a.tgz", ("x", b"new"), ("sub", None), ("sub/y", b"y"), ("link", "sub/y"))
    (run.workspace / "out").mkdir()
    (run.workspace / "out" / "x").write_text("old")
    (run.workspace / "out" / "own").touch()
    for _ in range(2):
        Decompress(source="a.tgz", destination="out")(run)
    assert names(run.workspace / "out") == ["link", "own", "sub/y", "x"]
    assert (run.workspace / "out" / "x").read_text() == "new"
    assert (run.workspace / "out" / "link").read_text() == "y"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "..", "a/..\\..\\evil"])
def test_names_that_lead_out_are_refused(run: Recorder, name: str) -> None:
    refused(run, zipped(run.workspace / "a.zip", ("fine", b"x"), (name, b"x")), "nothing was unpacked")
    (run.workspace / "a.zip").unlink()
    if "\\" not in name:  # part of a name in a tar
        refused(run, tar(run.workspace / "a.tgz", ("fine", b"x"), (name, b"x")), "nothing was unpacked")


@pytest.mark.parametrize("target", ["../../etc/passwd", "/etc/passwd", "..", ""])
def test_links_that_lead_out_are_refused(run: Recorder, target: str) -> None:
    refused(
        run, tar(run.workspace / "a.tgz", ("fine", b"x"), ("evil", target)), "'evil' in a.tgz is a symbolic link that leads out"
    )
    (run.workspace / "a.tgz").unlink()
    refused(run, zipped(run.workspace / "a.zip", ("evil", target.encode()), mode=0o120777), "'evil' in a.zip is a symbolic link")


def test_a_link_through_links_is_judged_by_where_it_ends(run: Recorder) -> None:
    # By their texts alone all of them stay inside.
    archive = tar(run.workspace / "a.tgz", ("p/q/r/x", b"x"), ("p/q/r/up", "../../.."), ("z", "p/q/r/up/../workspace"))
    refused(run, archive, "'z' in a.tgz is a symbolic link that leads out")


def test_nothing_is_written_through_a_link(run: Recorder, tmp_path: Path) -> None:
    refused(run, tar(run.workspace / "a.tgz", ("d", "."), ("d/x", b"x")), "unpacking")


def test_hard_links_lead_to_files_of_the_archive_only(run: Recorder) -> None:
    (run.workspace / "secret").write_text("s")
    for target in ("../secret", "/etc/passwd", "never"):
        with pytest.raises(StepError, match=r"'\.\./secret'|'/etc/passwd'|'never'"):
            Decompress(source=tar(run.workspace / "a.tgz", ("evil", target), type=tarfile.LNKTYPE).name)(run)
    assert names(run.workspace) == ["a.tgz", "secret"]
    Decompress(source=tar(run.workspace / "b.tgz", ("x", b"x"), ("y", "x"), type=tarfile.LNKTYPE).name)(run)
    assert (run.workspace / "b" / "y").read_text() == "x"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(run: Recorder, kind: bytes) -> None:
    refused(run, tar(run.workspace / "a.tgz", ("fine", b"x"), ("dev", "x"), type=kind), "'dev' is a (device|named pipe)")
    (run.workspace / "a.tgz").unlink()
    refused(run, zipped(run.workspace / "a.zip", ("dev", b""), mode=0o020666), "'dev' is no file, folder or link")


def test_setuid_and_writing_for_everybody_are_not_taken_over(run: Recorder) -> None:
    Decompress(source=tar(run.workspace / "a.tgz", ("x", b"x"), mode=0o6777).name)(run)
    assert stat.S_IMODE((run.workspace / "a" / "x").stat().st_mode) == 0o755


def test_bombs_are_refused_by_bytes_ratio_and_number(run: Recorder) -> None:
    zeros = bytes(12_000_000)
    for make, name in ((zipped, "a.zip"), (tar, "a.tgz")):
        archive = make(run.workspace / name, ("x", zeros))
        refused(run, archive, "grows more than 200 times: it looks like a decompression bomb")
        refused(run, archive, "holds more than 5 MB: raise max_bytes", max_bytes="5MB")
        archive.unlink()
    (run.workspace / "a.gz").write_bytes(gzip.compress(zeros))
    refused(run, run.workspace / "a.gz", "decompression bomb")
    (run.workspace / "a.gz").unlink()
    refused(run, zipped(run.workspace / "a.zip", ("x", b""), ("y", b"")), "more than 1 files: raise max_files", max_files=1)


def test_a_size_that_a_zip_does_not_tell_is_counted(run: Recorder) -> None:
    archive = zipped(run.workspace / "a.zip", ("x", bytes(2_000_000)))
    said = (2_000_000).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(said, (1).to_bytes(4, "little")))
    with pytest.raises(StepError, match=r"cannot be read as zip|more than 1 MB"):
        Decompress.model_validate({"source": "a.zip", "max_bytes": "1MB"})(run)
    assert names(run.workspace) == ["a.zip"]


def test_a_list_of_members_that_fills_the_memory_is_refused(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(run.workspace / "a.zip", *((f"{n}" * 40, b"") for n in range(9)))
    Decompress(source="a.zip", destination="well", max_files=9)(run)
    monkeypatch.setattr("zipfile.ZipFile", lambda *_: pytest.fail("reads the list"))
    with pytest.raises(StepError, match="lists more than 3 files: raise max_files"):
        Decompress(source=archive.name, max_files=3)(run)


def test_a_header_that_fills_the_memory_is_refused(run: Recorder) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 50_000_000
    with gzip.open(run.workspace / "a.tgz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(3_000_000))
    refused(run, run.workspace / "a.tgz", "has a header of more than 1,048,576 bytes")


def test_the_disk_does_not_fill(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=17_000_000))
    body = os.urandom(3_000_000)
    for make, name in ((zipped, "a.zip"), (tar, "a.tgz")):
        archive = make(run.workspace / name, ("x", body))
        refused(run, archive, "does not fit on the disk: 17 MB are free")
        archive.unlink()


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.tar", "a.gz", "a.bz2", "a.xz"])
def test_what_is_broken_is_named(run: Recorder, name: str) -> None:
    (run.workspace / name).write_bytes(b"no archive at all" * 100)
    refused(run, run.workspace / name, rf"{name} cannot be read as ")


def test_what_was_cut_off_leaves_nothing(run: Recorder) -> None:
    archive = tar(run.workspace / "a.tgz", ("x", b"x"), ("y", os.urandom(100_000)))
    archive.write_bytes(archive.read_bytes()[:-50_000])
    refused(run, archive, "a.tgz cannot be read as tar.gz")


def test_a_name_that_says_nothing_asks_for_the_format(run: Recorder) -> None:
    (run.workspace / "dump").write_bytes(gzip.compress(b"x"))
    refused(run, run.workspace / "dump", "say `format`")
    assert Decompress(source="dump", format="gzip")(run)["path"] == str(run.workspace / "dump.unpacked")


def test_decompress_that_is_stopped_leaves_nothing(run: Recorder) -> None:
    archive = tar(run.workspace / "a.tgz", ("x", b"x"), ("y", os.urandom(5_000_000)))
    run.stop_when = lambda: any(path.name == "y" for path in run.workspace.rglob("*"))
    with pytest.raises(StoppedError):
        Decompress(source=archive.name)(run)
    assert os.listdir(run.workspace) == ["a.tgz"]
