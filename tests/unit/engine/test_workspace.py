"""A workspace is there while its attempt is, whatever becomes of the process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib.engine.workspace import workspace_of
from tests.unit.store.conftest import new_run

DIES_WITHIN = """
import os, sys, types
from chalicelib.engine.workspace import workspace_of
with workspace_of(types.SimpleNamespace(id=sys.argv[1], attempt=1)) as path:
    (path / "much").write_text("x" * 1000)
    print(path, flush=True)
    sys.stdin.read(1)
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def at_work(run: Any) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", DIES_WITHIN, run.id], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_it_is_for_this_user_alone_and_removed(tmp_path: Path) -> None:
    run = new_run()
    with workspace_of(run) as path:
        assert path == tmp_path / f"nightshift-{run.id}-1"
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "deep").mkdir()
        (path / "deep" / "file").write_text("x")
    assert not list(tmp_path.iterdir())


def test_what_a_dead_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    process, left = at_work(new_run())
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (left / "much").exists()
    with workspace_of(new_run()) as path:
        assert list(tmp_path.iterdir()) == [path]


def test_that_of_a_process_at_work_stays(tmp_path: Path) -> None:
    run = new_run()
    process, busy = at_work(run)
    with workspace_of(new_run()), workspace_of(run) as second:
        assert (busy / "much").exists()
        assert second.name.startswith(f"{busy.name}-")
    assert (busy / "much").exists()
    process.communicate("x")
    assert not list(tmp_path.iterdir())


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "nightshift-stack-abc").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"nightshift-{new_run().id}-1").symlink_to(tmp_path / "elsewhere")
    with workspace_of(new_run()):
        pass
    assert len(list(tmp_path.iterdir())) == 3


def test_one_that_is_taken_for_a_left_one_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, removed = fcntl.flock, []

    def too_late(descriptor: int, how: int) -> None:
        if not removed:
            removed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            os.rmdir(removed[0])
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    with workspace_of(new_run()) as path:
        assert [str(path)] == removed
        (path / "file").write_text("x")
