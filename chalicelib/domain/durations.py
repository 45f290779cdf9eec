"""Durations as people write them (`90s`, `1m30s`, `2h`, `1d`) and as numbers of seconds."""

from __future__ import annotations

import re

_DAYS = re.compile(r"^(\d+(?:\.\d+)?)d(.*)$")


def seconds_of(text: str | int | float) -> float:
    """Seconds of a written duration; a bare number is seconds. Raises ValueError that says what would be right."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError(f"{text!r} is not a duration: write it like 45s, 1m30s, 2h or 1d")
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        seconds = _parse(text.strip())
    if not seconds > 0:
        raise ValueError(f"a duration is longer than nothing, {text!r} is not")
    return seconds


def _parse(text: str) -> float:
    from durationpy import DurationError, from_str

    days = _DAYS.match(text)
    total = float(days[1]) * 86400 if days else 0.0
    rest = days[2] if days else text
    try:
        return total + (float(from_str(rest).total_seconds()) if rest else 0.0)
    except (DurationError, ValueError, KeyError):
        raise ValueError(f"{text!r} is not a duration: write it like 45s, 1m30s, 2h or 1d") from None


def text_of(seconds: float) -> str:
    """`45s`, `1m30s`, `2h5m`, `350ms`: at most two units, as people say it."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 10:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + "s"
    whole = round(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
