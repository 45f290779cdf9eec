"""Tasks, parameters, pipelines and steps: what the catalog is made of."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chalicelib.domain.durations import seconds_of, text_of

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
LAMBDA_LIMIT_SECONDS = 900

SHORTEST_PERIOD = 60.0
"""Seconds. Nothing wakes the dispatcher more often."""

Overlap = Literal["allow", "queue", "skip", "replace"]
CatchUp = Literal["latest", "all", "none"]
ParameterType = Literal["text", "select", "boolean", "number", "date", "file", "multiline", "secret"]


class Definition(BaseModel):
    """A part of the catalog: immutable, and an unknown key is an error."""

    # Python's own words (`except`, `from`) are keys too: read and dumped by alias, named differently in code.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)


class Choice(Definition):
    """One entry of a select parameter."""

    value: str | int | float | bool
    label: str = ""


class Parameter(Definition):
    """One argument that a task takes. Bounds that do not fit the type are refused."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The argument's name")
    type: ParameterType = Field("text", description="Which kind")
    title: str = Field("", description="Label in the form; otherwise the name")
    help: str = Field("", description="A sentence below the field")
    required: bool = Field(False, description="Without it a run is refused")
    default: Any = Field(None, description="What holds when it is not given")
    choices: list[Choice] = Field([], description="Of a select: values, or {value, label}")
    pattern: str | None = Field(None, description="Regular expression that the whole text matches")
    min_length: int | None = Field(None, ge=0, description="Least characters")
    max_length: int | None = Field(None, ge=1, description="Most characters")
    minimum: float | str | None = Field(None, description="Lowest number, or earliest date")
    maximum: float | str | None = Field(None, description="Highest number, or latest date")
    integer: bool = Field(False, description="A number without a fraction")
    accept: str = Field("", description="File types, as in an HTML input: `.csv,text/csv`")
    max_bytes: int | None = Field(None, ge=1, description="Largest file")
    placeholder: str = Field("", description="Grey text in the empty field")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.type == "select" and not self.choices:
            raise ValueError("a select parameter needs choices, like choices: [sql, tar]")
        if self.type != "select" and self.choices:
            raise ValueError(f"choices belong to type: select, not to {self.type}")
        if self.pattern is not None:
            import re

            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern is not a regular expression: {error}") from None
        return self

    @field_validator("choices", mode="before")
    @classmethod
    def _plain_choices(cls, value: Any) -> Any:
        return [c if isinstance(c, dict | Choice) else {"value": c} for c in value] if isinstance(value, list) else value


class Step(Definition):
    """One configured use of a processor within a pipeline."""

    processor: str
    config: dict[str, Any] = {}
    name: str = ""


class Pipeline(Definition):
    """A named, ordered list of steps; several tasks may share one."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")
    description: str = ""
    steps: list[Step] = Field(min_length=1)


class Window(Definition):
    """When a task does not run. One of: times of day (`to` exclusive, over midnight if it is earlier), dates (inclusive), instants
    (`to` exclusive), or days of the week alone. `days` narrows times and dates to the days on which they begin.
    """

    from_: str | None = Field(None, alias="from", description="22:00, 2026-12-24 or 2026-12-24T18:00")
    to: str | None = Field(None, description="Of the same kind as from")
    days: str | None = Field(None, description="As in cron: MON-FRI or SAT,SUN")
    reason: str = Field("", description="What the ledger says of a fire within")

    @field_validator("days", mode="before")
    @classmethod
    def _days_as_text(cls, value: Any) -> Any:
        return ",".join(str(day) for day in value) if isinstance(value, list) else value


class Task(Definition):
    """A registered unit of work."""

    id: str = Field(pattern=ID_PATTERN, description="Letters, digits, `_`, `.` and `-`; at most 64")
    name: str = Field("", description="What people call it")
    title: str = Field("", description="The same")
    description: str = Field("", description="What it does, for the page and the command")
    category: str = Field("", description="maintenance, data, admin, report or any other")
    tags: list[str] = Field([], description="To find it by")
    icon: str = Field("", description="Name of an icon")
    enabled: bool = Field(True, description="A disabled task has no fires and starts no runs")
    schedule: str | None = Field(None, description="Cron expression of five fields, or a nickname like @hourly")
    every: float | None = Field(None, description="Time between fires, instead of a schedule; written like 90m")
    at: list[str] = Field([], description="Single instants, ISO 8601; without an offset in the task's zone")
    time_zone: str | None = Field(None, description="IANA zone of the schedule; None: the global one")
    start: str | None = Field(None, description="No fire before this date or instant; `every` counts from it")
    end: str | None = Field(None, description="No fire after this date (inclusive) or instant")
    blackouts: list[Window] = Field([], alias="except", description="Windows whose fires are skipped")
    spread: float | None = Field(None, description="The task has its own fixed delay within it; written like 10m")
    catch_up: CatchUp = Field("latest", description="Which of the fires that were missed still run")
    catch_up_limit: int = Field(10, ge=1, le=1000, description="At most so many of them with catch_up: all")
    overlap: Overlap = Field("allow", description="What a fire does while a run of the task is active")
    max_concurrent: int | None = Field(None, ge=1, description="Runs of this task at a time")
    pool: str | None = Field(None, description="Named semaphore that it shares with others")
    slots: int = Field(1, ge=1, description="How many slots a run takes, of the pool and of all")
    priority: int = Field(0, ge=-100, le=100, description="In the queue; higher goes first")
    rate_limit: str | None = Field(None, description="Most starts in a time, like 10/minute")
    depends_on: list[str] = Field([], description="Starts once each of these has succeeded since its last start")
    paused: bool = Field(False, description="Its fires are skipped until it is resumed")
    pipeline: str = Field(description="Name of the pipeline that it runs")
    timeout: float | None = Field(None, description="Longest that a run may take; written like 30m. None: TASK_TIMEOUT")
    retry_count: int = Field(0, ge=0, le=100, description="How many more attempts after one that failed for a passing reason")
    danger: str = Field("", description="A warning that is confirmed before each run")
    expensive: bool = Field(False, description="Shown as costly before a run")
    parameters: list[Parameter] = Field([], description="What a run can be given; a list, or a mapping by name")
    memory: int = Field(512, ge=128, le=10240, description="MB of its Lambda")
    metadata: dict[str, Any] = Field({}, description="Anything else worth keeping; shown with each result")

    @field_validator("timeout", mode="before")
    @classmethod
    def _written_timeout(cls, value: Any) -> Any:
        return None if value is None else seconds_of(value)

    @field_validator("every", "spread", mode="before")
    @classmethod
    def _whole_minutes(cls, value: Any) -> Any:
        if value is None:
            return None
        seconds = seconds_of(value)
        if seconds % SHORTEST_PERIOD:
            raise ValueError(f"is in whole minutes, like 90m or 2h, not {text_of(seconds)}: nothing fires within a minute")
        return seconds

    @field_validator("at", "depends_on", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _name_and_title(cls, value: Any) -> Any:
        """`name` and `title` are one thing said twice: either stands for both, and the id for neither."""
        if not isinstance(value, dict):
            return value
        label = value.get("title") or value.get("name") or value.get("id", "")
        return {**value, "name": value.get("name") or label, "title": value.get("title") or label}

    @property
    def limited(self) -> bool:
        """Whether its runs have a limit of their own."""
        return self.max_concurrent is not None or self.overlap != "allow"

    @property
    def limit(self) -> int:
        """Most runs at once of a limited task."""
        return self.max_concurrent or 1

    def timeout_text(self, default: float) -> str:
        """The timeout as people write it."""
        return text_of(self.timeout or default)


class ProcessorInfo(Definition):
    """What the catalog knows of a processor without importing it."""

    name: str
    module: str
    qualname: str
    description: str = ""
    config_schema: dict[str, Any] = {}


class CatalogTask(Task):
    """A task as compiled: with the place it was defined at and the Lambda that runs it."""

    function: str
    modules: list[str] = Field([], description="User modules that its Lambda imports")
    source: str = Field("", description="file:line")


class Catalog(Definition):
    """Every task, pipeline and processor known to the code."""

    version: int = 1
    digest: str = ""
    settings: dict[str, Any] = Field({}, description="The `task:` block")
    tasks: dict[str, CatalogTask] = {}
    pipelines: dict[str, Pipeline] = {}
    processors: dict[str, ProcessorInfo] = {}
