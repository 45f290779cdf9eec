"""What the pages say while everything is paused."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.clock import iso
from chalicelib.engine.services import Services


def pause_shown(services: Services) -> dict[str, Any] | None:
    """`{by, at}` with `at` as text, or None while fires are taken."""
    found = services.registry.pause_of_all()
    return found and {"by": found["by"], "at": found["at"] and iso(found["at"])}
