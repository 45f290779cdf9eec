"""What hypothesis makes of cron: valid expressions of every kind, and zones that are hard on them."""

from __future__ import annotations

from zoneinfo import available_timezones

from hypothesis import strategies as st

HARD_ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Africa/Casablanca",
    "Antarctica/Troll", "Pacific/Chatham", "Pacific/Apia", "Pacific/Kiritimati", "America/St_Johns", "America/Havana", "Asia/Beirut",
    "America/Santiago", "Europe/Dublin", "Asia/Gaza", "Pacific/Marquesas", "Etc/GMT+12", "Atlantic/Azores", "America/Nuuk",
]  # fmt: skip

zones = st.sampled_from(HARD_ZONES) | st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))

_DAY_NAMES = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.integers(1, max(2, (high - low) // 2)).map(str)
    stepped = st.builds(lambda base, by: f"{base}/{by}", st.just("*") | span | number.map(str), step)
    term = number.map(str) | span | stepped
    return term | st.lists(term, min_size=2, max_size=3).map(",".join)


_minute = _field(0, 59) | st.sampled_from(["0", "30", "15", "*/15", "*"])
_hour = _field(0, 23) | st.sampled_from(["*", "0", "1", "2", "3", "23"])
_day = st.just("*") | _field(1, 31) | st.sampled_from(["1", "28", "29", "30", "31", "L", "LW", "1,L"])
_month = st.just("*") | _field(1, 12) | st.sampled_from(["2", "3", "10", "12", "JAN,JUL"])
_nth = st.builds(lambda day, nth: f"{day}{nth}", st.sampled_from(_DAY_NAMES), st.sampled_from(["L", "#1", "#3", "#5"]))
_weekday = st.just("*") | _field(0, 7) | st.sampled_from(["MON-FRI", "0", "7", "SAT,SUN"]) | _nth

expressions = st.tuples(_minute, _hour, _day, _month, _weekday).map(" ".join)
