"""The processor `check_memory`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.meter import size_text


@processor("check_memory")
class CheckMemory(Processor):
    """Fails when more of the machine's memory is used than the threshold says."""

    threshold: float = Field(90, gt=0, le=100, description="Percent that may be used")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: used_percent, threshold, total, available (bytes)."""
        import psutil

        memory = psutil.virtual_memory()
        text = f"memory: {memory.percent} % used, {size_text(memory.available)} of {size_text(memory.total)} available"
        if memory.percent > self.threshold:
            raise StepError(f"{text}; at most {self.threshold:g} % may be used")
        run.log(f"{text} (threshold {self.threshold:g} %)")
        return {
            "used_percent": memory.percent,
            "threshold": self.threshold,
            "total": memory.total,
            "available": memory.available,
        }

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"fails when more than {self.threshold:g} % of the memory is used"
