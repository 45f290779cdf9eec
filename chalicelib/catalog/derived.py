"""What the steps of a pipeline need of AWS, as far as their configuration says it in so many words.

A bucket, secret, topic or function that is written out is found here. One that an argument or another step's output names is not:
the task says it under `permissions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from chalicelib.domain.model import Step
from chalicelib.domain.permissions import Permission

_SECRET = re.compile(r"(?<!\$)\$\{secret:(ssm:)?([^}|#]+)[^}]*\}")
_FILLED_IN = re.compile(r"\$?\{[^}]*\}|\[[^\]]*\]")
_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[^:]+:\d{12}:[^:]+")
_FUNCTION = re.compile(r"(?:arn:aws[a-z-]*:lambda:[^:]+:\d{12}:function:)?([A-Za-z0-9_-]+)(?::[A-Za-z0-9$_-]+)?")

_TABLE = re.compile(r"(?:arn:aws[a-z-]*:dynamodb:[^:]+:\d{12}:table/)?([A-Za-z0-9_.-]+)")

_EXPORTS = ("dynamodb:DescribeTable", "dynamodb:Query", "dynamodb:Scan")
_READS, _WRITES, _ALL = (
    ["s3:GetObject"],
    ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],  # and looks what is there already
    ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
)
_BY_KEY = {"source": _READS, "destination": _WRITES}
_TAKES_AWAY = ("compress", "move", "rotate")  # may remove what they have read


def derived_permissions(steps: list[Step]) -> list[Permission]:
    """One permission for each set of actions, in a fixed order."""
    found: dict[tuple[str, ...], set[str]] = {}
    for step in steps:
        for key, text, processor in _texts(step.model_dump()):
            for actions, resources in _needs("" if processor in _TAKES_AWAY else key, text):
                found.setdefault(tuple(actions), set()).update(resources)
        for name in _named_by(step.model_dump(), "invoke_lambda", "function", _FUNCTION):
            found.setdefault(("lambda:InvokeFunction",), set()).add(f"arn:*:lambda:*:*:function:{name}")
        for name in _named_by(step.model_dump(), "dynamodb_export", "table", _TABLE):
            places = {f"arn:*:dynamodb:*:*:table/{name}", f"arn:*:dynamodb:*:*:table/{name}/index/*"}
            found.setdefault(_EXPORTS, set()).update(places)
    return [Permission(actions=list(actions), resources=sorted(found[actions])) for actions in sorted(found)]


def secret_needs(text: str) -> Iterator[tuple[list[str], set[str]]]:
    """Actions and resources for the secrets that a text refers to."""
    for ssm, name in _SECRET.findall(text):
        if ssm:
            yield ["ssm:GetParameter"], {f"arn:*:ssm:*:*:parameter/{name.strip().lstrip('/')}"}
        else:
            # Secrets Manager ends each ARN with a hyphen and six characters of its own.
            yield ["secretsmanager:GetSecretValue"], {f"arn:*:secretsmanager:*:*:secret:{name.strip()}-??????"}


def _needs(key: str, text: str) -> Iterator[tuple[list[str], set[str]]]:
    yield from secret_needs(text)
    if _TOPIC.fullmatch(text):
        yield ["sns:Publish"], {text}
    place = _BUCKET.fullmatch(text)
    if place is not None:
        actions = _BY_KEY.get(key, _ALL)
        yield actions, _objects(place[1], _FILLED_IN.sub("*", place[2] or ""))
        yield ["s3:ListBucket"], {f"arn:*:s3:::{place[1]}"}


def _objects(bucket: str, path: str) -> set[str]:
    """A file of that name, or what lies in a folder of that name."""
    if not path or path.endswith(("/", "*")):
        return {f"arn:*:s3:::{bucket}/{path.removesuffix('*')}*"}
    return {f"arn:*:s3:::{bucket}/{path}", f"arn:*:s3:::{bucket}/{path}/*"}


def _named_by(value: Any, processor: str, key: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """What steps of this processor name with this key, those within other steps included."""
    if isinstance(value, dict):
        config = value.get("config")
        if value.get("processor") == processor and isinstance(config, dict):
            name = pattern.fullmatch(str(config.get(key, "")))
            if name is not None:
                yield name[1]
        for inner in value.values():
            yield from _named_by(inner, processor, key, pattern)
    elif isinstance(value, list):
        for inner in value:
            yield from _named_by(inner, processor, key, pattern)


def _texts(value: Any, key: str = "", processor: str = "") -> Iterator[tuple[str, str, str]]:
    """(nearest key, text, processor of the step) of every text within."""
    if isinstance(value, str):
        yield key, value, processor
    elif isinstance(value, dict):
        of_step = value["processor"] if isinstance(value.get("processor"), str) and "config" in value else processor
        for name, inner in value.items():
            yield from _texts(inner, str(name), of_step)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key, processor)
