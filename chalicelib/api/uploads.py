"""Route /uploads: files go straight to the bucket, not through Lambda."""

from __future__ import annotations

import re

from chalicelib.api.http import Reply, Request
from chalicelib.domain.errors import FieldError, InvalidArgumentsError
from chalicelib.domain.ids import new_run_id

MOST_BYTES = 5 * 1024**3  # what S3 takes in one form
FORM_SECONDS = 900


def make_upload(request: Request) -> Reply:
    """A presigned form: POST its fields and the file to its url, then start with `{"name", "key"}` as the argument."""
    body = request.body({"name", "size"})
    name, size = body.get("name"), body.get("size", MOST_BYTES)
    if not isinstance(name, str) or not name.strip() or len(name) > 255:
        raise InvalidArgumentsError("a file has a name", [FieldError("name", "the file's name, 1 to 255 characters")])
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MOST_BYTES:
        raise InvalidArgumentsError("that size cannot be", [FieldError("size", f"bytes, 0 to {MOST_BYTES}")])
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name.rsplit("/", 1)[-1])[-100:] or "file"
    key = f"uploads/{new_run_id()}/{safe}"
    form = request.services.s3().generate_presigned_post(
        request.services.settings.bucket,
        key,
        Conditions=[["content-length-range", 0, size]],
        ExpiresIn=FORM_SECONDS,
    )
    return Reply({"name": name, "key": key, "url": form["url"], "fields": form["fields"]}, 201)
