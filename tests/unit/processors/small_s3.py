"""An S3 that keeps objects on the disk and streams them, so that a gigabyte can be sent to it: what moto would hold in memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

_BLOCK = 1 << 20


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def _target(self) -> tuple[Path, dict[str, list[str]]]:
        url = urlsplit(self.path)
        return self.folder / unquote(url.path).strip("/").replace("/", "_"), parse_qs(url.query, keep_blank_values=True)

    def _answer(self, status: int = 200, body: str = "", **headers: str) -> None:
        self.send_response(status)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in ({"Content-Length": str(len(body)), "ETag": '"x"'} | given).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_PUT(self) -> None:
        path, query = self._target()
        left = int(self.headers["Content-Length"])
        with open(f"{path}.{int(query['partNumber'][0]):05}" if "partNumber" in query else path, "wb") as file:
            while left:
                block = self.rfile.read(min(_BLOCK, left))
                file.write(block)
                left -= len(block)
        self._answer()

    def do_POST(self) -> None:
        path, query = self._target()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "uploads" in query:
            return self._answer(body="<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        with path.open("wb") as whole:
            for part in sorted(path.parent.glob(f"{path.name}.?????")):
                with part.open("rb") as reader:
                    shutil.copyfileobj(reader, whole)
                part.unlink()
        self._answer(body="<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def do_HEAD(self) -> None:
        path, _ = self._target()
        if not path.is_file():
            return self._answer(404)
        self._answer(Content_Length=str(path.stat().st_size), Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")

    def do_GET(self) -> None:
        path, query = self._target()
        if "list-type" in query:
            return self._answer(body="<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
        size = path.stat().st_size
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = int(first), int(last or size - 1)
        self.send_response(206 if "Range" in self.headers else 200)
        for name, value in {
            "Content-Length": end - start + 1,
            "ETag": '"x"',
            "Content-Range": f"bytes {start}-{end}/{size}",
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        with path.open("rb") as file:
            file.seek(start)
            left = end - start + 1
            while left:
                block = file.read(min(_BLOCK, left))
                self.wfile.write(block)
                left -= len(block)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def small_s3(folder: Path) -> Iterator[str]:
    """Its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"folder": folder}))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
