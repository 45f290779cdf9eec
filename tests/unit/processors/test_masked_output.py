"""A secret in a line that never ends is whole when it is looked for, wherever the pieces are cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.domain.masking import Masker
from chalicelib.processors.exec import Exec

from .recorder import Recorder

SECRET = "s3cret" * 20
PIECE = 1 << 16


class Masked(Recorder):
    def mask(self, text: str) -> str:
        return Masker([SECRET]).hide(text)


@pytest.mark.parametrize("before", [PIECE - 60, 2 * PIECE - 1, 2 * PIECE - 119, 3 * PIECE - 60])
def test_a_secret_is_not_cut_in_two(tmp_path: Path, before: int) -> None:
    run = Masked(tmp_path)
    script = f"import sys; sys.stdout.write('.' * {before} + '{SECRET}' + '.' * {4 * PIECE})"
    Exec(command=["python3", "-c", script])(run)
    said = "".join(run.texts())
    assert "s3c" not in said
    assert said.replace("***", "") == "." * (before + 4 * PIECE)
    assert len(run.texts()) > 4
