"""Tasks, parameters, pipelines and steps: what the catalog is made of."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from chalicelib.domain.definition import Definition, Seconds
from chalicelib.domain.durations import seconds_of, text_of
from chalicelib.domain.parameter import Choice as Choice
from chalicelib.domain.parameter import Parameter as Parameter
from chalicelib.domain.parameter import ParameterType as ParameterType
from chalicelib.domain.permissions import Permission
from chalicelib.domain.retry import MOST_RETRIES, Retry, RetryPolicy, policy_of, retry_of

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
LAMBDA_LIMIT_SECONDS = 900

FUNCTION_KEYS = frozenset(
    {"memory", "ephemeral_storage", "reserved_concurrency", "environment", "subnet_ids", "security_group_ids", "permissions"}
)
"""Keys of a task about its own Lambda: they take effect with a deploy, and a task made at run time has none of them."""

SHORTEST_PERIOD = 60.0
"""Seconds. Nothing wakes the dispatcher more often."""

Overlap = Literal["allow", "queue", "skip", "replace"]
OnError = Literal["fail", "continue"]
CatchUp = Literal["latest", "all", "none"]


class Step(Definition):
    """One configured use of a processor within a pipeline."""

    processor: str = Field(description="Which kind of step")
    config: dict[str, Any] = Field({}, description="Its configuration")
    name: str = Field("", description="What it is called in the run and in `${steps.NAME.output}`; default: the processor's name")
    when: Any = Field(True, description="A condition; the step is skipped where it does not hold")
    on_error: OnError = Field("fail", description="continue: the run goes on when the step fails, and is a partial success")
    timeout: Seconds | None = Field(None, description="Longest that one try may take; written like 30s or 10m")
    retry: Retry | None = Field(None, description="Further tries: a number, or {count, base: 1s, max: 5m, on: transient}")


class Pipeline(Definition):
    """A named, ordered list of steps; several tasks may share one."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$", description="What tasks refer to")
    description: str = Field("", description="What it does, for people")
    steps: list[Step] = Field(min_length=1, description="Written under `processors`; run in order")
    on_success: list[Step] = Field([], description="Run at the end when every step before was well")
    on_failure: list[Step] = Field([], description="Run when a step has failed; they see `${error.message}`")
    always: list[Step] = Field([], description="Run last in any case, a stop included")


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
    timeout: Seconds | None = Field(None, description="Longest that a run may take; written like 30m. None: TASK_TIMEOUT")
    retry_count: int = Field(0, ge=0, le=100, description="How many more attempts after one that failed for a passing reason")
    retry: Retry | None = Field(
        None, description="The same with waits and reasons: a number, or {count, base: 1s, max: 5m, on: transient | any | [types]}"
    )
    artifacts: list[str] = Field([], description="Files of the workspace that are kept with the run, like [out/*.csv]")
    danger: str = Field("", description="A warning that is confirmed before each run")
    expensive: bool = Field(False, description="Shown as costly before a run")
    parameters: list[Parameter] = Field([], description="What a run can be given; a list, or a mapping by name")
    memory: int = Field(512, ge=128, le=10240, description="MB of its Lambda")
    ephemeral_storage: int = Field(512, ge=512, le=10240, description="MB of its Lambda's /tmp, where a run has its workspace")
    reserved_concurrency: int | None = Field(
        None, ge=1, le=1000, description="Processes that Lambda keeps for it and never exceeds; None: what the account has left"
    )
    environment: dict[str, str] = Field({}, description="Variables of its Lambda; secrets do not belong here")
    subnet_ids: list[str] = Field([], description="Subnets of the VPC that its Lambda joins; with security_group_ids")
    security_group_ids: list[str] = Field([], description="Security groups within that VPC; with subnet_ids")
    permissions: list[Permission] = Field([], description="What its Lambda may do in AWS beyond what every task may")
    metadata: dict[str, Any] = Field({}, description="Anything else worth keeping; shown with each result")

    @field_validator("artifacts", mode="before")
    @classmethod
    def _one_or_many_artifacts(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("artifacts")
    @classmethod
    def _within_the_workspace(cls, value: list[str]) -> list[str]:
        for pattern in value:
            if not pattern or pattern.startswith(("/", "~")) or ".." in pattern.split("/") or "\0" in pattern:
                raise ValueError(f"'{pattern}' is to name files below the run's workspace, like out/*.csv or **/*.log")
        return value

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

    @field_validator("environment")
    @classmethod
    def _own_variables(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", name):
                raise ValueError(f"'{name}' is no name of a variable on Lambda: a letter, then letters, digits and _")
            if name.startswith(("AWS_", "LAMBDA_", "NIGHTSHIFT_", "TASK_")):
                raise ValueError(f"'{name}' is not a task's to set: AWS_, LAMBDA_, NIGHTSHIFT_ and TASK_ hold for all functions")
        return value

    @field_validator("subnet_ids", "security_group_ids")
    @classmethod
    def _ids(cls, value: list[str], info: ValidationInfo) -> list[str]:
        kind = "subnet" if info.field_name == "subnet_ids" else "sg"
        for name in value:
            if not re.fullmatch(rf"{kind}-[0-9a-f]+", name):
                raise ValueError(f"'{name}' is not like {kind}-0a1b2c3d")
        return value

    @model_validator(mode="after")
    def _whole_network(self) -> Self:
        if bool(self.subnet_ids) != bool(self.security_group_ids):
            raise ValueError("subnet_ids and security_group_ids go together: a Lambda joins a VPC with both")
        return self

    @model_validator(mode="before")
    @classmethod
    def _name_and_title(cls, value: Any) -> Any:
        """`name` and `title` are one thing said twice: either stands for both, and the id for neither."""
        if not isinstance(value, dict):
            return value
        label = value.get("title") or value.get("name") or value.get("id", "")
        return {**value, "name": value.get("name") or label, "title": value.get("title") or label}

    @model_validator(mode="before")
    @classmethod
    def _retries_said_once(cls, value: Any) -> Any:
        """`retry_count` is the count of `retry`; both may be given, if they agree."""
        if not isinstance(value, dict) or value.get("retry") is None:
            return value
        retry = value["retry"]
        written = retry_of(retry)
        count = written.get("count") if isinstance(written, dict) else getattr(retry, "count", None)
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST_RETRIES:
            return value  # the field's own fault is told
        given = value.get("retry_count")
        if given is not None and given != count:
            raise ValueError(f"retry_count is {given} but retry says {count}: give one of them")
        return {**value, "retry_count": count}

    @property
    def retry_policy(self) -> RetryPolicy:
        """When and how often a failed attempt is followed by another."""
        return policy_of(self.retry, self.retry_count)

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
    config_schema: dict[str, Any] = Field({})


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
    tasks: dict[str, CatalogTask] = Field({})
    pipelines: dict[str, Pipeline] = Field({})
    processors: dict[str, ProcessorInfo] = Field({})
