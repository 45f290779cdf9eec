"""Rate limits: starts counted within fixed windows."""

from __future__ import annotations

from chalicelib.store.table import ConditionFailed, Table


def take(table: Table, name: str, starter: str, most: int, window_seconds: int, now: int) -> float | None:
    """Count one start: None. Too many already: the seconds until the next window.

    The starters are kept by name, not by number: whoever asks again, or two dispatchers for one fire, count once.
    """
    window = now // 1000 // window_seconds
    try:
        table.update(
            (f"RATE#{name}", f"{window_seconds}#{window}"),
            "ADD starters :me SET expires_at = :expires",
            "attribute_not_exists(starters) OR size(starters) < :most OR contains(starters, :starter)",
            me={starter},
            starter=starter,
            most=most,
            expires=(window + 2) * window_seconds + 3600,
        )
    except ConditionFailed:
        return (window + 1) * window_seconds - now / 1000
    return None
