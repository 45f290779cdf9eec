"""A small Chalice app that shows what the stack does to a function."""

import json
import os
import signal
import subprocess
import sys
import time

import boto3
from chalice import Chalice, CORSConfig, Response

from chalicelib import texts

app = Chalice(app_name="toy")
app.api.binary_types.append("application/x-toy")
TABLE = os.environ["NIGHTSHIFT_TABLE"]
dynamodb = boto3.client("dynamodb")
lambdas = boto3.client("lambda")


def note(key, **values):
    item = {"pk": {"S": key}, "sk": {"S": "note"}, **{k: {"S": str(v)} for k, v in values.items()}}
    dynamodb.put_item(TableName=TABLE, Item=item)


@app.route("/hello/{name}", methods=["GET", "POST"], cors=CORSConfig(allow_origin="https://example.org"))
def hello(name):
    request = app.current_request
    return {
        "text": texts.greet(name),
        "query": request.query_params and {k: request.query_params.getlist(k) for k in request.query_params},
        "method": request.method,
        "body": request.json_body if request.method == "POST" else None,
        "source_ip": request.context["identity"]["sourceIp"],
        "pid": os.getpid(),
    }


@app.route("/hello/world")
def world():
    return {"text": "literal"}


@app.route("/echo", methods=["POST"], content_types=["application/x-toy", "application/octet-stream"])
def echo():
    return Response(app.current_request.raw_body, headers={"Content-Type": "application/x-toy", "Set-Cookie": ["a=1", "b=2"]})


@app.route("/big")
def big():
    return {"text": "x" * 5000}


@app.route("/slow/{seconds}")
def slow(seconds):
    time.sleep(float(seconds))
    return {"slept": seconds}


@app.route("/die")
def die():
    os._exit(3)


@app.route("/environment")
def environment():
    return dict(os.environ)


@app.lambda_function(name="work")
def work(event, context):
    """Does what the event says."""
    what = event.get("do")
    if what == "raise":
        raise ValueError("no good")
    if what == "exit":
        os._exit(7)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        note("work", started=os.getpid())
        time.sleep(event["seconds"])
        note("work", finished=os.getpid())
    if what == "child":
        child = subprocess.Popen(["sleep", "300"])
        note("child", pid=child.pid)
        time.sleep(300)
    if what == "print":
        print(json.dumps({"level": "WARNING", "message": "careful now"}))
        print("plain", file=sys.stderr)
    if what == "nest":
        answer = lambdas.invoke(FunctionName=event["function"], Payload=json.dumps(event["event"]))
        return json.load(answer["Payload"])
    return {
        "event": event,
        "pid": os.getpid(),
        "request_id": context.aws_request_id,
        "function": context.function_name,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "remaining": context.get_remaining_time_in_millis(),
    }


@app.lambda_function(name="failures")
def failures(event, context):
    note("failure", event=json.dumps(event))


@app.schedule("cron(0 12 ? * * *)", name="noon")
def noon(event):
    note("noon", event=json.dumps(event.to_dict()))


def connections():
    return boto3.client("apigatewaymanagementapi", endpoint_url=os.environ["NIGHTSHIFT_CONNECTIONS_ENDPOINT"])


@app.on_ws_connect(name="websocket_connect")
def websocket_connect(event):
    query = event.to_dict().get("queryStringParameters") or {}
    if query.get("ticket") == "bad":
        return {"statusCode": 401, "body": "who are you"}
    outcome = "posted"
    try:
        connections().post_to_connection(ConnectionId=event.connection_id, Data=b"too early")
    except Exception as error:
        outcome = type(error).__name__
    note("connected", query=json.dumps(query), early=outcome, id=event.connection_id)
    return {"statusCode": 200}


@app.on_ws_message(name="websocket_message")
def websocket_message(event):
    body = event.json_body
    for number in range(body.get("times", 1)):
        text = json.dumps({"number": number, "echo": body, "route": event.to_dict()["requestContext"]["routeKey"]})
        connections().post_to_connection(ConnectionId=event.connection_id, Data=text.encode())
    return {"statusCode": 200}


@app.on_ws_disconnect(name="websocket_disconnect")
def websocket_disconnect(event):
    note("disconnected", id=event.connection_id)
    return {"statusCode": 200}
