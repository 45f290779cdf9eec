"""What a failure looks like in a run: the user's own frames first."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from chalicelib.domain.errors import NightshiftError
from chalicelib.engine.progress import MOST_MESSAGE

Mask = Callable[[str], str]

MOST_TRACEBACK = 20_000  # characters
ENGINE_FILES = (
    "chalicelib/engine/",
    "chalicelib/processors/python.py",
    "chalicelib/processors/call.py",
    "chalicelib/processors/functions.py",
    "chalicelib/processors/control.py",
    "chalicelib/processors/for_each.py",
    "chalicelib/processors/parallel.py",
    "chalicelib/processors/if_.py",
    "chalicelib/catalog/",
    "awslambdaric/",
    "pydantic/",
    "importlib",
)


def error_of(cause: BaseException, step: str | None, mask: Mask = str) -> dict[str, Any]:
    """`{type, message, step, traceback}`, the engine's own frames left out: the user's come first and last.

    `mask` hides secrets, which has to be before a text is cut.
    """
    frames = traceback.extract_tb(cause.__traceback__)
    own = [f for f in frames if not any(part in f.filename for part in ENGINE_FILES)]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(own)] if own else []
    lines += traceback.format_exception_only(cause)
    if cause.__cause__ is not None:
        lines = [*traceback.format_exception(cause.__cause__), "\nwhich led to:\n\n", *lines]
    message = cause.message if isinstance(cause, NightshiftError) else str(cause)
    text = "".join(lines)
    return {
        "type": type(cause).__name__,
        "message": cut(mask(message), MOST_MESSAGE),
        "step": step,
        "traceback": cut(mask(text), MOST_TRACEBACK),
    }


def one_line(cause: BaseException, mask: Mask = str) -> str:
    """Type and message, as a step's record has them."""
    return cut(mask(f"{type(cause).__name__}: {cause}"), MOST_MESSAGE)


def cut(text: str, most: int) -> str:
    """The text; of one that is too long for the run's item its beginning and its end."""
    return text if len(text) <= most else f"{text[: most // 2]}\n… {len(text) - most} characters …\n{text[-most // 2 :]}"
