"""Makes what infra/resources.yaml describes: tables, the bucket, topics. The deployed file is the local one.

Understands Ref, Sub, GetAtt, Join and If/Equals on the template's parameters; resources that the local stack has no
use for (alarms, dashboards, policies) are passed over.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from .dynamodb import DynamoDB
from .files import Files
from .options import ACCOUNT, REGION, StackError

PSEUDO = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags: `!Sub x` becomes {"Fn::Sub": x}, `!Ref x` {"Ref": x}."""


def _short_tag(loader: yaml.Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_tag)


class Template:
    """`parameters` override the template's defaults; unknown ones are ignored."""

    def __init__(self, path: Path, parameters: dict[str, str]) -> None:
        try:
            self.raw: dict[str, Any] = yaml.load(path.read_text(), _Loader) or {}
        except OSError as error:
            raise StackError(f"cannot read the template {path}: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise StackError(f"the template {path} is not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(self.raw, dict) or not isinstance(self.raw.get("Resources"), dict):
            raise StackError(f"the template {path} has no Resources")
        self.path = path
        self.values: dict[str, Any] = dict(PSEUDO)
        for name, declared in self.raw.get("Parameters", {}).items():
            self.values[name] = parameters.get(name, declared.get("Default", ""))

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """The resolved properties of every resource of a type, whose Condition holds."""
        found = []
        for name, resource in self.raw["Resources"].items():
            if resource.get("Type") == kind and self._holds(resource.get("Condition")):
                try:
                    found.append(self.resolve(resource.get("Properties", {})))
                except (KeyError, TypeError, ValueError) as error:
                    raise StackError(f"{self.path.name}: {name} cannot be resolved: {error}") from error
        return found

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._function(name, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not None}

    def _function(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                return None if argument == "AWS::NoValue" else self.values.get(argument, argument)
            case "Fn::Sub":
                text, extra = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])
                values = {**self.values, **self.resolve(extra)}
                return re.sub(r"\$\{([^!}][^}]*)\}", lambda m: str(values.get(m[1], m[0])), text)
            case "Fn::GetAtt":
                return argument if isinstance(argument, str) else ".".join(argument)
            case "Fn::Join":
                return argument[0].join(str(part) for part in self.resolve(argument[1]))
            case "Fn::If":
                return self.resolve(argument[1] if self._holds(argument[0]) else argument[2])
            case "Fn::Equals":
                left, right = self.resolve(argument)
                return left == right
            case "Fn::Not":
                return not self.resolve(argument[0])
            case "Fn::And":
                return all(map(self.resolve, argument))
            case "Fn::Or":
                return any(map(self.resolve, argument))
        raise ValueError(f"{name} is not understood")

    def _holds(self, condition: str | None) -> bool:
        return condition is None or bool(self.resolve(self.raw.get("Conditions", {}).get(condition, False)))


TABLE_KEYS = (
    "TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "ProvisionedThroughput",
    "GlobalSecondaryIndexes", "LocalSecondaryIndexes", "StreamSpecification",
)  # fmt: skip


def provision(template: Template, dynamodb: DynamoDB, files: Files) -> list[str]:
    """Create tables and note buckets; return the names of the topics to create. Raises StackError."""
    import json

    for table in template.resources("AWS::DynamoDB::Table"):
        request = {key: table[key] for key in TABLE_KEYS if key in table}
        response = dynamodb.handle("CreateTable", json.dumps(request).encode())
        if response.status != 200:
            raise StackError(f"{template.path.name}: table {table.get('TableName')}: {json.loads(response.body)['message']}")
        expiry = table.get("TimeToLiveSpecification")
        if expiry:
            name = {"TableName": table["TableName"], "TimeToLiveSpecification": expiry}
            dynamodb.handle("UpdateTimeToLive", json.dumps(name).encode())
    for bucket in template.resources("AWS::S3::Bucket"):
        if "BucketName" not in bucket:
            raise StackError(f"{template.path.name}: every bucket needs a BucketName here")
        files.create_bucket(bucket["BucketName"])
    return [topic["TopicName"] for topic in template.resources("AWS::SNS::Topic") if "TopicName" in topic]
