"""What a run said: chunks in the table, the newest events in the run itself.

A flush puts the run's newest events into the run (fenced) and moves those it replaces into a chunk before. So a chunk only ever
holds what was published under the fence, and writing one twice writes the same.
"""

from __future__ import annotations

from chalicelib.domain.run import Event, RunRecord
from chalicelib.store.closing import chunk_item
from chalicelib.store.codec import unpack
from chalicelib.store.table import Table


def put_chunk(table: Table, run_id: str, events: list[Event], expires_at: int) -> None:
    """Keep published events that the run's next flush will replace. `expires_at` in epoch seconds."""
    table.put(chunk_item(run_id, events) | {"expires_at": expires_at})


def read_events(table: Table, run: RunRecord, after: int, limit: int | None = None) -> list[Event]:
    """The published events with seq > after, in order, none missing, as of `run` (read it first). At most `limit`."""
    events: list[Event] = []
    expected = after + 1
    in_tail = run.tail[0]["seq"] if run.tail else run.seq + 1
    if expected < in_tail:
        chunks = table.query(
            "pk = :pk AND sk BETWEEN :first AND :last",
            pk=f"RUN#{run.id}",
            first=f"EVENT#{expected:010d}",
            last="EVENT#9999999999",
        )
        for chunk in chunks:
            for event in unpack(chunk["events"]):
                if expected <= event["seq"] < in_tail:
                    events.append(event)
                    expected = event["seq"] + 1
            if expected >= in_tail or (limit is not None and len(events) >= limit):
                break
    events += [e for e in run.tail if e["seq"] >= expected]
    return events if limit is None else events[:limit]


def read_result(table: Table, run: RunRecord) -> object:
    """The run's result, wherever it lies."""
    if run.result is not None:
        return run.result
    item = table.get((f"RUN#{run.id}", "RESULT"))
    return unpack(item["result"])[0] if item else None
