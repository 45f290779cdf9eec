"""A first look at a CSV file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

from chalicelib import File, Param, Run, StepError, task

SHIPPED = Path(__file__).parent / "data" / "shop" / "orders.csv"


@task(title="Inspect a CSV file", category="data", icon="table", tags=["csv", "quality"], timeout="2m")
def inspect_csv(
    run: Run,
    file: Annotated[File | None, Param(accept=".csv,text/csv", help="Default: the orders of the sample shop")] = None,
    delimiter: Annotated[
        Literal["auto", ",", ";", "|"], Param(help="What stands between two values; auto looks at the first line")
    ] = "auto",
    header: Annotated[bool, Param(help="The first line names the columns")] = True,
) -> dict[str, Any]:
    """Says of each column what type it has, how many values are missing or distinct, and its range and average."""
    name = file.name if file else SHIPPED.name
    text = file.read_text() if file else SHIPPED.read_text(encoding="utf-8")
    records = [record for record in csv.reader(io.StringIO(text), delimiter=_delimiter(text, delimiter)) if record]
    if not records:
        raise StepError(f"{name} is empty")
    names = records.pop(0) if header else [f"column {n}" for n in range(1, len(records[0]) + 1)]
    ragged = [n for n, record in enumerate(records, 2 if header else 1) if len(record) != len(names)]
    for line in ragged[:5]:
        run.log(f"record {line} has another number of values than the {len(names)} columns", level="warning")
    rows = []
    for index, column in enumerate(names):
        run.progress(index / len(names), column)
        rows.append(_summary(column, [record[index] if index < len(record) else "" for record in records]))
        print("{column:<14} {type:<8} {distinct:>6} distinct {missing:>5} missing".format(**rows[-1]))
    run.progress(1.0, f"{len(records)} records")
    return {"file": name, "records": len(records), "ragged": len(ragged), "rows": rows}


def _delimiter(text: str, chosen: str) -> str:
    first_line = text.partition("\n")[0]
    return max(",;|\t", key=first_line.count) if chosen == "auto" else chosen


def _summary(column: str, values: list[str]) -> dict[str, Any]:
    present = [value for value in values if value.strip()]
    numbers = _numbers(present)
    ordered: list[Any] = numbers if numbers is not None else present
    common = Counter(present).most_common(1)
    return {
        "column": column,
        "type": "empty" if not present else "number" if numbers is not None else "text",
        "missing": len(values) - len(present),
        "distinct": len(set(present)),
        "minimum": min(ordered, default=None),
        "maximum": max(ordered, default=None),
        "mean": round(fmean(numbers), 3) if numbers else None,
        "most_common": common[0][0] if common else None,
    }


def _numbers(values: list[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None
