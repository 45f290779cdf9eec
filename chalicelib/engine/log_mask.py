"""Log records of a run's code go to the function's own log, which shows no secrets either."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.domain.masking import Masker

OWN_LOGGER = "nightshift"  # of bootstrap.py; it has a handler of its own


class _Mask(logging.Filter):
    def __init__(self, masker: Masker) -> None:
        super().__init__()
        self._masker = masker

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = self._masker.hide(message)
        if hidden != message:
            record.msg, record.args = hidden, None
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            if (hidden := self._masker.hide(text)) != text:
                record.exc_info, record.exc_text = None, hidden
        return True


@contextmanager
def masked_logs(masker: Masker) -> Iterator[None]:
    """Within: no handler that there is lets a secret out."""
    handlers = [*logging.getLogger().handlers, *logging.getLogger(OWN_LOGGER).handlers]
    mask = _Mask(masker)
    for handler in handlers:
        handler.addFilter(mask)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(mask)
