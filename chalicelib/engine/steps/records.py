"""What a run keeps and says of each step."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.clock import iso, now_ms
from chalicelib.domain.durations import text_of
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.engine.failures import cut
from chalicelib.engine.progress import Progress
from chalicelib.store.codec import to_json

MOST_OUTPUT = 4_000  # characters of JSON up to which a step's record shows its output; the result has it anyway
MOST_NESTED = 300  # records of steps within steps: all of a run are in one item of 400 KB. The events have every one
MOST_FAILED = 100  # failed ones beyond those
MOST_WARNINGS = 100
MOST_WARNING = 500  # characters

Record = dict[str, Any]


class Records:
    """The records in a pipeline's state, and the events that tell of them."""

    def __init__(self, state: PipelineState, progress: Progress) -> None:
        self.state, self.progress = state, progress
        self._nested = sum(1 for record in state.steps if record.get("depth"))
        self._known = {record["name"]: record for record in state.steps}

    def begin(self, shown: Record, resumed: bool) -> Record:
        """The record of a step that begins: `index`, `name`, `processor`, `depth`; or the one it has had in the Lambda before."""
        known = self._known.get(shown["name"])
        if resumed and known is not None and known["status"] == "running":
            return known
        record = shown | {"status": "running", "started": self.progress.seq + 1, "began": iso(now_ms())}
        self._keep(record)
        self.say(record)
        return record

    def note(self, shown: Record, **values: Any) -> Record:
        """The record of a step that does not come to run."""
        record = shown | values
        self._keep(record, failed=record["status"] == "failed")
        self.say(record, **({"error": record["error"]} if "error" in record else {}))
        return record

    def end(self, record: Record, status: str, seconds: float, **values: Any) -> None:
        """It has ended so, after so many seconds in all."""
        seconds = round(seconds, 3)
        record |= {"status": status, "seconds": seconds, "duration": text_of(seconds)} | values
        if status == "failed":
            self._keep(record, failed=True)
        self.say(record, duration=record["duration"], **values)

    def say(self, record: Record, **values: Any) -> None:
        """An event about it."""
        shown = {key: record[key] for key in ("index", "name", "processor", "depth", "attempt") if record.get(key) is not None}
        if not record["depth"]:
            del shown["depth"]
        self.progress.say("step", **{**shown, "status": record["status"], **values})

    def show_output(self, record: Record, output: Any) -> None:
        """Keep what it gave, if it is short. Of nested steps the step around them has it."""
        if len(to_json(output)) <= MOST_OUTPUT and not record["depth"]:
            record["output"] = output if isinstance(output, dict) else {"value": output}

    def warn(self, step: str, message: str) -> None:
        """The run goes on in spite of this."""
        kept = self.state.warnings
        if len(kept) < MOST_WARNINGS:
            kept.append({"step": step, "message": cut(message, MOST_WARNING)})
        elif len(kept) == MOST_WARNINGS:
            kept.append({"step": step, "message": "and more, which the log tells"})

    def close(self) -> None:
        """No step runs any more: what was broken off has been stopped."""
        for record in list(self.state.steps):
            if record["status"] == "running":
                record["status"] = "stopped"

    def _keep(self, record: Record, failed: bool = False) -> None:
        name = record["name"]
        known = self._known.get(name)
        if known is record:
            return
        if known is not None:  # the step around it is tried again
            self.state.steps[next(n for n, kept in enumerate(self.state.steps) if kept is known)] = record
        elif record["depth"] and self._nested >= MOST_NESTED + (MOST_FAILED if failed else 0):
            return
        else:
            self._nested += bool(record["depth"])
            self.state.steps.append(record)
        self._known[name] = record
