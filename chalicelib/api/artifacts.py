"""Routes under /run/{run_id}/artifacts: the files that a run keeps."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from chalicelib.api.http import Reply, Request
from chalicelib.domain.errors import UnknownArtifactError
from chalicelib.domain.run import RunRecord
from chalicelib.engine.artifacts import artifact_key
from chalicelib.engine.services import Services
from chalicelib.store.runs import get_run

LINK_SECONDS = 300


def list_artifacts(request: Request) -> Reply:
    """What the run keeps, in the order it came; also while it runs, as far as an attempt or leg of it has ended."""
    run = get_run(request.services.table, request.params["run_id"])
    return Reply({"run_id": run.id, "artifacts": artifact_views(request.services, run), "next_cursor": None})


def get_artifact(request: Request) -> Reply:
    """A redirect to a link that downloads the file, from the bucket itself, for five minutes."""
    run = get_run(request.services.table, request.params["run_id"])
    asked = request.params["name"]
    # API Gateway hands a path's segments on as they were sent.
    note = next((a for name in (asked, unquote(asked)) for a in run.artifacts if a["name"] == name), None)
    if note is None:
        raise UnknownArtifactError(run.id, unquote(asked))
    link = request.services.s3().generate_presigned_url(
        "get_object",
        Params={
            "Bucket": request.services.settings.bucket,
            "Key": artifact_key(run.id, note["name"]),
            "ResponseContentDisposition": disposition(note["name"]),
            "ResponseContentType": note["content_type"],
        },
        ExpiresIn=LINK_SECONDS,
    )
    return Reply({"url": link, "expires_in": LINK_SECONDS}, 302, {"Location": link, "Cache-Control": "no-store"})


def artifact_views(services: Services, run: RunRecord) -> list[dict[str, Any]]:
    """Artifacts as JSON, each with where it is downloaded."""
    base = f"{services.settings.api_url}/run/{run.id}/artifacts"
    return [note | {"url": f"{base}/{quote(note['name'], safe='')}"} for note in run.artifacts]


def disposition(name: str) -> str:
    """A Content-Disposition that saves under this name and never shows; whatever is in the name stays in it (RFC 6266)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-()+,=@") else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
