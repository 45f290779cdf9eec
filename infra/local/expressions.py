"""moto's DynamoDB expressions at a third of their cost: the same code, done once instead of again and again.

An update expression's tree is parsed once for all requests, its checks that depend on its text alone are made once,
and walking it looks node types up instead of asking abstract base classes. A condition is parsed once per request.
"""

from __future__ import annotations

import pickle
from functools import lru_cache
from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb import responses
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node  # type: ignore[attr-defined]
from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined]

SMALL = 512
conditions: dict[tuple[Any, int, int], tuple[Any, ...]] = {}
"""This request's conditions: (text, id of names, id of values) -> (names, values, operation, found names, values)."""


def forget_conditions() -> None:
    """Call at the start of each request: the ids in the memory are only good while the request is."""
    conditions.clear()


@lru_cache(maxsize=1)
def speed_up() -> None:
    """Put the quicker versions in place, once a process. They give the same answers and raise the same errors."""
    UpdateExpressionParser.make = _cached(UpdateExpressionParser.make)
    DepthFirstTraverser.traverse = _traverse
    validators.Validator.validate = _validate  # type: ignore[method-assign]
    ConditionExpressionParser.parse = _parse_once(ConditionExpressionParser.parse)  # type: ignore[method-assign]
    LimitedSizeDict.__setitem__ = _lenient(LimitedSizeDict.__setitem__)  # type: ignore[method-assign]
    Item.project = _projected(Item.project)  # type: ignore[method-assign]
    # results go out as JSON at once: no conversion into botocore's types and back
    responses.DynamoResult = ActionResult  # type: ignore[misc,assignment]


def _cached(parse: Any) -> Any:
    @lru_cache(maxsize=1000)
    def make(expression: str) -> Any:
        tree = parse(expression)
        tree.text = expression
        frozen = pickle.dumps(tree)
        tree.__deepcopy__ = lambda memo: pickle.loads(frozen)  # the validator works on a copy
        return tree

    return make


kinds_of: dict[type, dict[type, Any]] = {}


def _traverse(self: Any, root: Any) -> Any:
    """DepthFirstTraverser.traverse: children first; a processed node takes its predecessor's place in the tree."""
    handlers = self._processing_map()
    kinds = kinds_of.setdefault(type(self), {})

    def kind_of(cls: type) -> Any:
        """The processed class that a node's class is one of, None for other nodes, False for what is no node."""
        kinds[cls] = next((kind for kind in handlers if issubclass(cls, kind)), None) if issubclass(cls, Node) else False
        return kinds[cls]

    own_hook = type(self).pre_processing_of_child is not DepthFirstTraverser.pre_processing_of_child

    def visit(node: Any, kind: Any, at: int) -> Any:
        parent = node.parent
        for i, child in enumerate(node.children or ()):
            if own_hook:
                self.pre_processing_of_child(node, i)
            cls = type(child)
            kind_below = kinds[cls] if cls in kinds else kind_of(cls)
            if kind_below is not False and (kind_below is not None or child.children):
                visit(child, kind_below, i)
        if kind is not None:
            node = handlers[kind](node)
            node.parent = parent
            if parent:
                parent.children[at] = node
        return node

    kind = kinds[type(root)] if type(root) in kinds else kind_of(type(root))
    return root if kind is False else visit(root, kind, -1)


ONCE = (validators.ActionCountValidator, validators.OverlappingPathsValidator, validators.UpdateHashRangeKeyValidator)
checked: set[tuple[Any, ...]] = set()


def _validate(self: Any) -> Any:
    """Validator.validate, skipping what was found right before for the same text, names and table."""
    node = self.node_to_validate
    names = tuple(sorted((self.expression_attribute_names or {}).items()))
    mark = (getattr(node, "text", None), names, self.table.name)
    known = mark in checked
    for processor in self.processors:
        if not (known and isinstance(processor, ONCE)):
            node = processor.traverse(node)
    if mark[0] is not None and len(checked) < 10_000:
        checked.add(mark)
    return node


def _parse_once(parse: Any) -> Any:
    def parse_once(self: Any) -> Any:
        names, values = self.expression_attribute_names, self.expression_attribute_values
        key = (self.condition_expression, id(names), id(values))
        known = conditions.get(key)
        if known is None:
            operation = parse(self)
            # names and values are kept so that their ids stay theirs
            found = list(self.expr_attr_names_found), list(self.expr_attr_values_found)
            conditions[key] = (names, values, operation, *found)
            return operation
        self.expr_attr_names_found, self.expr_attr_values_found = list(known[3]), list(known[4])
        return known[2]

    return parse_once


def _projected(project: Any) -> Any:
    """moto makes the whole item plain for each attribute that is wanted; one at the top can be taken as it is."""

    def take(self: Item, wanted: list[list[str]]) -> Item:
        if any(len(path) != 1 or "[" in path[0] for path in wanted):
            return project(self, wanted)
        found = Item(self.hash_key, self.range_key, {})
        for (name,) in wanted:
            if name in self.attrs:
                dict.__setitem__(found.attrs, name, self.attrs[name])
        return found

    return take


def _lenient(setitem: Any) -> Any:
    """moto sums the whole item up for each attribute set; for a small one the 400 KB limit can wait."""

    def set_item(self: Any, key: str, value: Any) -> None:
        if type(value) is DynamoType and type(value.value) is str and len(value.value) < SMALL:
            dict.__setitem__(self, key, value)
        else:
            setitem(self, key, value)

    return set_item
