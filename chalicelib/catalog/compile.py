"""Everything under chalicelib/tasks/ -> chalicelib/catalog.json and .chalice/, or every reason why not."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.catalog import decorators
from chalicelib.catalog.chalice_config import chalice_files
from chalicelib.catalog.checks import PYTHON_PREFIX, check_settings, check_task, function_name
from chalicelib.catalog.faults import Fault, Origin, suggestion
from chalicelib.catalog.functions import function_faults
from chalicelib.catalog.pipelines import BESIDE_IF, STEP_KEYWORDS, all_steps, check_pipeline, processors_of
from chalicelib.catalog.python_source import PACKAGE, class_place, import_all, relative, task_functions, yaml_files
from chalicelib.catalog.references import argument_faults, reference_faults
from chalicelib.catalog.relations import cycle_fault, cycle_through, place_faults
from chalicelib.catalog.yaml_source import Document, read_documents
from chalicelib.domain.errors import DefinitionErrors, Problem
from chalicelib.domain.model import Catalog, CatalogTask, Pipeline, ProcessorInfo, Step, Task
from chalicelib.settings import load_settings

TOP_LEVEL = ("task", "tasks", "pipelines")


@dataclass(frozen=True)
class CompileReport:
    """What compiling came to: the catalog, and the files whose content changed (or would have)."""

    catalog: Catalog
    changed: list[Path]


def compile_catalog(project_dir: Path, *, write: bool = True, output: Path | None = None) -> CompileReport:
    """Read, check and write down all definitions of a project. Raises DefinitionErrors, and then writes nothing.

    `output` is another place for catalog.json; `write=False` only compares.
    """
    project = project_dir.resolve()
    catalog = _Compiler(project).catalog()
    target, chalice = output or project / "chalicelib" / "catalog.json", project / ".chalice"
    try:
        texts: dict[Path, str | None] = {target: catalog_text(catalog), **chalice_files(catalog, chalice)}
    except ValueError as error:
        config, line = relative(chalice / "config.json", project), getattr(error, "lineno", None)
        message = f"is not JSON: {error}" if line else str(error)
        raise DefinitionErrors([Problem(config, line, "config", message)]) from None
    changed = [path for path, text in texts.items() if (path.read_text(encoding="utf-8") if path.is_file() else None) != text]
    for path in changed if write else []:
        _write(path, texts[path])
    if write:
        from chalicelib.catalog.load import forget

        forget()
    return CompileReport(catalog, changed)


def read_file(project_dir: Path, file: Path) -> Catalog:
    """The catalog of one YAML file, with all processors and the tasks of the project's Python. Raises DefinitionErrors.

    Tasks may name pipelines of other files, which are not looked at.
    """
    return _Compiler(project_dir.resolve(), only=file.resolve()).catalog()


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def stale(project_dir: Path) -> list[Path]:
    """The committed files that are not what the definitions compile to."""
    return compile_catalog(project_dir, write=False).changed


def catalog_text(catalog: Catalog) -> str:
    """catalog.json: sorted, without what is default anyway, the same for the same definitions."""
    content = {"version": catalog.version, "digest": catalog.digest, **catalog.model_dump(exclude_defaults=True)}
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


@dataclass
class _Compiler:
    """The work on one project; problems gather as it goes."""

    project: Path
    only: Path | None = None  # a YAML file that is read instead of all
    problems: list[Problem] = field(default_factory=list)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    tasks: dict[str, CatalogTask] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    places: dict[tuple[str, str], Origin] = field(default_factory=dict)  # (kind, name) -> where it was defined first

    def catalog(self) -> Catalog:
        folder = self.project / "chalicelib" / "tasks"
        if not folder.is_dir():
            hint = "is this the project's folder?"
            raise DefinitionErrors([Problem("chalicelib/tasks", None, "folder", "is not there", hint)])
        self.problems += (broken := import_all(self.project))
        processors = self._processors()
        documents = []
        unread = self.only is not None
        for path in yaml_files(folder) if self.only is None else [self.only]:
            found, problems = read_documents(path, relative(path, self.project))
            documents += [document for document in found if self._top_level(document)]
            self.problems += problems
            unread = unread or bool(problems)
        for document in documents:
            self._settings(document)
            self._pipelines(document, complete=not broken)
        for function in task_functions(self.project):
            name = f"{PYTHON_PREFIX}{function.raw['id']}"
            raw = {**function.raw, "pipeline": name}
            step = Step(processor="python", config={"function": function.reference}, name=function.reference)
            task = self._task(raw, function.origin, None, function.faults, {function.module})
            if task is not None:
                description = f"The function {function.reference}"
                self.pipelines[name] = Pipeline(
                    name=name, description=description, steps=[step.model_copy(update={"name": task.id})]
                )
        known = None if unread else {name[1] for name in self.places if name[0] == "pipeline"}
        for document in documents:
            for index, raw in enumerate(document.data.get("tasks") or []):
                self._task(raw, document.origin.at("tasks", index), known, [], set())
        if not broken:
            self._references()
        if not unread and not broken:
            self._relations()
        if self.problems:
            raise DefinitionErrors(sorted(self.problems, key=lambda p: (p.file, p.line or 0, p.key)))
        return self._result(processors)

    def _result(self, processors: dict[str, ProcessorInfo]) -> Catalog:
        catalog = Catalog(settings=self.settings, tasks=self.tasks, pipelines=self.pipelines, processors=processors)
        digest = hashlib.sha256(catalog_text(catalog).encode()).hexdigest()
        return catalog.model_copy(update={"digest": digest})

    def _fault(self, origin: Origin, *path: str | int, message: str, hint: str = "") -> None:
        self.problems.append(origin.problem(Fault(path, message, hint)))

    def _top_level(self, document: Document) -> bool:
        origin = document.origin
        if not isinstance(document.data, dict):
            self._fault(origin, "document", message=f"is a mapping with {', '.join(TOP_LEVEL)}")
            return False
        for key in document.data:
            if key not in TOP_LEVEL:
                self._fault(origin, key, message=f"unknown key '{key}'", hint=suggestion(key, TOP_LEVEL))
        for key in ("tasks", "pipelines"):
            if not isinstance(document.data.get(key) or [], list):
                hint = "- id: ..." if key == "tasks" else "- name: ..."
                self._fault(origin, key, message="is a list, each entry behind a dash", hint=f"begin with {hint}")
                document.data[key] = []
        return True

    def _processors(self) -> dict[str, ProcessorInfo]:
        from pydantic import BaseModel

        found = {}
        for name, cls in sorted(decorators.PROCESSORS.items()):
            file, _, line = class_place(cls, self.project).partition(":")
            origin = Origin(file, name, int(line) if line else None)
            model = isinstance(cls, type) and issubclass(cls, BaseModel)
            if not model or not any("__call__" in base.__dict__ for base in cls.__mro__):
                self._fault(origin, message="a processor is a pydantic model with __call__(self, run)")
                continue
            if name in (*STEP_KEYWORDS, *BESIDE_IF) or not name:
                self._fault(origin, message=f"'{name}' cannot be the name of a processor", hint="it is a word of steps")
            try:
                schema = cls.model_json_schema()
            except Exception:  # a field that JSON Schema has no words for
                schema = {}
            description = inspect.cleandoc(cls.__doc__ or "")
            found[name] = ProcessorInfo(
                name=name,
                module=cls.__module__,
                qualname=cls.__qualname__,
                description=description,
                config_schema=schema,
            )
        return found

    def _first(self, kind: str, name: str, origin: Origin, key: str) -> bool:
        """Whether nothing else has the name; the problem names the other place."""
        other = self.places.setdefault((kind, name), origin)
        if other is not origin:
            place = f"{other.file}:{other.line_of((key,))}"
            self._fault(origin, key, message=f"there is a {kind} '{name}' already, at {place}", hint="rename one of them")
        return other is origin

    def _settings(self, document: Document) -> None:
        raw, origin = document.data.get("task"), document.origin.at("task")
        if raw is None:
            return
        if not isinstance(raw, dict):
            self._fault(origin, message="is a mapping of settings, like time_zone: UTC")
            return
        settings, faults = check_settings(raw)
        self.problems += [origin.problem(fault) for fault in faults]
        for key in raw:
            if self._first("setting", key, origin, key):
                self.settings.update({key: settings[key]} if key in settings else {})

    def _pipelines(self, document: Document, complete: bool) -> None:
        for index, raw in enumerate(document.data.get("pipelines") or []):
            origin = document.origin.at("pipelines", index)
            pipeline, faults = check_pipeline(raw, decorators.PROCESSORS, complete)
            self.problems += [origin.problem(fault) for fault in faults]
            name = raw.get("name") if isinstance(raw, dict) else None
            if isinstance(name, str) and self._first("pipeline", name, origin, "name") and pipeline is not None:
                self.pipelines[name] = pipeline

    def _task(self, raw: Any, origin: Origin, known: set[str] | None, faults: list[Fault], modules: set[str]) -> Task | None:
        if not isinstance(raw, dict):
            self._fault(origin, message="a task is a mapping with id and pipeline")
            return None
        task, found = check_task(raw, known, self.settings.get("time_zone", "UTC"))
        self.problems += [origin.problem(fault) for fault in [*faults, *found]]
        task_id = raw.get("id")
        if not isinstance(task_id, str) or not self._first("task", task_id, origin, "id") or task is None:
            return None
        function = function_name(task.id)
        twin = next((other for other in self.tasks.values() if other.function == function), None)
        if twin is not None:
            message = f"'{task.id}' and '{twin.id}' ({twin.source}) would share the function {function}"
            self._fault(origin, "id", message=message, hint="rename one of them")
            return None
        self.tasks[task.id] = CatalogTask(
            **task.model_dump(),
            function=function,
            modules=sorted(modules | self._modules(task.pipeline)),
            source=str(origin),
        )
        return task

    def _references(self) -> None:
        """What the steps of pipelines refer to and call; their arguments once for each task that runs them."""
        for name, pipeline in self.pipelines.items():
            origin = self.places.get(("pipeline", name))
            if origin is None:
                continue  # a function's
            faults = reference_faults(pipeline, decorators.PROCESSORS) + function_faults(pipeline, decorators.PROCESSORS)
            for task in self.tasks.values():
                if task.pipeline == name:
                    faults += argument_faults(pipeline, task, decorators.PROCESSORS)
            self.problems += [origin.problem(fault) for fault in faults]

    def _relations(self) -> None:
        """Pools, slots and dependencies, once all tasks and settings are read. One problem for one circle."""
        if any(kind == "setting" and name not in self.settings for kind, name in self.places):
            return  # it is told already
        settings = load_settings(self.settings, {})
        known = {name for kind, name in self.places if kind == "task"}
        after = {task.id: task.depends_on for task in self.tasks.values()}
        told: set[str] = set()
        for task in sorted(self.tasks.values(), key=lambda task: task.id):
            faults = place_faults(task, known, settings.pools, settings.max_concurrent_tasks)
            cycle = None if task.id in told else cycle_through(task.id, after)
            if cycle is not None:
                told.update(cycle)
                faults.append(cycle_fault(cycle))
            self.problems += [self.places["task", task.id].problem(fault) for fault in faults]

    def _modules(self, pipeline: str) -> set[str]:
        """The user's modules that the steps of a pipeline need."""
        if pipeline not in self.pipelines:
            return set()
        names = processors_of(all_steps(self.pipelines[pipeline]), decorators.PROCESSORS)
        homes = {decorators.PROCESSORS[name].__module__ for name in names if name in decorators.PROCESSORS}
        return {home for home in homes if home == PACKAGE or home.startswith(f"{PACKAGE}.")}
