"""Hiding secrets in whatever leaves a run: its lines, results, errors, records."""

from __future__ import annotations

import base64
import json
import re
import threading
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST_PART = 4  # characters; a shorter line of a secret, or a shorter secret in disguise, is anybody's text


class Masker:
    """What must not be seen, and the one place that hides it. Safe between threads; secrets are only ever added."""

    def __init__(self, secrets: list[str] | None = None) -> None:
        self._known: set[str] = set()
        self._needles: tuple[str, ...] = ()  # longest first
        self._lock = threading.Lock()
        for secret in secrets or []:
            self.add(secret)

    @property
    def longest(self) -> int:
        """Characters of the longest text that is hidden: so much overlap keeps one from being cut in two unseen."""
        return len(self._needles[0]) if self._needles else 0

    def add(self, secret: str) -> None:
        """Hide a text from now on: as it is, each of its lines, and as JSON, URLs and base64 write it."""
        with self._lock:
            if not secret or secret in self._known:
                return
            self._known.add(secret)
            self._needles = tuple(sorted({*self._needles, *_disguises(secret)}, key=lambda text: (-len(text), text)))

    def hide(self, text: str) -> str:
        """The text with MASK for every secret in it; secrets that overlap are hidden as one."""
        found = [needle for needle in self._needles if needle in text]
        if not found:
            return text
        spans = sorted((start, start + len(needle)) for needle in found for start in _starts(needle, text))
        pieces: list[str] = []
        at = 0
        for start, end in spans:
            if start >= at:
                pieces += [text[at:start], MASK]
            at = max(at, end)
        return "".join([*pieces, text[at:]])

    def hide_in(self, value: Any) -> Any:
        """The same for every text, key and number within nested lists and mappings."""
        if not self._needles:
            return value
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {self.hide_in(key): self.hide_in(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide_in(inner) for inner in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return MASK if len(str(value)) >= SHORTEST_PART and str(value) in self._known else value
        return value


def _starts(needle: str, text: str) -> list[int]:
    starts, at = [], text.find(needle)
    while at >= 0:
        starts.append(at)
        at = text.find(needle, at + 1)
    return starts


def _disguises(secret: str) -> set[str]:
    found = {secret}
    lines = [secret, *(line.strip() for line in secret.splitlines())]
    for text in [line for line in lines if len(line) >= SHORTEST_PART]:
        found |= {text, text.strip(), *_written(text)}
    return {text for text in found if text}


def _written(text: str) -> set[str]:
    """As JSON, Python, URLs and base64 write it; padding is left off, so that both ways match."""
    quoted = {quote(text, safe="", errors="replace"), quote(text, errors="replace"), quote_plus(text, errors="replace")}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), each) for each in quoted}
    data = text.encode("utf-8", "surrogatepass")
    based = {base64.b64encode(data).decode().rstrip("="), base64.urlsafe_b64encode(data).decode().rstrip("=")}
    escaped = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    return quoted | lower | based | escaped
