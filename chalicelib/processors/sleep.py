"""The processor `sleep`."""

from __future__ import annotations

import time
from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.durations import text_of
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor

_TICK = 0.2  # seconds between two looks at whether somebody pressed stop


@processor("sleep")
class Sleep(Processor):
    """Waits, for instance until another system has caught up."""

    duration: Duration = Field(description="How long: 5s, 2m, 1m30s")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: seconds."""
        start = time.monotonic()
        while (passed := time.monotonic() - start) < self.duration:
            run.check_stopped()
            run.progress(passed / self.duration, f"{text_of(self.duration - passed)} left")
            time.sleep(min(_TICK, self.duration - passed))
        run.progress(1.0)
        return {"seconds": self.duration}
