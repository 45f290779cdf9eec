"""A trace as a segment document of AWS X-Ray."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chalicelib.domain.tracing.spans import Span, clean, trace_id

MOST_BYTES = 64_000  # of a document
MOST_MESSAGE = 1_000
MOST_NAME = 200
_NOT_IN_NAMES = re.compile(r"[^\w\s.:/%&#=+\-@]")


def segment_of(run_id: str, spans: Iterable[Span], stage: str) -> str:
    """The document, as JSON. Where it would be too long, the last steps are left out, and it says how many spans are in it."""
    root, *others = list(spans)
    while True:
        text = json.dumps(_document(run_id, root, others, stage))
        if len(text) <= MOST_BYTES or not others:
            return text
        others = others[: len(others) * 3 // 4]  # parents come before their children
        root = replace(root, attributes={**root.attributes, "nightshift.spans_kept": len(others)})


def _document(run_id: str, root: Span, others: list[Span], stage: str) -> dict[str, Any]:
    trace = trace_id(run_id)
    document = _segment(root) | {"trace_id": f"1-{trace[:8]}-{trace[8:]}", "annotations": _annotations(root, stage)}
    known = {root.id: document}
    for span in others:
        known[span.id] = told = _segment(span)
        known.get(span.parent or root.id, document).setdefault("subsegments", []).append(told)
    return document


def _segment(span: Span) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": span.id,
        "name": _NOT_IN_NAMES.sub("_", span.name)[:MOST_NAME],
        "start_time": span.start / 1000,
        "end_time": span.end / 1000,
    }
    if span.attributes:
        told["metadata"] = {"nightshift": dict(span.attributes)}
    if span.outcome == "error":
        told["fault"] = True
    if span.error:
        says = {"type": clean(span.error["type"]), "message": clean(span.error["message"])[:MOST_MESSAGE]}
        told["cause"] = {"exceptions": [{"id": span.id, **says}]}
    return told


def _annotations(root: Span, stage: str) -> dict[str, Any]:
    """What X-Ray can be searched by: `annotation.task = "backup"`."""
    about = {name.removeprefix("nightshift.").replace(".", "_"): value for name, value in root.attributes.items()}
    kept = {"run_id": "run", "task_id": "task", "status": "status", "trigger": "trigger", "attempts": "attempts"}
    return {"stage": stage} | {short: about[name] for name, short in kept.items() if name in about}
