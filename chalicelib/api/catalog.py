"""Routes /pipelines and /processors."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.domain.model import Step

ENDINGS = ("on_success", "on_failure", "always")


def list_pipelines(request: Request) -> Reply:
    """All pipelines with their steps and the tasks that use them."""
    tasks = request.services.registry.tasks().values()
    found = []
    for pipeline in request.services.catalog.pipelines.values():
        steps = [_shown(step) for step in pipeline.steps]
        endings = {key: [_shown(step) for step in getattr(pipeline, key)] for key in ENDINGS if getattr(pipeline, key)}
        users = [t.id for t in tasks if t.pipeline == pipeline.name]
        found.append({"name": pipeline.name, "description": pipeline.description, "steps": steps, **endings, "tasks": users})
    pipelines, cursor = request.page(sorted(found, key=itemgetter("name")), "name")
    return Reply({"pipelines": pipelines, "next_cursor": cursor})


def _shown(step: Step) -> dict[str, Any]:
    """Name, processor, configuration, and those keywords that say something."""
    return {"name": step.name or step.processor, "processor": step.processor, "config": step.config} | step.model_dump(
        exclude_defaults=True, exclude={"name", "processor", "config"}
    )


def list_processors(request: Request) -> Reply:
    """All processors; `config_schema` is JSON Schema."""
    found = [
        {"name": p.name, "description": p.description, "config_schema": p.config_schema}
        for p in request.services.catalog.processors.values()
    ]
    processors, cursor = request.page(sorted(found, key=itemgetter("name")), "name")
    return Reply({"processors": processors, "next_cursor": cursor})
