"""A small search engine: `_bulk`, `_search` with `search_after`, `_refresh`, as Elasticsearch and OpenSearch answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.http_server import Answer, Asked, HttpServer, http_server

Verdict = tuple[int, dict[str, Any]] | None


class SearchEngine:
    """Keeps documents by index and id. `judge(action, id, source, number)` may refuse one: (status, error); `number` counts its tries."""

    def __init__(self, server: HttpServer) -> None:
        self.server, self.url = server, server.url
        self.indices: dict[str, dict[str, dict[str, Any]]] = {}
        self.judge: Callable[[str, str, dict[str, Any], int], Verdict] = lambda *_: None
        self.before: Callable[[Asked], Answer | None] = lambda asked: None
        self.tries: Counter[str] = Counter()
        self.batches: list[int] = []
        server.answer = self.answer

    def answer(self, asked: Asked) -> Answer:
        early = self.before(asked)
        if early is not None:
            return early
        index, _, what = asked.path.strip("/").partition("?")[0].partition("/")
        if what == "_bulk":
            assert asked.headers["content-type"] == "application/x-ndjson"
            return reply(self._bulk(index, asked.body))
        if what == "_search":
            return reply(self._search(index, json.loads(asked.body)))
        return reply({"_shards": {"total": 1}})

    def _bulk(self, index: str, body: bytes) -> dict[str, Any]:
        assert body.endswith(b"\n")
        lines = iter([json.loads(line) for line in body.splitlines()])
        items = []
        documents = self.indices.setdefault(index, {})
        for line in lines:
            ((action, told),) = line.items()
            source = {} if action == "delete" else next(lines)
            identity = told.get("_id") or f"auto{len(documents)}"
            self.tries[identity] += 1
            verdict = self.judge(action, identity, source, self.tries[identity])
            if verdict is not None:
                items.append({action: {"_index": index, "_id": identity, "status": verdict[0], "error": verdict[1]}})
                continue
            if action == "delete":
                status = 200 if documents.pop(identity, None) is not None else 404
            elif action == "update":
                status = 200 if identity in documents else 201
                documents[identity] = documents.get(identity, {}) | source["doc"]
            else:
                status = 200 if identity in documents else 201
                documents[identity] = source
            items.append({action: {"_index": index, "_id": identity, "status": status}})
        self.batches.append(len(items))
        return {"took": 1, "errors": any("error" in next(iter(item.values())) for item in items), "items": items}

    def _search(self, index: str, asked: dict[str, Any]) -> dict[str, Any]:
        ((field, _),) = asked["sort"][0].items()
        found = sorted(
            (source.get(field, key) if field != "_id" else key, key, source) for key, source in self.indices[index].items()
        )
        rest = [row for row in found if "search_after" not in asked or [row[0]] > asked["search_after"]]
        hits = [{"_id": key, "_source": source, "sort": [value]} for value, key, source in rest[: asked["size"]]]
        return {"hits": {"total": {"value": len(found), "relation": "eq"}, "hits": hits}}


def reply(content: Any, status: int = 200) -> Answer:
    """JSON."""
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


@contextmanager
def search_engine() -> Iterator[SearchEngine]:
    """One that runs."""
    with http_server() as server:
        yield SearchEngine(server)
