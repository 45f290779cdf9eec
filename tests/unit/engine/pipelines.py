"""Pipelines from YAML, run in this process without a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from chalicelib.catalog.decorators import PROCESSORS
from chalicelib.catalog.pipelines import check_pipeline
from chalicelib.catalog.yaml_source import read_documents
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.model import Catalog, Pipeline, ProcessorInfo
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.engine.pipeline import LegOver, PipelineFailed, never, run_pipeline
from chalicelib.engine.progress import Progress
from chalicelib.engine.values import Values
from chalicelib.processors import (  # noqa: F401 - registered
    check_disk_space,
    compress,
    copy,
    echo,
    exec,
    for_each,
    if_,
    parallel,
    send_alert,
    set,
    sleep,
)

FUNCTIONS: dict[str, Callable[..., Any]] = {}


class Do(BaseModel):
    """`- do: {f: name, x: ...}`: a function of the test, given the handle and x."""

    model_config = ConfigDict(extra="forbid")
    f: str
    x: Any = None

    def __call__(self, run: RunHandle) -> Any:
        return FUNCTIONS[self.f](run, self.x)


class Handle(RunHandle):
    """Remembers what it is told."""

    def __init__(self, workspace: Path, args: dict[str, Any], progress: Progress) -> None:
        super().__init__("01RUN", "a_task", args)
        self.workspace = workspace
        self.said: list[str] = []
        self.fractions: list[float] = []
        self._progress = progress

    def log(self, text: str, level: Any = "info") -> None:
        self.said.append(text)
        self._progress.line(text, "log", level=level)

    def write(self, text: str, stream: Any = "stdout") -> None:
        self._progress.line(text, stream)

    def progress(self, fraction: float, message: str = "") -> None:
        self.fractions.append(fraction)


class Bench:
    """One run of one pipeline, in as many legs as it takes."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.state = PipelineState()
        self.progress = Progress(100_000, 0)
        self.secret: Callable[[str], str] = lambda name: f"secret of {name}"
        self.legs = 1
        self.handle = Handle(workspace, {}, self.progress)

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function callable as `do: {f: its name}`."""
        FUNCTIONS[function.__name__] = function
        return function

    def pipeline(self, text: str) -> Pipeline:
        file = self.workspace.with_suffix(".yaml")
        file.write_text(text)
        [document], problems = read_documents(file, file.name)
        assert not problems
        raw: Any = document.data
        raw = raw if isinstance(raw, dict) else {"processors": raw}
        pipeline, faults = check_pipeline({"name": "p", **raw}, {**PROCESSORS, "do": Do})
        assert pipeline is not None, [(fault.path, fault.message) for fault in faults]
        return pipeline

    def catalog(self) -> Catalog:
        infos = {name: ProcessorInfo(name=name, module=c.__module__, qualname=c.__qualname__) for name, c in PROCESSORS.items()}
        return Catalog(processors={**infos, "do": ProcessorInfo(name="do", module=__name__, qualname="Do")})

    def run(self, text: str, leg_due: Callable[[], bool] = never, **args: Any) -> Any:
        """The result; a leg that is over is followed by another, from the JSON of its state."""
        pipeline, catalog = self.pipeline(text), self.catalog()
        sys.modules.setdefault(__name__, sys.modules[Do.__module__])
        while True:
            self.handle = Handle(self.workspace, args, self.progress)
            values = Values(self.handle, self.secret, self.state)
            try:
                return run_pipeline(catalog, pipeline, self.handle, self.progress, self.state, values, leg_due)
            except LegOver:
                self.legs += 1
                self.state = PipelineState.from_json(json.loads(json.dumps(self.state.to_json())))

    def fails(self, text: str, leg_due: Callable[[], bool] = never, **args: Any) -> dict[str, Any]:
        """The error of a pipeline that fails."""
        try:
            result = self.run(text, leg_due, **args)
        except PipelineFailed as failed:
            return failed.error
        raise AssertionError(f"it did not fail: {result}")

    def events(self, kind: str = "step") -> list[dict[str, Any]]:
        return [event for event in self.progress._events if event["type"] == kind]

    def lines(self, stream: str = "stdout") -> list[str]:
        return [event["text"] for event in self.progress._events if event["type"] == "line" and event["stream"] == stream]

    def statuses(self) -> dict[str, str]:
        return {record["name"]: record["status"] for record in self.state.steps}
