"""Documents on their way to a search engine, and the requests they are sent in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chalicelib.processors.rows import json_text


@dataclass
class Document:
    """One document. `line` counts from 1 in its file (or index); `place` is where to go on behind it, `fraction` how far that is.

    A `problem` stands for a line that is no document.
    """

    source: dict[str, Any]
    line: int
    place: Any
    file: str = ""
    id: str | None = None
    fraction: float | None = None
    problem: str = ""

    def lines(self, operation: str, id_field: str | None) -> bytes:
        """The lines of the bulk API. ValueError when it has no id where one is asked for."""
        if self.problem:
            raise ValueError(self.problem)
        if id_field is not None:
            value = self.source.get(id_field)
            if value is None or isinstance(value, dict | list):
                raise ValueError(f"the field '{id_field}', its id, is missing or no plain value")
            self.id = str(value)
        action = json.dumps({operation: {} if self.id is None else {"_id": self.id}})
        if operation == "delete":
            return f"{action}\n".encode()
        body = {"doc": self.source, "doc_as_upsert": True} if operation == "update" else self.source
        return f"{action}\n{json_text(body)}\n".encode()

    def rejection(self, status: int | None, kind: str, reason: str) -> dict[str, Any]:
        """What is told of it when it is not taken."""
        told = {"line": self.line, "id": self.id, "status": status, "type": kind, "reason": reason[:500]}
        return {"file": self.file, **told} if self.file else told


@dataclass
class Batch:
    """The documents of one request and their lines; and what became of them."""

    documents: list[tuple[Document, bytes]] = field(default_factory=list)
    size: int = 0
    place: Any = None
    fraction: float | None = None
    indexed: int = 0
    retried: int = 0
    bytes: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)


def batches(documents: Iterable[Document], lines: Callable[[Document], bytes], most: int, most_bytes: int) -> Iterator[Batch]:
    """Batches of `most` documents and, but for a single large one, `most_bytes`. What has no lines is rejected at once."""
    batch = Batch()
    for document in documents:
        content, rejection = b"", None
        try:
            content = lines(document)
        except ValueError as error:
            rejection = document.rejection(None, "malformed_document", str(error))
        full = len(batch.documents) + len(batch.rejected) >= most
        if full or (batch.documents and batch.size + len(content) > most_bytes):
            yield batch
            batch = Batch()
        if rejection is not None:
            batch.rejected.append(rejection)
        else:
            batch.documents.append((document, content))
            batch.size += len(content)
        batch.place, batch.fraction = document.place, document.fraction
    if batch.documents or batch.rejected:
        yield batch
