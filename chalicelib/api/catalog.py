"""Routes /pipelines and /processors."""

from __future__ import annotations

from chalicelib.api.http import Reply, Request


def list_pipelines(request: Request) -> Reply:
    """All pipelines with their steps and the tasks that use them."""
    tasks = request.services.registry.tasks().values()
    found = []
    for pipeline in request.services.catalog.pipelines.values():
        steps = [{"name": s.name or s.processor, "processor": s.processor, "config": s.config} for s in pipeline.steps]
        users = [t.id for t in tasks if t.pipeline == pipeline.name]
        found.append({"name": pipeline.name, "description": pipeline.description, "steps": steps, "tasks": users})
    return Reply({"pipelines": found, "next_cursor": None})


def list_processors(request: Request) -> Reply:
    """All processors; `config_schema` is JSON Schema."""
    found = [
        {"name": p.name, "description": p.description, "config_schema": p.config_schema}
        for p in request.services.catalog.processors.values()
    ]
    return Reply({"processors": found, "next_cursor": None})
