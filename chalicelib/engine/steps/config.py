"""A step's configuration once its references have values."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from chalicelib.domain.errors import StepError
from chalicelib.engine.failures import cut
from chalicelib.engine.progress import MOST_MESSAGE


def configured(processor: Any, written: dict[str, Any], config: dict[str, Any], masked: Callable[[Any], Any]) -> Any:
    """The processor with its configuration. Raises StepError that names the wrong fields.

    A number or boolean that a reference stands for is as good as its text, where a text is wanted: `command: [wc, "${item}"]`.
    """
    with suppress(ValidationError):
        return processor.model_validate(config)
    from chalicelib.catalog.faults import key_text, validate
    from chalicelib.domain.nesting import value_at
    from chalicelib.domain.references import has_reference

    _, faults = validate(processor, config)
    as_texts = copy.deepcopy(config)
    for fault in faults:
        value = value_at(config, fault.path)
        if isinstance(value, bool | int | float) and has_reference(value_at(written, fault.path)):
            value_at(as_texts, fault.path[:-1])[fault.path[-1]] = json.dumps(value)
    try:
        return processor.model_validate(as_texts)
    except ValidationError as error:
        wrong = error
    shown = validate(processor, masked(as_texts))[1]
    told = "; ".join(f"{key_text('', fault.path)}: {fault.message}".removeprefix(": ") for fault in shown)
    raise StepError(cut(told or str(masked(str(wrong))), MOST_MESSAGE)) from None
