"""bulk_index: what is rejected does not hold up the rest, and is told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.domain.errors import StepError, StoppedError, TransientError
from chalicelib.processors.bulk_index import BulkIndex
from tests.support.search_engine import SearchEngine, reply, search_engine
from tests.unit.processors.recorder import Recorder

BAD = {"type": "mapper_parsing_exception", "reason": "failed to parse [n]", "caused_by": {"reason": "not a number"}}
BUSY = {"type": "es_rejected_execution_exception", "reason": "queue full"}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[SearchEngine]:
    monkeypatch.setattr("chalicelib.processors.bulk_requests._FIRST_WAIT", 0.001)
    with search_engine() as running:
        yield running


def lines(run: Recorder, count: int, name: str = "docs.jsonl") -> list[dict[str, Any]]:
    documents = [{"id": f"d{number:03}", "n": number, "text": "ü" * 10} for number in range(1, count + 1)]
    (run.workspace / name).write_text("".join(json.dumps(document) + "\n" for document in documents))
    return documents


def bulk(engine: SearchEngine, **config: Any) -> BulkIndex:
    return BulkIndex.model_validate({"url": engine.url, "index": "things", "source": "./docs.jsonl", "id_field": "id"} | config)


def finish(steps: Generator[Any, None, Any]) -> dict[str, Any]:
    """The output of a step that yields checkpoints."""
    while True:
        try:
            json.dumps(next(steps))
        except StopIteration as end:
            return dict(end.value)


def test_documents_arrive_in_batches_by_count_and_bytes(run: Recorder, engine: SearchEngine) -> None:
    documents = lines(run, 25)
    output = finish(bulk(engine, batch=10, refresh=True, auth={"api_key": "k"})(run))
    assert (output["indexed"], output["rejected"], output["rejected_count"]) == (25, [], 0)
    assert engine.indices["things"] == {document["id"]: document for document in documents}
    assert engine.batches == [10, 10, 5]
    assert engine.server.asked[0].headers["authorization"] == "ApiKey k"
    assert engine.server.asked[-1].path == "/things/_refresh"
    assert run.fractions == sorted(run.fractions)
    engine.batches.clear()
    finish(bulk(engine, batch_bytes=1000)(run))
    assert sum(engine.batches) == 25
    assert all(len(asked.body) <= 1000 for asked in engine.server.asked[-3:])


def test_rejected_documents_are_told_and_the_rest_is_kept(run: Recorder, engine: SearchEngine) -> None:
    lines(run, 12)
    engine.judge = lambda action, key, source, number: (400, BAD) if source["n"] % 5 == 0 else None
    with pytest.raises(StepError, match=r"2 of 12 documents were rejected, the others are kept: line 5 \(id d005\): mapper_pars"):
        finish(bulk(engine, batch=4)(run))
    assert len(engine.indices["things"]) == 10
    output = finish(bulk(engine, batch=4, on_rejected="continue")(run))
    assert (output["indexed"], output["rejected_count"]) == (10, 2)
    told = {"status": 400, "type": "mapper_parsing_exception", "reason": "failed to parse [n] (not a number)"}
    assert output["rejected"] == [{"line": 5, "id": "d005", **told}, {"line": 10, "id": "d010", **told}]
    assert run.texts("warning")[-1].startswith("rejected: line 10 (id d010): mapper_parsing_exception")


def test_what_the_cluster_is_too_busy_for_is_sent_again(run: Recorder, engine: SearchEngine) -> None:
    lines(run, 5)
    engine.judge = lambda action, key, source, number: (429, BUSY) if source["n"] == 2 and number < 3 else None
    output = finish(bulk(engine)(run))
    assert (output["indexed"], output["retried"]) == (5, 2)
    assert engine.batches == [5, 1, 1]
    engine.judge = lambda action, key, source, number: (503, BUSY) if source["n"] == 4 else None
    output = finish(bulk(engine, retries=1, on_rejected="continue")(run))
    assert [(one["line"], one["status"]) for one in output["rejected"]] == [(4, 503)]


def test_whole_request_is_tried_again_and_halved(run: Recorder, engine: SearchEngine) -> None:
    lines(run, 8)
    answers = iter([(503, {"Retry-After": "0"}, b""), (429, {}, b"")])
    engine.before = lambda asked: next(answers, None)
    assert finish(bulk(engine)(run))["indexed"] == 8
    engine.before = lambda asked: (413, {}, b"") if len(asked.body) > 200 else None
    engine.batches.clear()
    assert finish(bulk(engine)(run))["indexed"] == 8
    assert engine.batches == [2, 2, 2, 2]
    engine.before = lambda asked: (413, {}, b"")
    output = finish(bulk(engine, on_rejected="continue")(run))
    assert {one["type"] for one in output["rejected"]} == {"too_large"}


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ((401, {}, b"missing credentials"), StepError, "answered 401 Unauthorized: missing credentials"),
        ((503, {}, b""), TransientError, "answered 503"),
        ((200, {}, b"<html>"), StepError, "answers what is no JSON"),
        (reply({"hello": 1}), StepError, "does not answer as a bulk API does"),
    ],
)
def test_cluster_that_does_not_work_is_told(run: Recorder, engine: SearchEngine, answer: Any, kind: Any, says: str) -> None:
    lines(run, 1)
    engine.before = lambda asked: answer
    with pytest.raises(kind, match=says):
        finish(bulk(engine, retries=1)(run))


def test_lines_that_are_no_documents_are_rejected_by_their_number(run: Recorder, engine: SearchEngine) -> None:
    (run.workspace / "docs.jsonl").write_text('{"id": 1}\n\nno json\n[1]\n{"n": 1}\n{"id": 2.50}\n')
    output = finish(bulk(engine, on_rejected="continue", batch=2)(run))
    assert [one["line"] for one in output["rejected"]] == [3, 4, 5]
    assert [one["reason"].split(":")[0] for one in output["rejected"]] == [
        "no JSON",
        "an object is wanted",
        "the field 'id', its id, is missing or no plain value",
    ]
    assert set(engine.indices["things"]) == {"1", "2.50"}


def test_rejections_in_the_output_are_bounded(run: Recorder, engine: SearchEngine) -> None:
    (run.workspace / "docs.jsonl").write_text("x\n" * 1000)
    output = finish(bulk(engine, on_rejected="continue")(run))
    assert (len(output["rejected"]), output["rejected_count"], len(run.texts("warning"))) == (100, 1000, 100)


def test_folder_of_packed_files_tells_the_file(run: Recorder, engine: SearchEngine) -> None:
    folder = run.workspace / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"id": "a"}\n')
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b'{"id": "b"}\n') + gzip.compress(b"{}\n"))
    output = finish(bulk(engine, source="./in", on_rejected="continue")(run))
    assert (output["indexed"], [(one["file"], one["line"]) for one in output["rejected"]]) == (2, [("b.jsonl.gz", 2)])


@pytest.mark.parametrize(("operation", "left"), [("update", {"d001": 1, "old": 0}), ("delete", {"old": 0}), ("create", None)])
def test_operation_is_what_the_cluster_is_told(run: Recorder, engine: SearchEngine, operation: str, left: Any) -> None:
    lines(run, 1)
    engine.indices["things"] = {"old": {"n": 0}}
    finish(bulk(engine, operation=operation)(run))
    assert json.loads(engine.server.asked[0].body.splitlines()[0]) == {operation: {"_id": "d001"}}
    if left:
        assert {key: document["n"] for key, document in engine.indices["things"].items()} == left


def test_goes_on_where_another_invocation_ended(run: Recorder, engine: SearchEngine) -> None:
    lines(run, 10)
    engine.judge = lambda action, key, source, number: (400, BAD) if source["n"] == 2 else None
    step = bulk(engine, batch=3, on_rejected="continue")
    first = step(run)
    next(first)
    run.checkpoint = json.loads(json.dumps(next(first)))
    first.close()
    assert finish(step(run)) | {"bytes": 0} == {
        "indexed": 9,
        "rejected_count": 1,
        "retried": 0,
        "bytes": 0,
        "rejected": [{"line": 2, "id": "d002", "status": 400, "type": BAD["type"], "reason": "failed to parse [n] (not a number)"}],
    }
    assert max(engine.tries.values()) == 1


def test_index_is_copied_and_gone_on_with(run: Recorder, engine: SearchEngine) -> None:
    engine.indices["old"] = {f"k{number:02}": {"n": number / 3} for number in range(23)}
    config = {"from": {"url": engine.url, "index": "old", "page": 10}, "source": None, "id_field": None, "batch": 7}
    step = bulk(engine, **config)
    first = step(run)
    next(first)
    run.checkpoint = json.loads(json.dumps(next(first)))
    first.close()
    assert finish(step(run))["indexed"] == 23
    assert engine.indices["things"] == engine.indices["old"]
    assert max(engine.tries.values()) == 1
    assert run.texts("warning") == []
    run.checkpoint = None
    engine.indices["old"] = {f"k{number:02}": {"n": 0} for number in range(23)}
    finish(bulk(engine, **config | {"from": {"url": engine.url, "index": "old", "page": 10, "sort": "n"}})(run))
    assert run.texts("warning") == ["old had 23 documents at the beginning, 10 were read: is 'n' another one in every document?"]


def test_stop_is_heard_while_waiting_for_a_busy_cluster(
    run: Recorder, engine: SearchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.processors.bulk_requests._FIRST_WAIT", 1000)
    lines(run, 1)
    engine.before = lambda asked: (503, {"Retry-After": "20"}, b"")
    run.stop_when = lambda: bool(engine.server.asked)
    with pytest.raises(StoppedError):
        finish(bulk(engine)(run))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"index": "Upper"}, "pattern"),
        ({"index": "a/../b"}, "pattern"),
        ({"index": "_all"}, "pattern"),
        ({"operation": "delete", "id_field": None}, "operation delete needs an id"),
        ({"from": {"url": "http://h", "index": "x"}}, "give source or from"),
        ({"url": "search:9200"}, "a URL is wanted"),
    ],
)
def test_config_that_cannot_work_is_refused(engine: SearchEngine, config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        bulk(engine, **config)
