"""S3 objects as files in the data directory, so that uploads and results survive a restart.

    files/{bucket}/{quoted key}          the bytes
    files/{bucket}/{quoted key}.meta     {"type", "metadata"} as JSON

Only the latest version of an object is kept. moto's S3 is imported when S3 is first used or files are there to load.
A bucket that is written to and not there is made: samples that name one work on a laptop, where nobody made any.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from .options import ACCOUNT, REGION
from .wire import Request, Response

META = ".meta"


class Files:
    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.say = say
        self.buckets: set[str] = set()
        self.loaded = False

    def create_bucket(self, name: str) -> None:
        """The bucket exists from now on; moto learns of it with the first S3 request."""
        self.buckets.add(name)

    def load(self) -> None:
        """Make the buckets and put the kept objects into moto. Runs once, before the first S3 request."""
        if self.loaded:
            return
        self.loaded = True
        backend = self._backend()
        kept = {path.name for path in self.folder.iterdir() if path.is_dir()} if self.folder.is_dir() else set()
        for bucket in sorted(self.buckets | kept):
            if bucket not in backend.buckets:
                backend.create_bucket(bucket, REGION)
            for path in (self.folder / bucket).glob("*") if bucket in kept else ():
                if path.suffix != META:
                    self._load_object(backend, bucket, path)

    def _load_object(self, backend: Any, bucket: str, path: Path) -> None:
        beside = path.with_name(path.name + META)
        meta = json.loads(beside.read_text()) if beside.is_file() else {}
        name = json.loads(beside.read_text())["key"] if meta.get("key") else unquote(path.name)
        item = backend.put_object(bucket, name, path.read_bytes())
        item.set_metadata(meta.get("metadata", {}), replace=True)
        if meta.get("type"):
            item._metadata["Content-Type"] = meta["type"]

    def before(self, request: Request) -> None:
        """Make the bucket that an object is about to be put into, also in parts."""
        bucket, _, key = request.plain_path.strip("/").partition("/")
        begins = request.method == "PUT" or (request.method == "POST" and "uploads" in parse_qs(request.query, True))
        backend = self._backend()
        if not key or not begins or bucket in backend.buckets:
            return
        backend.create_bucket(bucket, REGION)
        self.buckets.add(bucket)
        self.say(f"made the bucket {bucket}, which did not exist: AWS would refuse this write, so make it there before you deploy")

    def after(self, request: Request, response: Response) -> None:
        """Bring the files in line with what a successful request did to its bucket."""
        if request.method in ("GET", "HEAD") or response.status >= 400:
            return
        bucket, _, key = request.plain_path.strip("/").partition("/")
        backend = self._backend()
        self.buckets = set(backend.buckets)
        if bucket not in backend.buckets:
            return
        if key and "tagging" not in parse_qs(request.query, keep_blank_values=True):
            self._sync(backend, bucket, request.plain_path.lstrip("/").partition("/")[2])
        else:  # a browser's form or a bulk delete: the keys are in the body
            names = set(backend.buckets[bucket].keys.keys())
            for name in names | self._kept(bucket):
                self._sync(backend, bucket, name)

    def _sync(self, backend: Any, bucket: str, name: str) -> None:
        path = self._path(bucket, name)
        beside = path.with_name(path.name + META)
        item = backend.buckets[bucket].keys.get(name)
        if item is None or type(item).__name__ == "FakeDeleteMarker":
            path.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)
            return
        if path.is_file() and path.stat().st_mtime >= item.last_modified.timestamp() and path.stat().st_size == item.size:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {k: v for k, v in dict(item.metadata).items() if k.lower().startswith("x-amz-meta-")}
        content_type = dict(item.metadata).get("Content-Type") or dict(item.metadata).get("content-type")
        beside.write_text(json.dumps({"key": name, "type": content_type, "metadata": metadata}))
        half = path.with_name(path.name + ".part" + META)
        half.write_bytes(item.value)
        half.replace(path)

    def _kept(self, bucket: str) -> set[str]:
        folder = self.folder / bucket
        metas = folder.glob(f"*{META}") if folder.is_dir() else ()
        return {json.loads(m.read_text())["key"] for m in metas if not m.name.endswith(".part" + META)}

    def _path(self, bucket: str, name: str) -> Path:
        quoted = quote(name, safe="")
        if len(quoted) > 200:
            quoted = hashlib.sha256(name.encode()).hexdigest()
        return self.folder / bucket / quoted

    def _backend(self) -> Any:
        from moto.s3.models import s3_backends

        return s3_backends[ACCOUNT]["aws"]
