"""HTML forms: read as browsers send them, and drawn from a task's parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

from chalicelib.api.http import Request
from chalicelib.domain.errors import InvalidRequestError
from chalicelib.domain.model import Parameter

PREFIX = "arg."  # of the fields that are arguments, so that none can collide with the form's own


@dataclass(frozen=True)
class Upload:
    """A file that came inside a form."""

    name: str
    content: bytes


@dataclass
class Form:
    """A sent form: the last text of each name, and files."""

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    json_args: dict[str, Any] | None = None

    def text(self, name: str) -> str:
        """A field's text, or nothing."""
        return self.texts.get(name, "").strip()

    def arguments(self, parameters: Sequence[Parameter]) -> dict[str, Any]:
        """The arguments as validate_arguments takes them; a file that came inside as `content_base64`."""
        if self.json_args is not None:
            return self.json_args
        args = {p.name: self._argument(p) for p in parameters}
        extra = {name.removeprefix(PREFIX): text for name, text in self.texts.items() if name.startswith(PREFIX)}
        return {k: v for k, v in (extra | args).items() if v is not None}

    def _argument(self, parameter: Parameter) -> Any:
        name = PREFIX + parameter.name
        if parameter.type == "boolean":
            return self.texts.get(name, "false")
        if parameter.type == "file":
            return self._file(name)
        return self.texts.get(name)

    def _file(self, name: str) -> Any:
        if name in self.files:
            from base64 import b64encode

            file = self.files[name]
            return {"name": file.name, "content_base64": b64encode(file.content).decode()}
        if not self.texts.get(name):
            return None
        try:
            return json.loads(self.texts[name])  # {"name", "key"} of what the page has uploaded already
        except ValueError:
            return self.texts[name]


def read_form(request: Request) -> Form:
    """The form of a request: urlencoded, multipart, or JSON `{"args", …}`. Raises InvalidRequestError."""
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith("application/json"):
        return _json_form(request)
    if kind.startswith("multipart/form-data"):
        return _multipart(request.headers["content-type"], request.raw_body)
    try:
        pairs = parse_qsl(request.raw_body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise InvalidRequestError("the form is not readable") from None
    return Form(dict(pairs))


def _json_form(request: Request) -> Form:
    try:
        body = json.loads(request.raw_body or b"{}")
    except ValueError as error:
        raise InvalidRequestError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict) or not isinstance(body.get("args", {}), dict):
        raise InvalidRequestError('the body has to be an object, like {"args": {}}')
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items() if k != "args"}
    return Form(texts, json_args=body.get("args", {}))


def _multipart(content_type: str, body: bytes) -> Form:
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise InvalidRequestError("the form is not readable")
    form = Form()
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            continue
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        filename = part.get_filename()
        if filename is None:
            form.texts[name] = content.decode("utf-8", "replace")
        elif filename:
            form.files[name] = Upload(filename.replace("\\", "/").rpartition("/")[2], content)
    return form


def fields_of(parameters: Sequence[Parameter], given: Mapping[str, Any] | None, errors: Mapping[str, str]) -> list[dict[str, Any]]:
    """One entry per parameter, for the form's template: what was given, else the default, and what is wrong with it."""
    return [_field(p, given, errors.get(p.name, "")) for p in parameters]


def _field(parameter: Parameter, given: Mapping[str, Any] | None, error: str) -> dict[str, Any]:
    value = parameter.default if given is None else given.get(parameter.name)
    shown: dict[str, Any] = {
        "name": PREFIX + parameter.name,
        "id": f"field-{parameter.name}",
        "title": parameter.title or parameter.name.replace("_", " ").capitalize(),
        "parameter": parameter,
        "type": parameter.type,
        "error": error,
        "value": _text(value),
        "default": "" if parameter.type in ("secret", "boolean", "file") else _text(parameter.default),
    }
    if parameter.type == "secret":
        shown["value"] = ""  # never sent back
    elif parameter.type == "boolean":
        shown["checked"] = _text(value).lower() in ("true", "on", "yes", "1")
    elif parameter.type == "select":
        shown["choices"] = [
            {"value": _text(c.value), "label": c.label or _text(c.value), "chosen": _text(c.value) == _text(value)}
            for c in parameter.choices
        ]
    elif parameter.type == "file":
        kept = value if isinstance(value, Mapping) and "key" in value else None
        shown["kept"] = {"name": kept["name"], "json": json.dumps(dict(kept))} if kept else None
    elif parameter.type == "number":
        shown["step"] = "1" if parameter.integer else "any"
        shown["minimum"], shown["maximum"] = _bound(parameter.minimum), _bound(parameter.maximum)
    elif parameter.type == "date":
        shown["minimum"], shown["maximum"] = _text(parameter.minimum), _text(parameter.maximum)
    return shown


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bound(value: float | str | None) -> str:
    return f"{value:.15g}" if isinstance(value, float) else _text(value)
