"""The functions' IAM policies, as Chalice would deploy them: read from the project, and asked before each AWS request.

Knows what the policies of a project like this one are made of: Allow and Deny, actions and resources with wildcards, and a
condition on the partitions that a DynamoDB request is about. A statement with any other condition has no effect here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import Any

LEADING_KEYS = "dynamodb:LeadingKeys"


@dataclass(frozen=True)
class Call:
    """One action on one resource (an ARN). `partitions`: the DynamoDB partition keys in it."""

    action: str
    resource: str
    partitions: tuple[str, ...] = ()


class Statement:
    """One action pattern on one resource pattern, for all partitions or some."""

    def __init__(self, action: str, resource: str, partitions: frozenset[str] = frozenset()) -> None:
        self.action, self.resource, self.partitions = action, resource, partitions
        self._actions = re.compile(translate(action), re.IGNORECASE)
        self._resources = re.compile(translate(resource.replace("[", "[[]")))  # a bracket is no wildcard of IAM's

    def is_about(self, action: str) -> bool:
        """Whether its action pattern matches."""
        return self._actions.match(action) is not None

    def covers(self, call: Call) -> bool:
        """Whether all of it matches."""
        if self.partitions and self.partitions.isdisjoint(call.partitions):
            return False
        return self.is_about(call.action) and self._resources.match(call.resource) is not None


@dataclass
class Policy:
    """One policy document. `used` gathers the (action, resource pattern) pairs that allowed something."""

    allowed: list[Statement] = field(default_factory=list)
    denied: list[Statement] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    _known: dict[str, list[Statement]] = field(default_factory=dict)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Policy:
        policy = cls()
        for statement in document["Statement"]:
            condition = statement.get("Condition", {})
            keys = condition.get("ForAnyValue:StringEquals", {}).get(LEADING_KEYS)
            if condition and not (keys and len(condition) == 1):
                continue
            kept = policy.allowed if statement["Effect"] == "Allow" else policy.denied
            for action in _many(statement["Action"]):
                kept += [Statement(action, resource, frozenset(keys or ())) for resource in _many(statement["Resource"])]
        return policy

    def allows(self, call: Call) -> bool:
        """Whether a statement allows it and none denies it."""
        if call.action not in self._known:
            # Each service asks for a handful of actions: the statements about one are looked up once.
            self._known[call.action] = [statement for statement in self.allowed if statement.is_about(call.action)]
        found = next((s for s in self._known[call.action] if s.covers(call)), None)
        if found is None or any(statement.covers(call) for statement in self.denied):
            return False
        self.used.add((call.action, found.resource))
        return True


def read_policies(config: Path, functions: Iterable[str], stage: str) -> dict[str, tuple[str, Policy]]:
    """{function: (name of its policy, the policy)} of those that config.json gives a file of their own.

    The stage's, else the first stage's with `stage` in the place of its name. Raises ValueError for a file that is no policy.
    """
    raw = json.loads(config.read_text()) if config.is_file() else {}
    stages, app = raw.get("stages", {}), raw.get("app_name", "")
    written = stage if stage in stages else next(iter(stages), stage)
    settings = stages.get(written, {}).get("lambda_functions", {})
    bucket = stages.get(written, {}).get("environment_variables", {}).get("NIGHTSHIFT_BUCKET")
    files: dict[str, Policy] = {}
    found = {}
    for function in functions:
        name = settings.get("api_handler" if function == "api" else function, {}).get("iam_policy_file")
        if name is None:
            continue
        path = config.parent / name
        if name not in files:
            try:
                files[name] = Policy.read(json.loads(_of_stage(path.read_text(), bucket, f"{app}-{written}", f"{app}-{stage}")))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path} is no IAM policy: {error}") from error
        found[function] = (path.stem, files[name])
    return found


def _of_stage(text: str, bucket: str | None, written: str, wanted: str) -> str:
    """A stage's policy with the names of another; the local bucket's name does not end in account and region."""
    for name in (bucket, f"{written}-files-${{aws:PrincipalAccount}}-*"):
        text = text.replace(name, f"{wanted}-files") if name else text
    return text.replace(written, wanted)


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
