"""What a task's own function may do in AWS beyond what every task may."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9*?]+")
_ARN = re.compile(r"arn:[^:\s]+:[^:\s]+:[^:\s]*:[^:\s]*:\S+")
_S3 = re.compile(r"s3://([^/\s]+)(/\S*)?")
_PLACEHOLDER = re.compile(r"\{[^}]*\}?")
STAGE = "{stage}"
ANYTHING = "*"


class Permission(BaseModel):
    """Actions on resources. Both are lists; one alone may stand for a list of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    actions: list[str] = Field(min_length=1, description="Like `sqs:SendMessage` or `s3:Get*`")
    resources: list[str] = Field(
        min_length=1, description="ARNs, or `s3://bucket/prefix/*`; `{stage}` stands for the name of the deployment's stage"
    )
    allow_wildcard: bool = Field(False, description="Lets a resource be `*`, and an action `service:*`")

    @field_validator("actions", "resources", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("actions")
    @classmethod
    def _known_form(cls, actions: list[str]) -> list[str]:
        for action in actions:
            if action != ANYTHING and not _ACTION.fullmatch(action):
                raise ValueError(f"'{action}' is no action: write it like sqs:SendMessage")
        return actions

    @field_validator("resources")
    @classmethod
    def _known_place(cls, resources: list[str]) -> list[str]:
        for resource in resources:
            if resource != ANYTHING and not _ARN.fullmatch(resource) and not _S3.fullmatch(resource):
                raise ValueError(f"'{resource}' is no resource: write an ARN like arn:aws:sqs:*:*:orders, or s3://bucket/prefix/*")
            unknown = [name for name in _PLACEHOLDER.findall(resource) if name != STAGE]
            if unknown:
                raise ValueError(f"'{resource}' has the unknown placeholder {unknown[0]}: there is {STAGE}")
        return resources

    @model_validator(mode="after")
    def _nothing_by_accident(self) -> Self:
        wide = [r for r in self.resources if r == ANYTHING] + [a for a in self.actions if a == ANYTHING or a.endswith(":*")]
        if wide and not self.allow_wildcard:
            raise ValueError(f"'{wide[0]}' allows everything: name what the task needs, or say allow_wildcard: true")
        return self


def resource_arn(resource: str, stage: str) -> str:
    """A resource of a Permission as a policy has it."""
    resource = resource.replace(STAGE, stage)
    found = _S3.fullmatch(resource)
    if found is None:
        return resource
    bucket, key = found[1], (found[2] or "")[1:]
    if found[2] is None:
        return f"arn:*:s3:::{bucket}"
    return f"arn:*:s3:::{bucket}/{key if key and not key.endswith('/') else key + ANYTHING}"
