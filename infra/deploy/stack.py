"""The CloudFormation stack of infra/resources.yaml: seen before it is changed, by change sets."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from .stage import DeployError, Stage, until

TEMPLATE = "infra/resources.yaml"
PATIENCE = 1200.0  # seconds
EMPTY = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE")  # only planned, or taken back: nothing is in it, and it cannot be changed
NOTHING_NEW = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Change:
    """One change: `action` is add, change, replace or remove."""

    action: str
    name: str
    kind: str = ""
    detail: str = ""


@dataclass
class StackPlan:
    """What would change in a stack; without a change set, nothing."""

    creates: bool
    change_set: str = ""
    changes: list[Change] = field(default_factory=list)


def plan_stack(stage: Stage, parameters: dict[str, str]) -> StackPlan:
    """What CloudFormation would do. What is not among the parameters stays as it was. `discard` or `apply` it."""
    cloudformation = stage.client("cloudformation")
    there = _described(stage)
    if there is not None and there["StackStatus"] in EMPTY:
        cloudformation.delete_stack(StackName=stage.app)
        _settle(stage, lambda text: None)
        there = _described(stage)
    _check_settled(stage, there)
    creates = there is None
    template = (stage.project / TEMPLATE).read_text(encoding="utf-8")
    known = {p["ParameterKey"] for p in (there or {}).get("Parameters", [])}
    kept = set() if creates else known - parameters.keys()
    given: list[Any] = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    given += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)]
    made = cloudformation.create_change_set(
        StackName=stage.app,
        ChangeSetName=f"nightshift-{uuid.uuid4().hex[:12]}",
        ChangeSetType="CREATE" if creates else "UPDATE",
        TemplateBody=template,
        Parameters=given,
        Tags=[{"Key": "nightshift-stage", "Value": stage.name}],
    )
    said = until(lambda: _ready(cloudformation, made["Id"], stage.app), PATIENCE, "planning the stack")
    plan = StackPlan(creates, made["Id"], [_change(change["ResourceChange"]) for change in said.get("Changes", [])])
    if said["Status"] == "FAILED":
        discard(stage, plan)
        if any(text in said.get("StatusReason", "") for text in NOTHING_NEW):
            return StackPlan(creates=False)
        raise DeployError(f"{TEMPLATE}: {said.get('StatusReason')}")
    return plan


def discard(stage: Stage, plan: StackPlan) -> None:
    """Forget a plan; a stack that was there for the plan alone goes as well."""
    cloudformation = stage.client("cloudformation")
    if plan.change_set:
        cloudformation.delete_change_set(ChangeSetName=plan.change_set, StackName=stage.app)
        if plan.creates:
            cloudformation.delete_stack(StackName=stage.app)
            _settle(stage, lambda text: None)


def apply(stage: Stage, plan: StackPlan, told: Callable[[str], None]) -> None:
    """Carry a plan out, and wait until it is. Raises DeployError with CloudFormation's reasons; it rolls back by itself."""
    if not plan.change_set:
        return
    cloudformation = stage.client("cloudformation")
    cloudformation.execute_change_set(ChangeSetName=plan.change_set, StackName=stage.app)
    _settle(stage, told)
    status = (_described(stage) or {}).get("StackStatus", "gone")
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise DeployError(f"the stack {stage.app} is {status}: {_reasons(stage)}")


def outputs(stage: Stage) -> dict[str, str]:
    """The stack's outputs; none where there is no stack."""
    there = _described(stage)
    return {output["OutputKey"]: output["OutputValue"] for output in (there or {}).get("Outputs", [])}


def delete(stage: Stage, told: Callable[[str], None]) -> bool:
    """Delete the stack, but for what it retains. False: there was none."""
    if _described(stage) is None:
        return False
    stage.client("cloudformation").delete_stack(StackName=stage.app)
    _settle(stage, told)
    there = _described(stage)
    if there is not None:
        raise DeployError(f"the stack {stage.app} is {there['StackStatus']}: {_reasons(stage)}")
    return True


def _described(stage: Stage) -> dict[str, Any] | None:
    try:
        (stack,) = stage.client("cloudformation").describe_stacks(StackName=stage.app)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else dict(stack)


def _check_settled(stage: Stage, there: dict[str, Any] | None) -> None:
    status = there["StackStatus"] if there else ""
    if status.endswith("IN_PROGRESS"):
        raise DeployError(f"the stack {stage.app} is {status}: somebody changes it right now")
    if status in ("ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"):
        raise DeployError(
            f"the stack {stage.app} is {status}; delete it first: aws cloudformation delete-stack --stack-name {stage.app}"
        )


def _ready(cloudformation: Any, change_set: str, stack: str) -> dict[str, Any] | None:
    said = cloudformation.describe_change_set(ChangeSetName=change_set, StackName=stack)
    return said if said["Status"] in ("CREATE_COMPLETE", "FAILED") else None


def _settle(stage: Stage, told: Callable[[str], None]) -> None:
    def settled() -> bool:
        there = _described(stage)
        if there is None:
            return True
        told(f"stack {stage.app}: {there['StackStatus'].lower().replace('_', ' ')}")
        return not str(there["StackStatus"]).endswith("IN_PROGRESS")

    until(settled, PATIENCE, f"the stack {stage.app}")


def _reasons(stage: Stage) -> str:
    """Why it failed, in CloudFormation's words."""
    with contextlib.suppress(ClientError):
        events = stage.client("cloudformation").describe_stack_events(StackName=stage.app)["StackEvents"]
        failed = [
            e
            for e in events
            if e.get("ResourceStatus", "").endswith("FAILED") and "cancelled" not in e.get("ResourceStatusReason", "")
        ]
        return "; ".join(f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}" for e in failed[:5]) or "no reason given"
    return "no reason given"


def _change(said: dict[str, Any]) -> Change:
    action = {"Add": "add", "Remove": "remove"}.get(said["Action"], "change")
    if said.get("Replacement") == "True":
        action = "replace"
    touched = sorted({d["Target"].get("Name", "") for d in said.get("Details", []) if d.get("Target", {}).get("Name")})
    return Change(action, said["LogicalResourceId"], said["ResourceType"], ", ".join(touched))
