"""Reads infra/resources.yaml, the deployed CloudFormation file, so that tests use the deployed table."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "infra/resources.yaml"

# What CreateTable takes of an AWS::DynamoDB::Table's properties; the rest is set by other requests.
CREATE_TABLE_KEYS = {
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
}
# Unlimited, capped or warm: nothing that an emulator would do otherwise.
INDEX_KEYS = {"IndexName", "KeySchema", "Projection"}


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (`!Sub ...`), which stay unresolved: {"Fn": "Sub", "value": ...}."""


def _construct_function(loader: TemplateLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {"Fn": name, "value": loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {"Fn": name, "value": loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {"Fn": name, "value": loader.construct_mapping(node, deep=True)}


TemplateLoader.add_multi_constructor("!", _construct_function)


@cache
def load_template() -> dict[str, Any]:
    """The whole template."""
    with TEMPLATE.open(encoding="utf-8") as file:
        template: dict[str, Any] = yaml.load(file, TemplateLoader)
    return template


def table_request(name: str) -> dict[str, Any]:
    """The CreateTable request for the template's only table, under another name."""
    tables = [r["Properties"] for r in load_template()["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table"]
    if len(tables) != 1:
        raise ValueError(f"{TEMPLATE.name} has {len(tables)} tables, expected one")
    request = {key: value for key, value in tables[0].items() if key in CREATE_TABLE_KEYS}
    if indexes := request.get("GlobalSecondaryIndexes"):
        request["GlobalSecondaryIndexes"] = [{k: v for k, v in i.items() if k in INDEX_KEYS} for i in indexes]
    return request | {"TableName": name}
