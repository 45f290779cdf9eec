"""The compiled catalog, as every function of the deployment reads it: one JSON file, no YAML, no task code."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from chalicelib.domain.errors import DefinitionErrors, Problem
from chalicelib.domain.model import Catalog


def catalog_path() -> Path:
    """NIGHTSHIFT_CATALOG, else chalicelib/catalog.json."""
    named = os.environ.get("NIGHTSHIFT_CATALOG")
    return Path(named) if named else Path(__file__).parent.parent / "catalog.json"


def load_catalog(path: Path | None = None) -> Catalog:
    """The catalog of a file (default: `catalog_path()`), read once per process. Raises DefinitionErrors if it cannot be."""
    return _load(path or catalog_path())


def forget() -> None:
    """Read the files again next time (after compiling in the same process)."""
    _load.cache_clear()


@lru_cache(maxsize=8)
def _load(path: Path) -> Catalog:
    from pydantic import ValidationError

    try:
        return Catalog.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DefinitionErrors(
            [Problem(str(path), None, "catalog", f"cannot be read: {error.strerror}", "run: nightshift compile")]
        ) from None
    except ValidationError as error:
        raise DefinitionErrors(
            [Problem(str(path), None, "catalog", f"is not a compiled catalog: {error}", "run: nightshift compile")]
        ) from None
