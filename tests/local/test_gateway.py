"""HTTP requests through the gateway to the toy's REST API."""

from __future__ import annotations

import concurrent.futures
import time

import httpx
import pytest

from infra.local.testing import LocalStack

pytestmark = pytest.mark.stack


def test_path_and_query_reach_the_view(stack: LocalStack) -> None:
    answer = httpx.get(f"{stack.url}/hello/b%20b%2Fx?a=1&a=2&e=").json()
    assert answer["text"] == "hello b b/x"
    assert answer["query"] == {"a": ["1", "2"], "e": [""]}
    assert answer["source_ip"] == "127.0.0.1"


def test_json_body_reaches_the_view(stack: LocalStack) -> None:
    assert httpx.post(f"{stack.url}/hello/bob", json={"ü": 1}).json()["body"] == {"ü": 1}


def test_trailing_slash_makes_no_difference(stack: LocalStack) -> None:
    assert httpx.get(f"{stack.url}/hello/bob/").json()["text"] == "hello bob"


def test_literal_path_wins_over_parameter(stack: LocalStack) -> None:
    assert httpx.get(f"{stack.url}/hello/world").json() == {"text": "literal"}


def test_unknown_path_is_a_problem(stack: LocalStack) -> None:
    answer = httpx.get(f"{stack.url}/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "no such path: /nowhere",
    }  # fmt: skip


def test_wrong_method_names_the_right_ones(stack: LocalStack) -> None:
    answer = httpx.delete(f"{stack.url}/hello/bob")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


def test_preflight_is_answered_by_the_gateway(stack: LocalStack) -> None:
    answer = httpx.options(f"{stack.url}/hello/bob")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    assert "POST" in answer.headers["access-control-allow-methods"]


def test_binary_bodies_survive_both_ways(stack: LocalStack) -> None:
    data = bytes(range(256))
    headers = {"content-type": "application/x-toy", "accept": "application/x-toy"}
    answer = httpx.post(f"{stack.url}/echo", content=data, headers=headers)
    assert answer.content == data
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_large_answers_are_compressed_when_accepted(stack: LocalStack) -> None:
    packed = httpx.get(f"{stack.url}/big", headers={"accept-encoding": "gzip"})
    plain = httpx.get(f"{stack.url}/big", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_too_large_a_request_is_refused(stack: LocalStack) -> None:
    assert httpx.post(f"{stack.url}/hello/bob", content=b"x" * (10 * 1024 * 1024 + 1)).status_code == 413


def test_a_dying_function_is_a_bad_gateway(stack: LocalStack) -> None:
    answer = httpx.get(f"{stack.url}/die")
    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})
    assert httpx.get(f"{stack.url}/hello/bob").status_code == 200


def test_requests_run_side_by_side(stack: LocalStack) -> None:
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: httpx.get(f"{stack.url}/slow/0.8").status_code, range(4)))
    assert answers == [200] * 4
    assert time.monotonic() - began < 2.4  # one after the other they take 3.2


def test_one_connection_serves_pages_and_aws(stack: LocalStack) -> None:
    with httpx.Client() as client:
        for _ in range(2):
            assert client.get(f"{stack.url}/_stack/status", headers=stack.auth).status_code == 200
            assert client.get(f"{stack.url}/hello/bob").status_code == 200


def test_functions_find_what_lambda_gives_them(stack: LocalStack) -> None:
    env = httpx.get(f"{stack.url}/environment").json()
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == "nightshift-local-api"
    assert env["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert env["_HANDLER"] == "app.app"
    assert env["TZ"] == "UTC"
    assert env["AWS_ENDPOINT_URL"] == stack.url
    assert env["NIGHTSHIFT_TABLE"] == "nightshift-local"
    assert env["NIGHTSHIFT_TOKEN"] == stack.token
    assert env["TOY"] == "project"


@pytest.mark.parametrize("header", [{}, {"x-stack-token": "wrong"}])
def test_the_stack_itself_wants_the_token(stack: LocalStack, header: dict[str, str]) -> None:
    assert httpx.get(f"{stack.url}/_stack/workers", headers=header).status_code == 401
