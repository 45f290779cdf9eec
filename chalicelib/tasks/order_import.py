"""Import of orders from a file that another system writes."""

from __future__ import annotations

import csv
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

from chalicelib import Param, Run, TransientError, task

DATA = Path(__file__).parent / "data"
FILES = {"complete": DATA / "shop" / "orders.csv", "half-written": DATA / "orders-half-written.csv"}


class MalformedRowError(ValueError):
    """A row that cannot be an order."""


@task(title="Order import", category="data", icon="file-input", tags=["orders", "csv"], retry_count=2, timeout="5m")
def flaky_import(
    run: Run,
    source: Annotated[
        Literal["half-written", "complete"], Param(help="The file as it is while it is exported, or afterwards")
    ] = "half-written",
    skip_bad_rows: Annotated[bool, Param(help="Import the rest and report the bad rows")] = False,
) -> dict[str, Any]:
    """Reads orders and adds them up by day. A file that is still being written ends in the middle of a row.

    That passes, so the import is tried again; when it has failed for good, its error shows where and why.
    """
    with FILES[source].open(encoding="utf-8", newline="") as lines:
        records = list(csv.DictReader(lines))
    totals: dict[str, Decimal] = {}
    bad: list[dict[str, Any]] = []
    for number, record in enumerate(records, 2):
        try:
            day, amount = parse_order(record)
        except MalformedRowError as error:
            if not skip_bad_rows:
                raise TransientError(f"line {number} of {FILES[source].name}: {error}") from error
            run.log(f"line {number}: {error}", level="warning")
            bad.append({"line": number, "reason": str(error)})
            continue
        totals[day] = totals.get(day, Decimal(0)) + amount
        if number % 20 == 0:
            run.progress((number - 1) / len(records), f"line {number}")
    run.progress(1.0, f"{len(records) - len(bad)} orders")
    return {
        "imported": len(records) - len(bad),
        "bad": bad,
        "rows": [{"day": day, "total": float(total)} for day, total in sorted(totals.items())],
    }


def parse_order(record: dict[str, Any]) -> tuple[str, Decimal]:
    """(day, amount) of one record."""
    return str(record["ordered_on"]), parse_amount(record)


def parse_amount(record: dict[str, Any]) -> Decimal:
    """Quantity times price."""
    return parse_number(record, "quantity") * parse_number(record, "price")


def parse_number(record: dict[str, Any], column: str) -> Decimal:
    """A column's number. Raises MalformedRowError."""
    try:
        return Decimal(record[column])
    except (InvalidOperation, TypeError) as error:
        raise MalformedRowError(f"{column} is {record[column]!r}, a number is wanted") from error
