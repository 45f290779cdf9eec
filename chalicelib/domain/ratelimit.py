"""Rate limits as people write them: `10/minute`."""

from __future__ import annotations

import re

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_WRITTEN = re.compile(r"\s*([0-9]{1,9})\s*/\s*([a-z]+?)s?\s*", re.IGNORECASE)


def parse_rate(text: str) -> tuple[int, int]:
    """(how many, in how many seconds) of a rate. Raises ValueError, with an example of a right one."""
    match = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2].lower() not in _UNITS or int(match[1]) < 1:
        raise ValueError(f"{text!r} is no rate: write it like 10/minute; there are {', '.join(_UNITS)}")
    return int(match[1]), _UNITS[match[2].lower()]
