"""Where documents come from: files of JSON lines, or an index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chalicelib.domain.handle import RunHandle
from chalicelib.processors.bodies import lines_of
from chalicelib.processors.bulk_batches import Document
from chalicelib.processors.bulk_requests import Cluster
from chalicelib.processors.paths import find
from chalicelib.processors.rows import read_json


def documents_in(run: RunHandle, text: str, place: Any) -> Iterator[Document]:
    """The documents of files, one a line, empty lines left out; behind `place`, which is [file's number, line]."""
    found = find(run, text)
    first, skipped = place or (0, 0)
    read, total = sum(entry.size for entry in found.entries[:first]), found.size
    for number, entry in enumerate(found.entries[first:], first):
        done = 0
        packed = entry.path.name.endswith(".gz")
        for line, content in enumerate(lines_of(entry), 1):
            done += len(content)
            if (number == first and line <= skipped) or not content.strip():
                continue
            fraction = (read + (0 if packed else min(done, entry.size))) / total if total else None
            document = Document({}, line, [number, line], entry.name if len(found.entries) > 1 else "", fraction=fraction)
            try:
                source = read_json(content)
                if isinstance(source, dict):
                    document.source = source
                else:
                    document.problem = "an object is wanted"
            except ValueError as error:
                document.problem = f"no JSON: {error}"
            yield document
        read += entry.size


def documents_of(
    run: RunHandle, cluster: Cluster, index: str, query: dict[str, Any], sort: str, page: int, place: Any
) -> Iterator[Document]:
    """The documents of an index in the order of `sort`, with their ids; behind `place`, which is [sort values, how many, total].

    Nothing is kept in the cluster between two pages, so that reading may go on at any time.
    """
    after, line, total = place or (None, 0, None)
    while True:
        body: dict[str, Any] = {"query": query, "size": page, "sort": [{sort: "asc"}], "track_total_hits": total is None}
        found = cluster.search(run, index, body | ({"search_after": after} if after is not None else {}))
        if total is None:
            total = _total(found)
        if not found["hits"]:
            break
        for hit in found["hits"]:
            line, after = line + 1, hit["sort"]
            fraction = line / total if total else None
            yield Document(hit.get("_source", {}), line, [after, line, total], id=hit["_id"], fraction=fraction)
    if line < total:
        hint = f"is '{sort}' another one in every document?"
        run.log(f"{index} had {total} documents at the beginning, {line} were read: {hint}", level="warning")


def _total(found: dict[str, Any]) -> int:
    total = found.get("total", 0)
    return int(total["value"] if isinstance(total, dict) else total)
