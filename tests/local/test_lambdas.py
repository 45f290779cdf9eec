"""Invocations, the way boto3 sees them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.testing import LocalStack

from .conftest import TABLE, alive, eventually, note

pytestmark = pytest.mark.stack
WORK = "nightshift-local-work"


def invoke(stack: LocalStack, event: dict[str, Any], name: str = WORK, kind: str = "RequestResponse") -> dict[str, Any]:
    client = stack.client("lambda", config=Config(read_timeout=70, retries={"max_attempts": 0}))
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), InvocationType=kind)
    text = answer["Payload"].read()
    return {"error": answer.get("FunctionError"), "status": answer["StatusCode"], "payload": json.loads(text or "null")}


def test_the_context_is_lambdas(stack: LocalStack) -> None:
    told = invoke(stack, {"n": 1})["payload"]
    assert told["event"] == {"n": 1}
    assert told["function"] == WORK
    assert told["arn"] == f"arn:aws:lambda:us-east-1:123456789012:function:{WORK}"
    assert int(told["memory"]) == 512
    assert 2000 < told["remaining"] <= 3000  # its timeout in .chalice/config.json is 3 s


def test_a_worker_serves_one_event_after_the_other(stack: LocalStack) -> None:
    began = time.perf_counter()
    first = invoke(stack, {})["payload"]["pid"]
    cold = time.perf_counter()
    assert [invoke(stack, {})["payload"]["pid"] for _ in range(20)] == [first] * 20
    print(f"first {1000 * (cold - began):.0f} ms, then {50 * (time.perf_counter() - cold):.1f} ms each")


@pytest.mark.parametrize("name", [WORK, "work", f"{WORK}:$LATEST", f"arn:aws:lambda:us-east-1:123456789012:function:{WORK}"])
def test_functions_are_found_by_name_and_arn(stack: LocalStack, name: str) -> None:
    assert invoke(stack, {"n": 2}, name)["payload"]["event"] == {"n": 2}


def test_an_exception_is_told_with_its_type(stack: LocalStack) -> None:
    answer = invoke(stack, {"do": "raise"})
    assert answer["error"] == "Unhandled"
    assert answer["payload"]["errorType"] == "ValueError"
    assert answer["payload"]["errorMessage"] == "no good"


@pytest.mark.parametrize(
    ("do", "words"),
    [("exit", "Runtime exited with error: exit status 7"), ("kill", "Runtime exited with error: signal: killed")],
)
def test_a_dead_process_is_told_as_lambda_does(stack: LocalStack, do: str, words: str) -> None:
    answer = invoke(stack, {"do": do})
    assert answer["error"] == "Unhandled"
    assert answer["payload"]["errorType"] == "Runtime.ExitError"
    assert answer["payload"]["errorMessage"].startswith("RequestId: ")
    assert answer["payload"]["errorMessage"].endswith(f" Error: {words}")


def test_kill_9_from_outside_ends_the_invocation_at_once(stack: LocalStack) -> None:
    stack.client("lambda").invoke(FunctionName=WORK, Payload=json.dumps({"do": "sleep", "seconds": 2.5}), InvocationType="Event")
    worker = eventually(lambda: [w for w in stack.workers("work") if w["busy"]])[0]
    os.kill(worker["pid"], signal.SIGKILL)
    eventually(lambda: worker["pid"] not in stack.worker_pids("work"), 1.0)


def test_the_timeout_kills_the_function_and_its_children(stack: LocalStack) -> None:
    began = time.monotonic()
    answer = invoke(stack, {"do": "child"})
    assert 2.9 < time.monotonic() - began < 4.5
    assert answer["payload"]["errorType"] == "Sandbox.Timedout"
    assert answer["payload"]["errorMessage"].endswith("Error: Task timed out after 3.00 seconds")
    child = int(note(stack, "child")["pid"])
    eventually(lambda: not alive(child), 2.0)


def test_unknown_function_is_not_found(stack: LocalStack) -> None:
    with pytest.raises(ClientError) as error:
        invoke(stack, {}, "nothing")
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_dry_run_runs_nothing(stack: LocalStack) -> None:
    assert invoke(stack, {"do": "exit"}, kind="DryRun")["status"] == 204


def test_a_function_may_invoke_another_and_wait(stack: LocalStack) -> None:
    inner = {"do": "nest", "function": WORK, "event": {"n": 3}}
    assert invoke(stack, {"do": "nest", "function": WORK, "event": inner})["payload"]["event"] == {"n": 3}


def test_async_failure_reaches_the_destination(stack: LocalStack) -> None:
    client = stack.client("lambda")
    stack.client("dynamodb").delete_item(TableName=TABLE, Key={"pk": {"S": "failure"}, "sk": {"S": "note"}})
    destination = "arn:aws:lambda:us-east-1:123456789012:function:nightshift-local-failures"
    client.put_function_event_invoke_config(
        FunctionName=WORK, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": destination}}
    )
    assert client.get_function_event_invoke_config(FunctionName=WORK)["MaximumRetryAttempts"] == 0
    assert invoke(stack, {"do": "kill", "run_id": "r1"}, kind="Event") == {"error": None, "status": 202, "payload": None}
    event = json.loads(eventually(lambda: note(stack, "failure"))["event"])
    assert event["version"] == "1.0"
    assert event["requestPayload"] == {"do": "kill", "run_id": "r1"}
    assert event["requestContext"]["condition"] == "RetriesExhausted"
    assert event["requestContext"]["functionArn"].endswith(f":{WORK}:$LATEST")
    assert event["requestContext"]["approximateInvokeCount"] == 1
    assert event["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert event["responsePayload"]["errorType"] == "Runtime.ExitError"


def test_async_events_beyond_the_limit_wait_their_turn(own_stack: Any) -> None:
    stack = own_stack(workers=2)
    client = stack.client("lambda")
    for number in range(6):
        payload = json.dumps({"do": "sleep", "seconds": 0.3, "n": number})
        client.invoke(FunctionName=WORK, Payload=payload, InvocationType="Event")
    assert stack.ask("status")["queued"] > 0
    assert len(stack.workers("work")) <= 2
    served = eventually(lambda: sum(w["served"] for w in stack.workers("work")) == 6)
    assert served


def test_idle_workers_end_but_one_for_the_api(own_stack: Any) -> None:
    stack = own_stack(idle=0.1)
    invoke(stack, {})
    assert stack.workers("work")
    stack.ask("reap", "POST")
    eventually(lambda: not stack.workers("work"))
    eventually(lambda: stack.workers("api"))


def test_warnings_are_shown_and_output_is_kept(stack: LocalStack) -> None:
    invoke(stack, {"do": "print"})
    eventually(lambda: "nightshift-local-work: warning: careful now" in stack.console())
    assert "plain" in stack.log("work")
    assert "START RequestId" in stack.log("work")


def test_requests_are_counted_per_function(stack: LocalStack) -> None:
    marker = stack.marker()
    invoke(stack, {"do": "sleep", "seconds": 0})
    assert stack.requests(marker, "work")["counts"] == {"dynamodb.PutItem": 2}


def test_a_crash_before_the_first_sweep_is_over_is_reported_all_the_same(own_stack: Any, project: Path) -> None:
    with (project / "app.py").open("a") as code:
        code.write(
            "\n\n@app.schedule('rate(1 minute)', name='setup')\ndef setup(event):\n    time.sleep(1.5)\n"
            "    arn = 'arn:aws:lambda:us-east-1:123456789012:function:nightshift-local-failures'\n"
            "    where = {'OnFailure': {'Destination': arn}}\n"
            "    lambdas.put_function_event_invoke_config(FunctionName='nightshift-local-work', DestinationConfig=where)\n"
        )
    stack = own_stack()
    invoke(stack, {"do": "kill"}, kind="Event")
    assert note(stack, "failure") == {}
    assert "signal: killed" in eventually(lambda: note(stack, "failure"))["event"]
