"""The fork server: a small single-threaded process that has imported the third-party libraries and forks workers.

A worker starts in milliseconds and shares the libraries' memory. The project's own code is imported in the children only;
one of them, the template, has imported all of it but the tasks, and is a fork server again: for workers of this very code.
Runs as a script (`python -P zygote.py FD`); everything it needs at the start is in the standard library.

Over the socket FD come JSON lines, each with one file descriptor for the child's output:
    {"id", "kind": "worker", "env", "cwd", "paths", "handler"}    runs the handler under awslambdaric
    {"id", "kind": "call", "env", "cwd", "paths", "target"}     runs `module:function`, "manifest" describes app.py; the
                                                         result goes back over a second descriptor as JSON
    {"id", "kind": "template", "env", "cwd", "paths", "modules"}  imports these and takes such orders over a second descriptor
    {"kind": "retire"}                                   takes no more, and ends after its last child
and JSON lines go back: {"ready": true}, {"started": id, "pid"}, {"ended": id, "pid", "status"} (negative: a signal).
End of file on the socket means the stack is gone: every child's process group is killed, also after kill -9.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    "boto3", "boto3.dynamodb.types", "botocore.retries.standard", "botocore.retries.adaptive", "pydantic", "chalice",
    "awslambdaric.bootstrap", "aws_lambda_powertools.logging", "yaml", "jinja2", "cronsim", "ulid", "zoneinfo",
    "http.client", "concurrent.futures", "multiprocessing", "decimal", "uuid", "ctypes", "urllib3",
    "difflib", "encodings.idna", "resource",
)  # fmt: skip
SERVICES = ("dynamodb", "lambda", "s3", "events", "apigatewaymanagementapi", "sns")


def warm_up(extra: list[str]) -> None:
    """Import the libraries and read botocore's service models, once for all workers."""
    # its C client reads the Runtime API's address once, when it is first initialized: that must be in the worker
    sys.modules["runtime_client"] = None  # type: ignore[assignment]
    for name in (*LIBRARIES, *extra):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    del sys.modules["runtime_client"]
    with contextlib.suppress(ImportError):
        # pydantic imports itself piece by piece as it is used, and looks for plugins with the first model
        import pydantic

        class _Model(pydantic.BaseModel):
            number: int = pydantic.Field(0, ge=0)

        _Model.model_validate({}).model_dump(by_alias=True)
        _Model.model_json_schema()
    import boto3
    from botocore import loaders

    files: dict[str, Any] = {}
    load_file = loaders.JSONFileLoader.load_file

    def load_file_once(self: Any, path: str) -> Any:
        if path not in files:
            files[path] = load_file(self, path)
        return files[path]

    loaders.JSONFileLoader.load_file = load_file_once  # type: ignore[method-assign,assignment]
    boto3.setup_default_session()
    client: Any = boto3.client
    for service in SERVICES:
        # explicit keys: the session must not remember this process's credentials or region
        client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


class Zygote:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: dict[int, str] = {}
        self.text = b""
        self.descriptors: list[int] = []
        self.retired = False
        self.templates: set[int] = set()

    def run(self) -> None:
        waker, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)
        selector = selectors.DefaultSelector()
        selector.register(self.control, selectors.EVENT_READ)
        selector.register(waker, selectors.EVENT_READ)
        self.inherited = (waker, wake, selector.fileno() if hasattr(selector, "fileno") else -1)
        self.tell({"ready": True})
        while True:
            for key, _ in selector.select():
                if key.fileobj is self.control:
                    if not self.listen():
                        return self.kill_all()
                else:
                    os.read(waker, 4096)
            self.reap()
            if self.retired and not self.children:
                return None

    def listen(self) -> bool:
        """Read what was asked; False at the end of file."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.control, 1 << 18, 64)
        except OSError:
            return False
        if not data:
            return False
        self.text += data
        self.descriptors += descriptors
        while b"\n" in self.text:
            line, _, self.text = self.text.partition(b"\n")
            self.start(json.loads(line))
        return True

    def start(self, order: dict[str, Any]) -> None:
        if order["kind"] == "retire":
            self.retired = True
            return
        taken = [self.descriptors.pop(0) for _ in range(order["descriptors"])]
        pid = os.fork()
        if pid == 0:
            self.become(order, taken)
        with contextlib.suppress(OSError):  # the child was faster, or is gone
            os.setpgid(pid, pid)
        for descriptor in taken:
            os.close(descriptor)
        self.children[pid] = order["id"]
        if order["kind"] == "template":
            self.templates.add(pid)
        self.tell({"started": order["id"], "pid": pid})

    def become(self, order: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """In the child: take on the order's environment and run it."""
        status = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if order["kind"] != "template":  # which ends at the end of its own socket, after its children's whole groups
                die_with_parent()
            os.dup2(descriptors[0], 1)
            os.dup2(descriptors[0], 2)
            os.close(descriptors[0])
            self.control.close()
            for descriptor in self.inherited:
                if descriptor >= 0:
                    os.close(descriptor)
            os.environ.clear()
            os.environ.update(order["env"])
            time.tzset()
            os.chdir(order["cwd"])
            sys.path[:0] = order["paths"]
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            gc.enable()
            if order["kind"] == "worker":
                serve_invocations(order["handler"])
            elif order["kind"] == "template":
                load_project(order["modules"])
                Zygote(socket.socket(fileno=descriptors[1])).run()
            else:
                answer(order["target"], descriptors[1])
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)

    def reap(self) -> None:
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self.children.pop(pid, None)
            if name is not None:
                self.tell({"ended": name, "pid": pid, "status": os.waitstatus_to_exitcode(status)})

    def kill_all(self) -> None:
        for pid in self.children.keys() - self.templates:  # which have to end their own children first
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)

    def tell(self, message: dict[str, Any]) -> None:
        try:
            self.control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.kill_all()
            os._exit(0)


def die_with_parent() -> None:
    """On Linux the kernel kills the child when this server is killed; elsewhere end of file on the socket has to do."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def load_project(modules: list[str]) -> None:
    """Import what of the project can be imported; what cannot fails again where it is needed."""
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.disable()
    gc.freeze()


def serve_invocations(handler: str) -> None:
    """What AWS's own bootstrap does: awslambdaric against the Runtime API of the environment."""
    from awslambdaric import bootstrap, lambda_runtime_client
    from awslambdaric.lambda_config import LambdaConfigProvider

    config = LambdaConfigProvider(["", handler])
    runtime_client = importlib.import_module("runtime_client")
    runtime_client.initialize_client(lambda_runtime_client._user_agent())
    lambda_runtime_client.runtime_client = runtime_client
    client = lambda_runtime_client.LambdaRuntimeClient(config.api_address, config.use_thread_polling)
    bootstrap.run(config.handler, client)


def answer(target: str, descriptor: int) -> None:
    """Run the target and write {"result"} or {"error", "traceback", "problems"?} to the descriptor."""
    reply: dict[str, Any]
    try:
        if target == "manifest":
            spec = importlib.util.spec_from_file_location("nightshift_manifest", Path(__file__).parent / "manifest.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
            result = module.describe()
        else:
            name, _, function = target.partition(":")
            result = getattr(importlib.import_module(name), function)()
        reply = {"result": result if isinstance(result, (dict, list, str, int, float)) else None}
    except BaseException as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_ours(f.filename)]
        trace = "".join(traceback.format_list(frames) + traceback.format_exception_only(error))
        reply = {"error": f"{type(error).__name__}: {error}", "traceback": trace}
        if (problems := getattr(error, "problems", None)) and isinstance(problems, list):
            reply["problems"] = [str(problem) for problem in problems]  # each says its place: no traceback needed
    with os.fdopen(descriptor, "w") as file:
        json.dump(reply, file)


def _is_ours(filename: str) -> bool:
    """Frames that tell a reader of an import error nothing."""
    return filename == __file__ or filename.endswith("local/manifest.py") or "<frozen" in filename


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the stack's to handle
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path[:] = [path for path in sys.path if path]
    warm_up(sys.argv[2:])
    gc.collect()
    gc.disable()
    gc.freeze()
    Zygote(control).run()


if __name__ == "__main__":
    main()
