"""A small AWS on a port of its own, for commands that run as processes: moto behind HTTP, with its gaps filled."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.local.aws import credential
from infra.local.motoservices import MotoServices
from infra.local.options import REGION
from infra.local.wire import Request, Response, as_json
from tests.support.moto_gaps import Gaps, whole_change_sets


class AwsServer:
    """`url` is for AWS_ENDPOINT_URL; `requests` are those so far, as (service, method, path)."""

    def __init__(self) -> None:
        self.moto, self.gaps = MotoServices(), Gaps()
        self.moto.routes["apigateway"] = [*self.moto._load("apigateway"), *self.moto._load("apigatewayv2")]  # one signing name
        self.lock = threading.Lock()
        self.requests: list[tuple[str, str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: two would wait for each other, 40 ms a request

            def handle_one(self) -> None:
                server.serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = handle_one

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None: ...  # a client that hangs up

        self.http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Read one request, answer it."""
        path, _, query = handler.path.partition("?")
        length = int(handler.headers.get("content-length") or 0)
        headers = {k.lower(): v for k, v in handler.headers.items()}
        if headers.get("expect", "").lower() == "100-continue":
            headers.pop("expect")
        request = Request(handler.command, path, query, headers, handler.rfile.read(length))
        try:
            with self.lock:
                response = self.handle(request)
        except Exception as error:
            traceback.print_exc()
            response = as_json(501, {"message": f"the stand-in for AWS cannot: {error}"}, {"x-amzn-ErrorType": "NotImplemented"})
        handler.send_response(response.status)
        for name, value in {"content-type": response.content_type, **response.headers}.items():
            handler.send_header(name, value)
        if "content-length" not in response.headers:
            handler.send_header("content-length", str(len(response.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(response.body)

    def handle(self, request: Request) -> Response:
        """One request; they are served one after another."""
        service = credential(request)[1]
        self.requests.append((service, request.method, request.path))
        return self.gaps.answer(service, request) or self.gaps.complete(service, request, self.moto.handle(service, request))

    def environ(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of it."""
        import boto3

        make: Any = boto3.client
        return make(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
        )


@contextlib.contextmanager
def run_aws_server() -> Iterator[AwsServer]:
    """An empty account, served as long as the block lasts."""
    from moto.core.base_backend import BackendDict

    # It says what it cannot in the middle of tests that do not ask for it.
    logging.getLogger("moto").setLevel(logging.ERROR)
    server = AwsServer()
    BackendDict.reset()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        with whole_change_sets(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
        BackendDict.reset()
