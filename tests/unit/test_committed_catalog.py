"""What is committed beside the code is what the code says."""

from __future__ import annotations

from pathlib import Path

from chalicelib.catalog.compile import stale

ROOT = Path(__file__).parents[2]


def test_the_compiled_catalog_is_not_stale() -> None:
    assert [str(path.relative_to(ROOT)) for path in stale(ROOT)] == [], "run: make compile"
