"""Templates: Jinja2 with escaping always on, and the few functions that pages need."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chalicelib.domain.durations import text_of
from chalicelib.web import static_files
from chalicelib.web.visit import View, Visit

THEMES = ("light", "dark")
_ANSI = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def render(visit: Visit, view: View) -> str:
    """The page, or the fragment of it that was asked for."""
    theme = visit.cookie("nightshift_theme")
    values: dict[str, Any] = {
        "visit": visit,
        "link": visit.link,
        "asset": partial(_asset, visit),
        "theme": theme if theme in THEMES else "",
        "now": visit.services.now(),
        "section": visit.resource.removeprefix("/admin/").partition("/")[0],
        "stage": visit.services.settings.stage,
    }
    return environment().get_template(view.template).render(view.data | view.extra | values)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Compiled templates stay in the process."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    found.filters |= {"relative": relative, "clock": clock, "in_zone": in_zone, "duration": text_of}
    found.filters |= {"hour": hour, "percent": percent, "money": money}
    found.globals["holds_steps"] = holds_steps
    found.filters |= {"plain": without_ansi, "short": short, "written": written}
    return found


def holds_steps(value: Any) -> bool:
    """Whether a value of a step's configuration is a list of steps, or several, by name or not."""
    if isinstance(value, dict):
        return bool(value) and all(holds_steps(inner) for inner in value.values()) and "processor" not in value
    if not isinstance(value, list) or not value:
        return False
    return all((isinstance(entry, dict) and isinstance(entry.get("processor"), str)) or holds_steps(entry) for entry in value)


def written(value: Any) -> str:
    """A value of a definition as one writes it: a text as it is, everything else like YAML's short form."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def relative(instant: str, now: int) -> str:
    """`3 min ago`, `in 2 h`: one unit, as people say it. Scripts keep it true while the page stays open."""
    seconds = (_moment(instant).timestamp() * 1000 - now) / 1000
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            count = int(abs(seconds) // size)
            return f"in {count} {unit}" if seconds > 0 else f"{count} {unit} ago"
    return "now"


def clock(instant: str) -> str:
    """`2026-01-31 02:00:00 UTC`."""
    return _moment(instant).strftime("%Y-%m-%d %H:%M:%S UTC")


def in_zone(instant: str, zone: str) -> str:
    """`Mon 02 Feb, 02:00` on the clocks of a zone."""
    return _moment(instant).astimezone(ZoneInfo(zone)).strftime("%a %d %b, %H:%M")


def hour(at: int, zone: ZoneInfo) -> str:
    """`02:05` on the clocks of a zone, of epoch milliseconds."""
    return datetime.fromtimestamp(at / 1000, zone).strftime("%H:%M")


def percent(share: float | None) -> str:
    """`99.5 %`; never 100 for what is less."""
    if share is None:
        return "–"
    return f"{math.floor(1000 * share) / 10:g} %"


def money(dollars: float) -> str:
    """Dollars with as many digits as say something."""
    if dollars == 0:
        return "$0"
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.2g}" if dollars >= 0.0001 else "< $0.0001"


def without_ansi(text: str) -> str:
    """Text as it reads without colours and cursor movements."""
    return "".join(c for c in _ANSI.sub("", text) if c == "\t" or c.isprintable())


def short(text: str, most: int = 300) -> str:
    """Long text cut, saying so."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _moment(instant: str) -> datetime:
    return datetime.fromisoformat(instant).astimezone(UTC)


def _asset(visit: Visit, name: str) -> str:
    return visit.link(f"/static/{static_files.version()}/{name}")
