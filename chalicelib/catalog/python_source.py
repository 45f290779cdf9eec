"""The user's modules: imported afresh, with each decorated function as a definition that knows its lines."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from chalicelib.catalog import decorators
from chalicelib.catalog.decorators import Function
from chalicelib.catalog.faults import Fault, Origin
from chalicelib.catalog.faults import Path as KeyPath
from chalicelib.catalog.signature import plain, read_signature
from chalicelib.domain.errors import Problem

PACKAGE = "chalicelib.tasks"
SHIPPED = "chalicelib.processors"


@dataclass(frozen=True)
class TaskFunction:
    """A decorated function: the definition it makes (without a pipeline), and what makes it none."""

    function: Function
    module: str
    reference: str
    raw: dict[str, Any]
    origin: Origin
    faults: list[Fault]


def import_all(project: Path) -> list[Problem]:
    """Import the shipped processors and, afresh, every module under the project's chalicelib/tasks.

    Afterwards `decorators.TASKS` and `decorators.PROCESSORS` hold what those modules define and nothing of an earlier
    import. What cannot be imported is told.
    """
    problems = []
    shipped = importlib.import_module(SHIPPED)
    for entry in pkgutil.iter_modules(shipped.__path__):
        problems += _import(f"{SHIPPED}.{entry.name}", project)
    folder = project / "chalicelib" / "tasks"
    with _fresh(project, folder):
        for path in python_files(folder):
            parts = path.relative_to(folder).with_suffix("").parts
            bad = next((part for part in parts if not part.isidentifier()), None)
            if bad is not None:
                file = relative(path, project)
                hint = "rename it with letters, digits and underscores"
                problems.append(Problem(file, None, "file", f"'{bad}' cannot be imported by Python", hint))
            else:
                problems += _import(".".join((PACKAGE, *parts)).removesuffix(".__init__"), project)
    return list(dict.fromkeys(problems))  # a broken module fails again in each that imports it


def python_files(folder: Path) -> list[Path]:
    """Every module under a folder, in a fixed order."""
    return sorted(path for path in folder.rglob("*.py") if not _hidden(path, folder))


def yaml_files(folder: Path) -> list[Path]:
    """Every YAML file under a folder, in a fixed order."""
    found = (path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml") and path.is_file())
    return sorted(path for path in found if not _hidden(path, folder))


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)


def relative(path: Path | str, project: Path) -> str:
    """A path as problems name it: relative to the project where it is within."""
    try:
        return Path(path).resolve().relative_to(project).as_posix()
    except ValueError:
        return str(path)


@contextmanager
def _fresh(project: Path, folder: Path) -> Iterator[None]:
    """Forget what was imported of chalicelib.tasks, and take it from `folder`, whichever project this code belongs to."""
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    decorators.TASKS.clear()
    for name, cls in list(decorators.PROCESSORS.items()):
        if cls.__module__ == PACKAGE or cls.__module__.startswith(f"{PACKAGE}."):
            del decorators.PROCESSORS[name]
    _tree.cache_clear()
    importlib.invalidate_caches()
    sys.path.insert(0, str(project))
    written, sys.dont_write_bytecode = (
        sys.dont_write_bytecode,
        True,
    )  # two edits within a second would meet a stale .pyc
    finder = _Finder(folder)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
        sys.meta_path.remove(finder)
        if str(project) in sys.path:
            sys.path.remove(str(project))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the package chalicelib.tasks in a folder, and leaves everything else to the others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != PACKAGE:
            return None
        init = self.folder / "__init__.py"
        if init.is_file():
            return importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(self.folder)])
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(self.folder)]
        return spec


def _import(name: str, project: Path) -> list[Problem]:
    try:
        importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except SyntaxError as error:
        file = relative(error.filename or name, project)
        return [Problem(file, error.lineno, "syntax", f"is not Python: {error.msg}")]
    except BaseException as error:
        return [_import_problem(name, error, project)]
    return []


def _import_problem(name: str, error: BaseException, project: Path) -> Problem:
    """An exception of a module, at the last of its lines that belongs to the project."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith("<") and _within(frame.filename, project)]
    here = str(Path(__file__).parent.resolve())
    own = [frame for frame in own if not str(Path(frame.filename).resolve()).startswith(here)]
    file, line = (relative(own[-1].filename, project), own[-1].lineno) if own else (name, None)
    if isinstance(error, ModuleNotFoundError):
        hint = "add its package to requirements.txt and install it"
        return Problem(file, line, "import", f"there is no module '{error.name}'", hint)
    if type(error) is ValueError and "there is a processor" in str(error):
        return Problem(file, line, "processor", str(error), "choose another name")
    return Problem(file, line, "import", f"fails when it is imported: {type(error).__name__}: {error}")


def _within(filename: str, project: Path) -> bool:
    path = Path(filename).resolve()
    return path.is_relative_to(project) and not path.is_relative_to(Path(sys.prefix).resolve())


def task_functions(project: Path) -> list[TaskFunction]:
    """Every function that @task decorated, in the order of their places."""
    found = [_task_function(entry, project) for entry in decorators.TASKS]
    return sorted(found, key=lambda entry: (entry.origin.file, entry.origin.line or 0))


def _task_function(entry: decorators.Registered, project: Path) -> TaskFunction:
    function = entry.function
    name, module = getattr(function, "__name__", "?"), getattr(function, "__module__", "?")
    origin = _origin(function, name, project)
    faults = _kind_faults(function, name, module)
    raw: dict[str, Any] = {key: plain(value) for key, value in entry.options.items()}
    for key in ("pipeline", "parameters"):
        if key in raw:
            why = "its steps are the function" if key == "pipeline" else "they come from the function's signature"
            faults.append(Fault((key,), f"@task takes no {key}", why))
            del raw[key]
    raw.setdefault("id", name)
    raw.setdefault("description", inspect.getdoc(function) or "")
    raw["tags"] = list(raw["tags"]) if isinstance(raw.get("tags"), list | tuple | set) else raw.get("tags", [])
    lines = dict(origin.lines)
    raw["parameters"] = []
    if not faults:
        signature = read_signature(function)
        faults += [Fault(("parameters", *parameter), message, hint) for *parameter, message, hint in signature.faults]
        for index, argument in enumerate(signature.arguments):
            raw["parameters"].append(argument.raw)
            if (line := lines.get(("parameters", argument.name))) is not None:
                lines[("parameters", index)] = line
    return TaskFunction(function, module, f"{module}:{name}", raw, Origin(origin.file, name, origin.line, lines), faults)


def _kind_faults(function: Any, name: str, module: str) -> list[Fault]:
    if not inspect.isfunction(inspect.unwrap(function)):
        return [Fault((), "@task decorates a function", f"not {type(function).__name__}")]
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return [Fault((), "an async function cannot be a task", "call asyncio.run(...) within a plain function")]
    if "." in function.__qualname__:
        return [Fault((), "a task is a function at the module's top level", "move it out of its class or function")]
    found = getattr(sys.modules.get(module), name, None)
    if found is None or inspect.unwrap(found) is not inspect.unwrap(function):
        message = f"the module's '{name}' is not this function once it is loaded"
        return [Fault((), message, "is the name used twice, or does another decorator lack functools.wraps?")]
    return []


def _origin(function: Function, name: str, project: Path) -> Origin:
    """The line of the `def`, and those of the decorators' keywords and of the parameters."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        home = getattr(function, "__module__", "?")
        return Origin(relative(getattr(sys.modules.get(home), "__file__", None) or home, project), name, None)
    file = relative(code.co_filename, project)
    lines: dict[KeyPath, int] = {}
    node = _definition(code.co_filename, name, code.co_firstlineno)
    if node is None:
        return Origin(file, name, code.co_firstlineno)
    for decorator in node.decorator_list:
        for keyword in decorator.keywords if isinstance(decorator, ast.Call) else []:
            if keyword.arg:
                lines[(keyword.arg,)] = keyword.lineno
    for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg):
        if argument is not None:
            lines[("parameters", argument.arg)] = argument.lineno
    return Origin(file, name, node.lineno, lines)


def _definition(filename: str, name: str, first_line: int) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    for node in _tree(filename):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            begin = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if begin == first_line:
                return node
    return None


@lru_cache(maxsize=64)
def _tree(filename: str) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(Path(filename).read_bytes())))
    except (OSError, SyntaxError):
        return []


def class_place(cls: type[Any], project: Path) -> str:
    """`file:line` of a class, as far as it is known."""
    try:
        return f"{relative(inspect.getfile(cls), project)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return cls.__module__
