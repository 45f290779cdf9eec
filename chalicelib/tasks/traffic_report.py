"""What an access log says, in colour."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from chalicelib import File, Param, Run, StepError, task

SHIPPED = Path(__file__).parent / "logs" / "access.log"

_LINE = re.compile(r'\S+ \S+ \S+ \[(?P<at>[^]]+)\] "\S+ (?P<path>\S+) \S+" (?P<status>\d{3}) \d+ (?P<ms>\d+)')
_COLOURS = {"2": "32", "3": "36", "4": "33", "5": "31"}  # by the status's first digit: green, cyan, yellow, red


class Request(NamedTuple):
    """One line of the log."""

    day: date
    path: str
    status: str
    ms: int


@task(title="Traffic report", category="report", icon="chart-bar", tags=["web", "logs"], schedule="30 6 * * 1-5")
def traffic_report(
    run: Run,
    log: Annotated[File | None, Param(accept=".log,.txt", help="An access log; default: the sample's")] = None,
    since: Annotated[date | None, Param(ge=date(2000, 1, 1), help="Leave out what is older")] = None,
    top: Annotated[int, Param(ge=1, le=50, help="How many paths to show")] = 8,
) -> dict[str, Any]:
    """Requests, errors and response times by path, slowest and busiest first, from an access log with milliseconds."""
    lines = (log.read_text() if log else SHIPPED.read_text(encoding="utf-8")).splitlines()
    requests = [request for line in lines if (request := _parsed(line)) and (since is None or request.day >= since)]
    if not requests:
        raise StepError("no line of the log is a request" + (f" of {since} or later" if since else ""))
    statuses = Counter(request.status for request in requests)
    print(f"\x1b[1m{len(requests)} requests\x1b[0m from {requests[0].day} to {requests[-1].day}")
    for status, count in sorted(statuses.items()):
        bar = "█" * max(1, round(40 * count / len(requests)))
        print(f"\x1b[{_COLOURS.get(status[0], '37')}m{status} {bar}\x1b[0m {count}")
    rows = _by_path(requests)[:top]
    print(f"\x1b[4m{'path':<24}{'requests':>10}{'errors':>8}{'median':>9}{'p95':>9}\x1b[0m")
    for row in rows:
        colour = "31" if row["errors"] else "0"
        print(
            f"\x1b[{colour}m{row['path']:<24}{row['requests']:>10}{row['errors']:>8}"
            f"{row['median_ms']:>6} ms{row['p95_ms']:>6} ms\x1b[0m"
        )
    run.progress(1.0)
    return {"requests": len(requests), "statuses": dict(sorted(statuses.items())), "rows": rows}


def _parsed(line: str) -> Request | None:
    match = _LINE.match(line)
    if match is None:
        return None
    day = datetime.strptime(match["at"], "%d/%b/%Y:%H:%M:%S %z").date()
    return Request(day, match["path"].partition("?")[0], match["status"], int(match["ms"]))


def _by_path(requests: list[Request]) -> list[dict[str, Any]]:
    groups: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        groups[request.path].append(request)
    rows = []
    for path, group in groups.items():
        times = sorted(request.ms for request in group)
        rows.append(
            {
                "path": path,
                "requests": len(group),
                "errors": sum(request.status[0] == "5" for request in group),
                "median_ms": times[len(times) // 2],
                "p95_ms": times[min(len(times) - 1, int(len(times) * 0.95))],
            }
        )
    return sorted(rows, key=lambda row: (-int(row["requests"]), row["path"]))
