"""Which files a run may keep, and under what names."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.domain.artifacts import artifact_of, is_artifact_name
from chalicelib.domain.errors import StepError


@pytest.mark.parametrize(
    ("path", "name", "says"),
    [
        ("/etc/hostname", None, "'/etc/hostname' lies outside of the run's workspace"),
        ("../other/x", None, "'../other/x' lies outside"),
        ("link", None, "'link' is a link to a place outside"),
        ("folder/hostname", None, "'folder/hostname' lies outside"),
        ("nothing", None, "'nothing' is not there"),
        (".", None, "'.' is a folder"),
        ("fine", "../up", "'../up' is to be one plain file name"),
        ("fine", "a/b", "'a/b' is to be one plain file name"),
        ("fine", "two\nlines", "'two\\nlines' is to be one plain file name"),
        ("fine", "", "'' is to be one plain file name"),
    ],
)
def test_what_may_not_be_kept_is_refused_by_name(tmp_path: Path, path: str, name: str | None, says: str) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "folder").symlink_to("/etc")
    (tmp_path / "fine").write_text("fine")
    with pytest.raises(StepError) as refused:
        artifact_of(tmp_path, path, name, None)
    assert says in refused.value.message


def test_a_name_is_the_files_own_unless_another_has_it(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text("1")
    (tmp_path / "inner").symlink_to(tmp_path / "out")
    for path in ("out/a.csv", tmp_path / "out" / "a.csv", "inner/a.csv"):
        assert artifact_of(tmp_path, path, None, None)[1] == {
            "name": "a.csv", "path": "out/a.csv", "bytes": 1, "content_type": "text/csv",
        }  # fmt: skip
    assert artifact_of(tmp_path, "out/a.csv", None, None, {"a.csv": "out/a.csv"})[1]["name"] == "a.csv"
    assert artifact_of(tmp_path, "out/a.csv", None, "x/y", {"a.csv": "a.csv"})[1]["name"] == "out-a.csv"
    assert is_artifact_name("a b.csv")
    assert not is_artifact_name("a/b")
