"""Writes the generated parts of docs/ from the code; `--check` only says whether they are stale.

    python scripts/docs.py [--check]

A page is written by hand but for what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "docs" / "architecture.md", ROOT / "docs" / "deploy.md", *sorted((ROOT / "docs" / "reference").glob("*.md"))]
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

sys.path.insert(0, str(ROOT))


def settings() -> str:
    """Every setting of the `task:` block, with its variable and default."""
    from chalicelib.domain.durations import text_of
    from chalicelib.settings import SETTINGS, Settings

    defaults = Settings()
    rows = []
    for name, (variable, _parse, example, purpose) in SETTINGS.items():
        default = getattr(defaults, name)
        shown = text_of(default) if name == "timeout" else str(default).lower() if isinstance(default, bool) else default
        rows.append([code(name), code(variable), code(shown) if shown else "none", code(example), purpose])
    return table(["In the `task:` block", "Variable", "Default", "Example", "What it is for"], rows)


def routes() -> str:
    """Every route of the REST API, by what it is about."""
    from chalicelib.api.routes import ROUTES

    return table(
        ["Route", "What it does", "Query", "Body", "Answers"],
        [
            [
                code(f"{route.method} {route.path}"),
                route.summary + (" (no token needed)" if route.public else ""),
                ", ".join(code(name) + (f": {says}" if says else "") for name, says in route.query.items()),
                escape(route.body),
                ", ".join(f"{status} {schema}".strip() for status, schema in route.answers.items()),
            ]
            for route in ROUTES
        ],
    )


def pages() -> str:
    """Every page of the web."""
    from importlib import import_module

    from chalicelib.web.routes import PAGES as FOUND

    rows = []
    for page in FOUND:
        module, function = page.handler.split(":")
        says = first_line(getattr(import_module(f"chalicelib.web.pages.{module}"), function).__doc__)
        rows.append([code(f"{page.method} {page.path}"), says + (" (no token needed)" if page.public else "")])
    return table(["Page", "What it does"], rows)


def schemas() -> str:
    """The fields of the API's answers."""
    from chalicelib.api.openapi import SCHEMAS

    rows = []
    for name, schema in SCHEMAS.items():
        fields = schema.get("properties") or dict.fromkeys(schema.get("required", ()))
        required = schema.get("required", [])
        shown = [*required, *(field for field in fields if field not in required)]
        rows.append([code(name), ", ".join(map(code, shown))])
    return table(["Answer", "Fields"], rows)


def errors() -> str:
    """Which error is which HTTP status."""
    from chalicelib.domain.errors import HTTP_STATUS

    rows = [[str(status), escape(kind.__doc__ or "")] for kind, status in sorted(HTTP_STATUS.items(), key=lambda e: e[1])]
    return table(["Status", "When"], rows)


def task() -> str:
    """The keys of a task."""
    from chalicelib.domain.model import Task

    return fields_table(Task.model_json_schema(by_alias=True))


def parameter() -> str:
    """The keys of a parameter."""
    from chalicelib.domain.model import Parameter

    return fields_table(Parameter.model_json_schema(by_alias=True))


def window() -> str:
    """The keys of a window of `except`."""
    from chalicelib.domain.model import Window

    return fields_table(Window.model_json_schema(by_alias=True))


def pipeline() -> str:
    """The keys of a pipeline."""
    from chalicelib.domain.model import Pipeline

    schema = Pipeline.model_json_schema(by_alias=True)
    schema["properties"] = {"processors" if key == "steps" else key: field for key, field in schema["properties"].items()}
    schema["required"] = ["name", "processors"]
    return fields_table(schema)


def step() -> str:
    """What may stand beside a step's processor."""
    from chalicelib.catalog.pipelines import STEP_KEYWORDS
    from chalicelib.domain.model import Step

    schema = Step.model_json_schema(by_alias=True)
    return fields_table({**schema, "properties": {key: schema["properties"][key] for key in STEP_KEYWORDS}, "required": []})


def retry() -> str:
    """The keys of a retry policy."""
    from chalicelib.domain.retry import RetryPolicy

    return fields_table(RetryPolicy.model_json_schema(by_alias=True))


def changeable() -> str:
    """What PATCH may change."""
    from chalicelib.engine.registry import CHANGEABLE

    return ", ".join(map(code, CHANGEABLE))


def processors() -> str:
    """What ships: each processor with its keys and its output."""
    from importlib import import_module

    from chalicelib.catalog.compile import compile_catalog

    parts = []
    for info in compile_catalog(ROOT, write=False).catalog.processors.values():
        if not info.module.startswith("chalicelib.processors."):
            continue
        cls = getattr(import_module(info.module), info.qualname)
        says = " ".join((getattr(cls, "control", cls.__call__).__doc__ or "").split())
        parts += [f"### `{info.name}`", "", re.sub(r"[ \t]+", " ", info.description.strip()), ""]
        parts += [fields_table(info.config_schema), *([escape(says), ""] if says else [])]
    return "\n".join(parts).rstrip() + "\n"


def commands() -> str:
    """Every command with its arguments and options."""
    import typer.main

    from chalicelib.cli.app import app
    from chalicelib.cli.command import SHARED

    group: Any = typer.main.get_command(app)
    parts = []
    for name, command in group.commands.items():
        own = [p for p in command.params if p.name != "help"]
        usage = [argument_name(p) if p.required else f"[{argument_name(p)}]" for p in own if p.param_type_name == "argument"]
        parts += [f"### `nightshift {' '.join([name, *usage])}`", "", escape(command.help or ""), ""]
        rows = [option_row(p) for p in own]
        parts += [table(["Argument or option", "Default", "What it does"], rows)] if rows else []
    shared = [option_row(p) for p in group.params if p.name in SHARED]
    parts += ["### Options of every command", "", table(["Argument or option", "Default", "What it does"], shared)]
    return "\n".join(parts).rstrip() + "\n"


def layout() -> str:
    """The table's keys, as the store's docstring has them."""
    from chalicelib import store

    return "".join(line + "\n" for line in (store.__doc__ or "").splitlines() if line.startswith("|"))


def monthly() -> str:
    """What a month costs, by how many runs it has."""
    from chalicelib.domain.price import month

    head = ["", "1 run", "1,000 runs", "1,000,000 runs"]
    kinds = (("0.2 s with 512 MB", 0.2, 512), ("10 s with 512 MB", 10.0, 512), ("5 min with 1,024 MB", 300.0, 1024))
    rows = [[text, *(dollars(month(count, seconds, memory)) for count in (1, 1_000, 1_000_000))] for text, seconds, memory in kinds]
    return f"A month without any run: {dollars(month(0, 0, 0))}, for the sweep of each minute.\n\n" + table(head, rows)


def dollars(amount: float) -> str:
    return f"${amount:,.0f}" if amount >= 100 else f"${amount:.2f}"


def option_row(option: Any) -> list[str]:
    """`--arg`, `-a` | default | help of one option or argument."""
    names = ", ".join(code(n) for n in [*option.opts, *option.secondary_opts])
    if option.param_type_name == "argument":
        names = code(argument_name(option))
    variable = f" (variable {code(option.envvar)})" if option.envvar else ""
    default = option.default
    if isinstance(default, bool):
        default = "on" if default else None
    return [names, code(default) if isinstance(default, str | int | float) else "", escape(option.help or "") + variable]


def argument_name(argument: Any) -> str:
    return (argument.metavar or argument.name.upper()).strip("[]")


def fields_table(schema: dict[str, Any]) -> str:
    """One row for each property of a JSON Schema."""
    required = schema.get("required", [])
    rows = []
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required else shown_default(field.get("default"))
        says = escape(field.get("description", ""))
        kind = "duration" if "written like" in says else type_of(field, schema.get("$defs", {}))
        rows.append([code(name), kind, default, says.removeprefix("Seconds; ")])
    return table(["Key", "Type", "Default", "What it is"], rows)


def type_of(field: dict[str, Any], defs: dict[str, Any]) -> str:
    """A schema's type in a few words."""
    if "$ref" in field:
        return type_of(defs[field["$ref"].rsplit("/", 1)[1]], defs)
    if "enum" in field:
        return ", ".join(code(value) for value in field["enum"])
    if "const" in field:
        return code(field["const"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(type_of(f, defs) for f in field["anyOf"] if f.get("type") != "null"))
    kind = field.get("type", "anything")
    if isinstance(kind, list):
        return "duration" if "examples" in field else " or ".join(kind)
    if kind == "array":
        return f"list of {type_of(field.get('items', {}), defs)}"
    words = {"string": "text", "integer": "whole number", "object": spaced(field.get("title", "mapping"))}
    bounds = [f"at least {field['minimum']:g}"] if "minimum" in field else []
    bounds += [f"more than {field['exclusiveMinimum']:g}"] if "exclusiveMinimum" in field else []
    bounds += [f"at most {field['maximum']:g}"] if "maximum" in field else []
    word = words.get(kind, kind) if kind != "object" or "properties" in field else "mapping"
    return f"{word}, {' and '.join(bounds)}" if bounds else word


def spaced(title: Any) -> str:
    """`RetryPolicy` as `retry policy`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(title)).lower()


def shown_default(default: Any) -> str:
    if default is None or default in ("", [], {}):
        return ""
    return code(default if isinstance(default, str) else json.dumps(default))


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table without columns that are empty throughout."""
    rows = [list(row) for row in rows]
    keep = [i for i in range(len(head)) if any(row[i] for row in rows)]
    lines = [[head[i] for i in keep], ["---"] * len(keep), *([row[i] for i in keep] for row in rows)]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def code(value: object) -> str:
    return "`" + str(value).replace("|", "\\|") + "`"


def escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


PARTS: dict[str, Callable[[], str]] = {
    part.__name__: part
    for part in (
        *(settings, routes, pages, schemas, errors, task, parameter, window, pipeline, step, retry, changeable),
        *(processors, commands, layout, monthly),
    )
}


def main() -> int:
    stale = []
    for path in PAGES:
        before = path.read_text(encoding="utf-8")
        after = PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]().rstrip()}\n\n{found[3]}", before)
        if after != before:
            stale.append(path.relative_to(ROOT).as_posix())
            if "--check" not in sys.argv:
                path.write_text(after, encoding="utf-8")
    for name in stale:
        print(f"{name} {'is stale: run make docs' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
