"""The processor `check_disk_space`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Location, find_folder


@processor("check_disk_space")
class CheckDiskSpace(Processor):
    """Fails when more of a disk is used than the threshold says."""

    threshold: float = Field(90, gt=0, le=100, description="Percent that may be used")
    path: Location | None = Field(None, description="A folder on the disk; default: the run's workspace")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path, used_percent, threshold, total, free (bytes)."""
        import psutil

        folder = find_folder(run, self.path) if self.path else run.workspace
        with said_plainly(f"looking at the disk of {folder}"):
            usage = psutil.disk_usage(str(folder))
        text = f"disk of {folder}: {usage.percent} % used, {size_text(usage.free)} of {size_text(usage.total)} free"
        if usage.percent > self.threshold:
            raise StepError(f"{text}; at most {self.threshold:g} % may be used")
        run.log(f"{text} (threshold {self.threshold:g} %)")
        return {
            "path": str(folder),
            "used_percent": usage.percent,
            "threshold": self.threshold,
            "total": usage.total,
            "free": usage.free,
        }

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"fails when more than {self.threshold:g} % of the disk of {self.path or 'the workspace'} is used"
