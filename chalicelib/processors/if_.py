"""The processor `if`."""

from __future__ import annotations

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.nesting import Condition, Steps
from chalicelib.processors.control import Checkpoints, Control, Flow, Inner, wrapped


@processor("if")
class If(Control):
    """Runs the steps under `then` where the condition holds, else those under `else`.

    `then` and `else` stand beside it, as `name` does: `- if: {exists: "${args.file}"}`, `then: [...]`, `else: [...]`.
    """

    condition: Condition = Field(description="What stands behind `if:`, as in `when`")
    then: Steps = Field(min_length=1, description="Steps, beside `if`")
    else_: Steps = Field([], alias="else", description="Steps, beside `if`; default: none")

    def describe(self, run: RunHandle) -> str:
        """Which lists there are."""
        return "Runs the steps under then, or else those under else" if self.else_ else "Runs the steps under then, or nothing"

    def control(self, run: RunHandle, flow: Flow) -> Checkpoints:
        """Output: the outputs of the steps that ran, by name."""
        saved = run.checkpoint or {"branch": "then" if flow.holds(self.condition) else "else", "inner": None}
        branch = saved["branch"]
        inner = Inner(self.then if branch == "then" else self.else_, (branch,), saved=saved["inner"])
        return (yield from wrapped(flow.run(inner), lambda position: {"branch": branch, "inner": position}))
