"""How far a run's pipeline has come: all that another Lambda invocation needs to go on with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class PipelineState:
    """JSON-able. The engine keeps it current between two top-level steps and at each checkpoint of the step at hand."""

    next: int = 0  # index of the top-level step to begin or go on with
    checkpoint: Any = None  # what that step yielded last
    expected: float = 0.0  # seconds until it can be left again, as far as those before tell; 0: nobody knows
    # [{index, name, processor, status, seconds, duration, depth, attempt?, output?, error?}]; nested ones are named by their path
    steps: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)  # by the top-level step's name
    previous: dict[str, Any] = field(default_factory=dict)  # the last step's
    variables: dict[str, Any] = field(default_factory=dict)  # what `set` has set
    failure: dict[str, Any] | None = None  # {type, message, step} of the first step that failed
    warnings: list[dict[str, Any]] = field(default_factory=list)  # [{step, message}] failures that the run goes on in spite of

    @property
    def partial(self) -> bool:
        """Whether something failed that was allowed to."""
        return bool(self.warnings)

    def to_json(self) -> dict[str, Any]:
        """Plain mappings and lists, a copy."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PipelineState:
        """The state of `to_json`; what an older version did not know has its default."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: part for name, part in value.items() if name in known})
