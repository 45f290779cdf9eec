"""Starting, reloading, stopping and dying."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.config import Config

from infra.local.testing import LocalStack

from .conftest import TABLE, TOY, alive, eventually, note

pytestmark = pytest.mark.stack


def start_sleeper(stack: LocalStack, seconds: float) -> int:
    """An async invocation that sleeps; the worker's pid once it runs."""
    payload = json.dumps({"do": "sleep", "seconds": seconds})
    stack.client("lambda").invoke(FunctionName="work", Payload=payload, InvocationType="Event")
    return int(eventually(lambda: note(stack, "work").get("started")))


def test_it_is_ready_soon(own_stack: Any) -> None:
    stack = own_stack()
    print(f"ready after {stack.started_in:.2f} s")
    assert stack.started_in < 10


def test_changed_code_is_served_without_restart(own_stack: Any, project: Path) -> None:
    stack = own_stack(reload=True)
    assert httpx.get(f"{stack.url}/hello/bob").json()["text"] == "hello bob"
    pid = start_sleeper(stack, 2.0)
    (project / "chalicelib" / "texts.py").write_text('def greet(name):\n    return f"goodbye {name}"\n')
    eventually(lambda: httpx.get(f"{stack.url}/hello/bob").json()["text"] == "goodbye bob")
    eventually(lambda: note(stack, "work").get("finished") == str(pid))  # it was let finish
    eventually(lambda: pid not in stack.worker_pids())


def test_broken_code_is_shown_and_the_old_keeps_serving(own_stack: Any, project: Path) -> None:
    stack = own_stack(reload=True)
    whole = (project / "chalicelib" / "texts.py").read_text()
    (project / "chalicelib" / "texts.py").write_text("def greet(name:\n")
    eventually(lambda: "the app cannot be loaded" in stack.console())
    assert 'chalicelib/texts.py", line 1' in stack.console()
    assert httpx.get(f"{stack.url}/hello/bob").json()["text"] == "hello bob"
    fresh = json.load(stack.client("lambda").invoke(FunctionName="work")["Payload"])
    assert "pid" in fresh, "a new worker found the broken code"
    assert "SyntaxError" in stack.ask("status")["error"]
    (project / "chalicelib" / "texts.py").write_text(whole + "\n")
    eventually(lambda: stack.ask("status")["error"] is None)
    assert httpx.get(f"{stack.url}/hello/bob").json()["text"] == "hello bob"


def test_wrong_definitions_are_shown_line_by_line(own_stack: Any, project: Path) -> None:
    (project / "chalicelib" / "compiler.py").write_text(
        "class Wrong(Exception):\n"
        "    problems = ['tasks/a.yaml:3: tasks[0].titel: unknown key (did you mean title?)', 'tasks/a.yaml:9: x: is missing']\n\n"
        "def main():\n    if WRONG:\n        raise Wrong\n\nWRONG = False\n"
    )
    stack = own_stack(reload=True, before_load="chalicelib.compiler:main")
    text = (project / "chalicelib" / "compiler.py").read_text()
    (project / "chalicelib" / "compiler.py").write_text(text.replace("WRONG = False", "WRONG = True"))
    eventually(lambda: stack.ask("status")["error"])
    shown = stack.console().split("the app cannot be loaded:\n")[1].splitlines()
    assert shown[:2] == ["tasks/a.yaml:3: tasks[0].titel: unknown key (did you mean title?)", "tasks/a.yaml:9: x: is missing"]
    assert "Traceback" not in stack.console()
    assert httpx.get(f"{stack.url}/hello/bob").json()["text"] == "hello bob"


def test_the_hook_runs_before_each_load(own_stack: Any, project: Path) -> None:
    (project / "chalicelib" / "compiler.py").write_text(
        "from pathlib import Path\n\ndef main():\n    with Path('chalicelib/catalog.json').open('a') as f:\n        f.write('x')\n"
    )
    stack = own_stack(reload=True, before_load="chalicelib.compiler:main")
    output = project / "chalicelib" / "catalog.json"
    assert output.read_text() == "x"
    (project / "chalicelib" / "texts.py").write_text('def greet(name):\n    return "again"\n')
    eventually(lambda: "reloaded" in stack.console())
    time.sleep(0.8)  # longer than the debounce: its own output must not set it off again
    assert output.read_text() == "xx"


def test_sigterm_lets_running_work_finish(own_stack: Any, tmp_path: Path) -> None:
    stack = own_stack(data_dir=tmp_path / "data")
    pid = start_sleeper(stack, 1.5)
    tree = stack.tree()
    assert stack.stop() == 0
    assert not any(map(alive, tree))
    stack.restart()
    assert note(stack, "work").get("finished") == str(pid)


def test_a_second_signal_ends_it_at_once(own_stack: Any) -> None:
    stack = own_stack()
    start_sleeper(stack, 60)
    stack.process.send_signal(signal.SIGINT)
    eventually(lambda: "stopping" in stack.console())
    began = time.monotonic()
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(5) == 0
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("victim", ["main", "fork server"])
def test_nothing_outlives_a_kill_9(own_stack: Any, victim: str) -> None:
    stack = own_stack()
    stack.client("lambda", config=Config(retries={"max_attempts": 0})).invoke(
        FunctionName="work", Payload=json.dumps({"do": "child"}), InvocationType="Event"
    )
    child = int(eventually(lambda: note(stack, "child").get("pid")))
    tree = [*stack.tree(), child]
    os.kill(tree[0] if victim == "main" else tree[1], signal.SIGKILL)
    stack.process.wait(10)
    eventually(lambda: not any(map(alive, tree)), 5)


def run_expecting_failure(*arguments: str) -> str:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "infra.local", "--no-reload", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    return done.stderr


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        text = run_expecting_failure("--project", str(TOY), "--data-dir", str(tmp_path), "--port", port)
    assert text == f"nightshift: port {port} is in use; choose another with PORT=…\n"


@pytest.mark.parametrize(
    ("template", "words"),
    [("Resources: [", "is not YAML"), ("{}", "has no Resources"), (None, "cannot read the template")],
)
def test_a_bad_template_is_one_clear_line(tmp_path: Path, template: str | None, words: str) -> None:
    path = tmp_path / "resources.yaml"
    if template is not None:
        path.write_text(template)
    text = run_expecting_failure("--project", str(TOY), "--data-dir", str(tmp_path / "d"), "--port", "0", "--template", str(path))
    assert words in text
    assert len(text.splitlines()) == 1


def test_a_missing_app_is_one_clear_line(tmp_path: Path) -> None:
    assert "there is no app.py in" in run_expecting_failure("--project", str(tmp_path), "--port", "0")


def test_ten_thousand_items_load_quickly(own_stack: Any, tmp_path: Path) -> None:
    stack = own_stack(data_dir=tmp_path / "data")
    client = stack.client("dynamodb")
    for start in range(0, 10_000, 25):
        items = [
            {"pk": {"S": f"r{n}"}, "sk": {"S": "meta"}, "g": {"S": "run"}, "n": {"N": str(n)}}
            | {f"field{k}": {"S": "value"} for k in range(12)}
            for n in range(start, start + 25)
        ]
        client.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in items]})
    empty = stack.started_in
    stack.stop()
    stack.restart()
    print(f"ready after {empty:.2f} s empty, {stack.started_in:.2f} s with 10,000 items")
    assert stack.started_in - empty < 2.5
    began = time.perf_counter()
    for _ in range(20):
        stack.client("dynamodb").query(
            TableName=TABLE, IndexName="by-n", KeyConditionExpression="g = :g", ScanIndexForward=False, Limit=25,
            ExpressionAttributeValues={":g": {"S": "run"}},
        )  # fmt: skip
    seconds = [r["seconds"] for r in stack.requests()["requests"] if r["operation"] == "Query"]
    print(f"Query of the newest 25: {1000 * sum(seconds) / len(seconds):.2f} ms; {time.perf_counter() - began:.2f} s in all")
    assert sum(seconds) / len(seconds) < 0.05
