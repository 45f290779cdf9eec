"""move and delete: what goes, what stays, and what nobody may delete by chance."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import StepError, StoppedError, TransientError
from chalicelib.processors.delete import Delete
from chalicelib.processors.move import Move
from tests.unit.processors.recorder import Recorder
from tests.unit.processors.trees import BODY, keys, names, put, tree


def test_move_takes_the_folder_with_it(run: Recorder) -> None:
    tree(run.workspace / "data")
    output = Move(source="data", destination="done/{task_id}")(run)
    assert output == {"path": str(run.workspace / "done/some_task"), "files": 3, "bytes": len(BODY) + 1, "skipped": 0}
    assert names(run.workspace) == ["done/some_task/a.txt", "done/some_task/empty", "done/some_task/sub/b ü.txt"]
    assert not (run.workspace / "data").exists()


def test_move_of_matches_leaves_the_others_and_the_folder(run: Recorder) -> None:
    tree(run.workspace / "data")
    Move(source="data/**/*.txt", destination="done", exclude=["a.*"])(run)
    assert names(run.workspace) == ["data/a.txt", "data/empty", "done/sub/b ü.txt"]
    assert not (run.workspace / "data" / "sub").exists()


def test_move_travels_to_s3_within_it_and_back(run: Recorder, s3: Any) -> None:
    tree(run.workspace / "data")
    Move(source="data", destination="s3://backups/in/")(run)
    assert keys(s3) == ["in/a.txt", "in/empty", "in/sub/b ü.txt"]
    Move(source="s3://backups/in/**/*.txt", destination="s3://backups/done/")(run)
    assert keys(s3) == ["done/a.txt", "done/sub/b ü.txt", "in/empty"]
    Move(source="s3://backups/done/a.txt", destination="./")(run)
    assert names(run.workspace) == ["a.txt"]
    with pytest.raises(StepError, match="is the source itself"):
        Move(source="s3://backups/in/empty", destination="s3://backups/in/")(run)
    assert keys(s3) == ["done/sub/b ü.txt", "in/empty"]


def test_move_that_fails_half_way_loses_nothing_and_goes_on(run: Recorder, s3: Any) -> None:
    put(s3, "in/a", "in/b", body=BODY)

    def fail(**_: Any) -> None:
        raise TransientError("lost")

    s3.meta.events.register("before-call.s3.DeleteObjects", fail)
    with pytest.raises(TransientError):
        Move(source="s3://backups/in", destination="got")(run)
    assert keys(s3) == ["in/a", "in/b"]
    s3.meta.events.unregister("before-call.s3.DeleteObjects", fail)
    assert Move(source="s3://backups/in", destination="got")(run)["files"] == 2
    assert (keys(s3), names(run.workspace)) == ([], ["got/a", "got/b"])


def test_move_tried_again_after_all_was_moved_is_well(run: Recorder) -> None:
    (run.workspace / "a").write_text("a")
    Move(source="a", destination="b")(run)
    with pytest.raises(StepError, match="there is nothing at 'a'"):
        Move(source="a", destination="b")(run)
    run.attempt = 2
    assert Move(source="a", destination="b")(run)["path"] == str(run.workspace / "b")
    with pytest.raises(StepError, match="there is nothing at 'a'"):
        Move(source="a", destination="never")(run)


def test_move_of_nothing_may_be_well(run: Recorder) -> None:
    assert Move(source="inbox/*.csv", destination="done", missing="ignore")(run)["files"] == 0


def test_move_that_is_stopped_between_two_files_keeps_both(run: Recorder) -> None:
    tree(run.workspace / "data")
    run.stop_when = lambda: (run.workspace / "done" / "a.txt").exists()
    with pytest.raises(StoppedError):
        Move(source="data", destination="done")(run)
    assert names(run.workspace) == ["data/empty", "data/sub/b ü.txt", "done/a.txt"]


# ---- delete ----


def test_delete_of_a_folder_and_again(run: Recorder) -> None:
    tree(run.workspace / "data")
    output = Delete(source="data")(run)
    assert (output["files"], output["bytes"]) == (3, len(BODY) + 1)
    assert os.listdir(run.workspace) == []
    assert Delete(source="data")(run)["files"] == 0


def test_delete_obeys_glob_age_size_and_keep(run: Recorder) -> None:
    folder = tree(run.workspace / "data")
    for age, name in enumerate(("sub/b ü.txt", "a.txt", "empty"), 7):
        os.utime(folder / name, (time.time() - age * 86400 - 60,) * 2)
    assert Delete.model_validate({"source": "data", "older_than": "8d", "keep": 2, "dry": True})(run)["names"] == ["empty"]
    assert names(folder) == ["a.txt", "empty", "sub/b ü.txt"]
    Delete.model_validate({"source": "data/**/*.txt", "min_size": 1, "exclude": ["a.txt"]})(run)
    assert names(folder) == ["a.txt", "empty"]
    assert not (folder / "sub").exists()
    Delete.model_validate({"source": "data", "older_than": "1d"})(run)
    assert os.listdir(folder) == []


def test_delete_takes_the_link_and_not_what_it_leads_to(run: Recorder, tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside")
    (run.workspace / "data").mkdir()
    for name in ("data/folder", "data/broken", "direct"):
        (run.workspace / name).symlink_to(outside if name != "data/broken" else "nowhere")
    Delete(source="direct")(run)
    assert Delete(source="data")(run)["files"] == 2
    assert os.listdir(run.workspace) == []
    assert names(outside) == ["a.txt", "empty", "sub/b ü.txt"]


def test_delete_in_s3(run: Recorder, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.processors.removal._BATCH", 2)
    put(s3, *(f"old/{n}" for n in range(5)), "new/a", "oldest")
    assert Delete(source="s3://backups/old/")(run)["files"] == 5
    assert keys(s3) == ["new/a", "oldest"]
    for source in ("s3://backups", "s3://backups/", "s3://backups/**", "s3://backups/*"):
        with pytest.raises(StepError, match="is a whole bucket: nothing was deleted"):
            Delete(source=source)(run)
    assert Delete(source="s3://backups/", allow_root=True)(run)["files"] == 2


@pytest.mark.parametrize(
    "source", ["/", "/usr", "/*", "/**/*", "/home", "{home}", "{home}/*.*", "{project}", "{tasks}", "{parent}"]
)
def test_delete_refuses_roots(run: Recorder, source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, project = tmp_path / "home" / "me", tmp_path / "project"
    for folder in (home, project / "chalicelib" / "tasks"):
        folder.mkdir(parents=True)
        (folder / "x").touch()
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr("chalicelib.processors.locations.PROJECT", project / "chalicelib" / "tasks")
    # What lies there is not listed, all the less deleted.
    monkeypatch.setattr("chalicelib.processors.delete.remove", lambda *_: pytest.fail("deletes"))
    monkeypatch.setattr("chalicelib.processors.paths._local", lambda *_: iter(()))
    text = source.format(home=home, project=project, tasks=project / "chalicelib" / "tasks", parent=run.workspace.parent)
    with pytest.raises(StepError, match="nothing was deleted"):
        Delete(source=text)(run)


def test_delete_everything_in_the_workspace_keeps_the_workspace(run: Recorder) -> None:
    tree(run.workspace / "data")
    assert Delete(source=".")(run)["files"] == 3
    assert os.listdir(run.workspace) == []
