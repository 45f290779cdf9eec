"""The processor `dynamodb_export`."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.base import Processor
from chalicelib.processors.bodies import deliver
from chalicelib.processors.dynamodb_json import attribute_value, from_json, plain, to_json
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Location, destination_of, file_below, into_folder
from chalicelib.processors.rows import json_text
from chalicelib.processors.writing import partial_path


@processor("dynamodb_export")
class DynamodbExport(Processor):
    """Writes the items of a DynamoDB table to a file of JSON lines, page by page, in as many Lambda invocations as it takes.

    The whole table, in parallel segments if wanted, or what a key condition finds.
    """

    table: str = Field(pattern=r"^[a-zA-Z0-9_.-]{3,255}$", description="Name of the table", examples=["orders"])
    destination: Location = Field(description="The file, like ./orders.jsonl or s3://bucket/orders.jsonl.gz; .gz packs it")
    format: Literal["plain", "dynamodb"] = Field(
        "plain", description='plain: {"n": 1}; dynamodb: {"n": {"N": "1"}}, exact for every type'
    )
    index: str | None = Field(None, description="Read this index instead of the table")
    key_condition: str | None = Field(
        None, description="Query instead of scan: a KeyConditionExpression", examples=["pk = :pk AND begins_with(sk, :day)"]
    )
    filter: str | None = Field(None, description="FilterExpression: what is left out is read, and paid for, all the same")
    values: dict[str, Any] = Field(default_factory=dict, description="Values of the expressions", examples=[{":pk": "ORDER"}])
    names: dict[str, str] = Field(default_factory=dict, description="Names in the expressions", examples=[{"#s": "status"}])
    projection: list[str] | None = Field(None, min_length=1, description="Attributes to write; default: all")
    consistent: bool = Field(False, description="Strongly consistent reads, at twice the price")
    segments: int = Field(1, ge=1, le=16, description="Parallel readers of a scan")
    page: int | None = Field(None, ge=1, le=10_000, description="Items read at a time; default: 1 MB")
    rate: float | None = Field(None, gt=0, description="Read capacity units a second at most; default: as fast as it goes")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.key_condition and self.segments > 1:
            raise ValueError("segments: a query is one reader; segments are for scans, without key_condition")
        for kind, first, given in (("values", ":", self.values), ("names", "#", self.names)):
            for name in given:
                if not name.startswith(first):
                    raise ValueError(f"{kind}: '{name}' must begin with {first}")
        return self

    def describe(self, run: RunHandle) -> str:
        """What it would do, in one sentence."""
        what = f"the items with {self.key_condition}" if self.key_condition else "every item"
        return f"writes {what} of the DynamoDB table {self.table} to {self.destination}"

    def __call__(self, run: RunHandle) -> Any:
        """Output: path, items, bytes, scanned (items read), capacity (read units). Yields checkpoints after each page."""
        return self._export(run)

    def _export(self, run: RunHandle) -> Generator[dict[str, Any], None, dict[str, Any]]:
        target = destination_of(run, self.destination)
        if into_folder(self.destination, target):
            target = file_below(run, target, f"{self.table}.jsonl")
        # In the workspace, which goes along to the next invocation.
        partial = partial_path(run, run.workspace / target.name)
        state = self._beginning(run, partial)
        total = self._item_count()
        try:
            for state in self._pages(run, dict(state), partial, target.name.endswith(".gz")):  # noqa: B020
                if total and not self.key_condition:
                    run.progress(min(1.0, state["scanned"] / total), f"{state['items']} items")
                yield state
            deliver(run, partial, target)
        except (GeneratorExit, TransientError):
            raise  # what is there is gone on with
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        run.progress(1.0)
        run.log(f"{self.table}: {state['items']} items, {size_text(state['bytes'])}")
        return {"path": str(target), **{key: state[key] for key in ("items", "bytes", "scanned", "capacity")}}

    def _item_count(self) -> int:
        """About how many items there are, for the progress; 0 where nobody says."""
        with suppress(StepError), said_plainly(f"reading the table {self.table}"):
            return int(clients.client("dynamodb").describe_table(TableName=self.table)["Table"].get("ItemCount", 0))
        return 0

    def _beginning(self, run: RunHandle, partial: Path) -> dict[str, Any]:
        """Where to go on, the file being as it was then; or the very beginning."""
        state = run.checkpoint
        with said_plainly(f"writing {partial}"):
            if state and partial.exists() and partial.stat().st_size >= state["bytes"]:
                os.truncate(partial, state["bytes"])  # what was written after the checkpoint is read again
                return dict(state)
            partial.write_bytes(b"")
        return {"keys": [None] * self.segments, "bytes": 0, "items": 0, "scanned": 0, "capacity": 0.0}

    def _pages(self, run: RunHandle, state: dict[str, Any], partial: Path, packed: bool) -> Iterator[dict[str, Any]]:
        """Read a page of each segment and append it, again and again; the state after each round."""
        # A segment's key: None before its first page, then where it goes on, False at its end.
        keys: list[Any] = list(state["keys"])
        with ThreadPoolExecutor(self.segments) as pool, partial.open("ab") as writer:
            while any(key is not False for key in keys):
                began = time.monotonic()
                live = [number for number, key in enumerate(keys) if key is not False]
                with said_plainly(f"reading the table {self.table}"):
                    pages = list(pool.map(lambda number: self._page(number, keys[number]), live))
                content = b"".join(self._lines(pages))
                block = gzip.compress(content, 6, mtime=0) if packed and content else content
                with said_plainly(f"writing {partial}"):
                    writer.write(block)
                    writer.flush()
                for number, page in zip(live, pages, strict=True):
                    last = page.get("LastEvaluatedKey")
                    keys[number] = to_json(last) if last else False
                used = sum(page.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0) for page in pages)
                state = {
                    "keys": list(keys),
                    "bytes": state["bytes"] + len(block),
                    "items": state["items"] + sum(page["Count"] for page in pages),
                    "scanned": state["scanned"] + sum(page["ScannedCount"] for page in pages),
                    "capacity": round(state["capacity"] + used, 1),
                }
                yield state
                self._wait(run, began + used / self.rate if self.rate else 0.0)

    def _page(self, segment: int, key: Any) -> dict[str, Any]:
        client = clients.client("dynamodb")
        more: dict[str, Any] = {"ExclusiveStartKey": from_json(key)} if key else {}
        names = dict(self.names)
        if self.projection:
            places = {f"#projected{number}": name for number, name in enumerate(self.projection)}
            names |= places
            more["ProjectionExpression"] = ", ".join(places)
        optional = {
            "IndexName": self.index,
            "FilterExpression": self.filter,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {name: attribute_value(value) for name, value in self.values.items()},
            "Limit": self.page,
        }
        more |= {name: value for name, value in optional.items() if value}
        asked = {"TableName": self.table, "ConsistentRead": self.consistent, "ReturnConsumedCapacity": "TOTAL", **more}
        if self.key_condition:
            return dict(client.query(KeyConditionExpression=self.key_condition, **asked))
        parallel = {"Segment": segment, "TotalSegments": self.segments} if self.segments > 1 else {}
        return dict(client.scan(**parallel, **asked))

    def _lines(self, pages: list[dict[str, Any]]) -> Iterator[bytes]:
        for page in pages:
            for item in page["Items"]:
                shown = to_json(item) if self.format == "dynamodb" else {name: plain(value) for name, value in item.items()}
                yield json_text(shown).encode() + b"\n"

    def _wait(self, run: RunHandle, until: float) -> None:
        run.check_stopped()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            run.check_stopped()
