"""Where paths may lead: a step reads and writes where its author or the run's workspace lets it, and nowhere else."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.domain.errors import StepError
from chalicelib.processors.compress import Compress
from chalicelib.processors.copy import Copy
from chalicelib.processors.decompress import Decompress
from chalicelib.processors.delete import Delete
from chalicelib.processors.download import Download
from chalicelib.processors.globs import matches, matches_any
from chalicelib.processors.list import List
from chalicelib.processors.move import Move
from chalicelib.processors.rotate import Rotate
from chalicelib.processors.upload import Upload
from tests.unit.processors.recorder import Recorder
from tests.unit.processors.trees import names, tree


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("*.log", ["a.log", ".log"], ["sub/a.log", "a.logs"]),
        ("**/*.log", ["a.log", "sub/a.log", "a/b/c.log"], ["a.txt"]),
        ("**", ["a", "a/b/c"], []),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "b"]),
        ("./a?[0-9]", ["ab1", "a-9"], ["ab", "abc", "a/1"]),
        ("a/**/**/b/*", ["a/b/c"], ["a/b"]),
        ("*a*a*a*a*a*a*a*a*a*b", [], ["a" * 200]),
    ],
)
def test_globs(pattern: str, fitting: list[str], others: list[str]) -> None:
    assert [name for name in [*fitting, *others] if matches(name, pattern)] == fitting
    assert matches_any("deep/down/x.tmp", ["*.tmp"])
    assert not matches_any("deep/down/x.tmp", ["/x.tmp", "down/*"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("../x", "leads out of the run's workspace"),
        ("a/../../x", "leads out of the run's workspace"),
        ("", "a path is wanted"),
        ("s3://", "names no bucket"),
        ("s3://bucket/a/../b", "means nothing to S3"),
        ("/data/../etc", "write an absolute path without"),
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


def test_a_path_with_a_reference_is_looked_at_once_that_is_known(run: Recorder) -> None:
    step = Copy(source="s3://${args.bucket}/x", destination="${args.to}")
    with pytest.raises(StepError, match="names no bucket"):
        step(run)


@pytest.mark.parametrize("kind", [Copy, Upload, Move, Compress, List])
def test_a_link_in_a_folder_of_the_workspace_is_not_followed_out(run: Recorder, tmp_path: Path, kind: Any) -> None:
    (tmp_path / "secret").write_text("s")
    folder = tree(run.workspace / "data")
    (folder / "inside").symlink_to("a.txt")
    (folder / "evil").symlink_to(tmp_path / "secret")
    config = {} if kind is List else {"destination": "out"}
    for source in ("data", str(folder), "data/*", "data/evil"):
        with pytest.raises(StepError, match="leads out of"):
            kind(source=source, **config)(run)
    assert not (run.workspace / "out").exists()
    assert len(names(folder)) == 5


@pytest.mark.parametrize("kind", [Copy, Move, Download, Upload])
def test_nothing_is_written_through_a_link_at_the_destination(run: Recorder, tmp_path: Path, kind: Any) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    tree(run.workspace / "data")
    (run.workspace / "out").mkdir()
    (run.workspace / "out" / "sub").symlink_to(outside)
    with pytest.raises(StepError, match=r"leads out of .* by a symbolic link"):
        kind(source="data", destination="out")(run)
    assert os.listdir(outside) == []
    assert names(run.workspace / "data") == ["a.txt", "empty", "sub/b ü.txt"]


def test_a_link_that_lies_where_a_file_goes_is_replaced(run: Recorder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (run.workspace / "x").write_text("x")
    (run.workspace / "out").mkdir()
    for name in ("x", ".x.01RUN.part"):
        (run.workspace / "out" / name).symlink_to(tmp_path / "secret")
    Copy(source="x", destination="out/")(run)
    assert (tmp_path / "secret").read_text() == "s"
    assert (run.workspace / "out" / "x").read_text() == "x"
    assert not (run.workspace / "out" / "x").is_symlink()


def _uses(path: str) -> list[Any]:
    return [
        Copy(source=path, destination="x"),
        Copy(source="a", destination=path),
        Move(source=path, destination="x"),
        Delete(source=path),
        Rotate(source=path),
        Rotate(source="a", archive=path),
        Decompress(source="a.gz", destination=path),
    ]


@pytest.mark.parametrize("given", ["/etc", "/", "/etc/"])
def test_an_argument_names_no_place_outside_the_workspace(run: Recorder, given: str) -> None:
    run.args = {"options": {"places": [given]}}
    (run.workspace / "a").touch()
    (run.workspace / "a.gz").touch()
    for step in _uses(f"{given}/passwd"):
        with pytest.raises(StepError, match="came with an argument of the run"):
            step(run)
    assert names(run.workspace) == ["a", "a.gz"]


def test_an_argument_may_name_a_place_in_the_workspace_or_in_s3(run: Recorder, s3: Any) -> None:
    uploaded = run.workspace / "inputs" / "x.csv"
    uploaded.parent.mkdir()
    uploaded.write_text("x")
    run.args = {"file": {"name": "x.csv", "path": str(uploaded)}, "to": "s3://backups/in/", "dir": "sub", "prefix": "/"}
    Copy(source=str(uploaded), destination="s3://backups/in/")(run)
    Copy(source="s3://backups/in/x.csv", destination="sub/")(run)
    assert names(run.workspace) == ["inputs/x.csv", "sub/x.csv"]


def test_what_is_no_file_is_not_read_for_ever(run: Recorder) -> None:
    os.mkfifo(run.workspace / "pipe")
    with pytest.raises(StepError, match="neither a file nor a folder"):
        Copy(source="pipe", destination="x")(run)
    assert Copy(source=".", destination="x")(run)["files"] == 0


def test_a_name_that_is_no_text_is_told_and_can_be_deleted(run: Recorder) -> None:
    (run.workspace / "data").mkdir()
    (run.workspace / "data" / os.fsdecode(b"gr\xfcn")).touch()
    with pytest.raises(StepError, match=r"b'gr\\xfcn' is not UTF-8: rename it"):
        Copy(source="data", destination="x")(run)
    assert Delete(source="data")(run)["files"] == 1


def test_a_folder_that_cannot_be_read_is_not_left_out_in_silence(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    tree(run.workspace / "data")
    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(StepError, match=r"reading 'data': Permission denied: '.*/sub'"):
        Copy(source="data", destination="x")(run)


def test_links_in_a_circle_are_told(run: Recorder) -> None:
    (run.workspace / "a").symlink_to("b")
    (run.workspace / "b").symlink_to("a")
    with pytest.raises(StepError, match="in a circle"):
        Copy(source="a/x", destination="x")(run)
    assert Delete(source="a")(run)["files"] == 1


@pytest.mark.parametrize("step", _uses("sub/a"))
def test_every_step_says_what_it_would_do_and_does_nothing(run: Recorder, step: Any) -> None:
    (run.workspace / "sub").mkdir()
    (run.workspace / "sub" / "a").write_text("abc")
    said = step.describe(run)
    assert "\n" not in said
    assert "'" in said
    assert names(run.workspace) == ["sub/a"]
    assert run.lines == []


def test_what_a_step_would_do_counts_the_files(run: Recorder) -> None:
    tree(run.workspace / "data")
    assert Copy(source="data/**/*.txt", destination="s3://backups/x/").describe(run) == (
        "copies 2 files (56 kB) of 'data/**/*.txt' to 's3://backups/x/'"
    )
    assert Upload(destination="s3://backups/").describe(run) == "uploads what the step before has made to 's3://backups/'"
    assert "not there yet" in Copy(source="‹steps.dump.output.path›", destination="x").describe(run)
    (run.workspace / "evil").symlink_to("/etc/passwd")
    assert "which would fail" in Copy(source="evil", destination="x").describe(run)
