"""Secrets come from Secrets Manager and the Parameter Store, are kept for a while, and are never in an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from chalicelib.domain.errors import StepError, TransientError
from chalicelib.engine.secrets import Secrets


class Store:
    """The Parameter Store, as far as it is asked; loading boto3's takes seconds, and tests/stack has it."""

    def __init__(self) -> None:
        self.parameters: dict[str, str] = {}

    def get_parameter(self, Name: str, WithDecryption: bool) -> dict[str, Any]:
        assert WithDecryption
        if Name not in self.parameters:
            raise ClientError({"Error": {"Code": "ParameterNotFound", "Message": ""}}, "GetParameter")
        return {"Parameter": {"Value": self.parameters[Name]}}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        made: dict[str, Any] = {"ssm": Store(), "secretsmanager": boto3.client("secretsmanager", region_name="us-east-1")}
        yield made.__getitem__


def test_secrets_and_parameters_are_read_by_name_and_key(clients: Any) -> None:
    clients("secretsmanager").create_secret(Name="db", SecretString='{"password": "hunter22", "port": 5432}')
    clients("secretsmanager").create_secret(Name="raw", SecretBinary=b"bytes")
    clients("ssm").parameters["/app/key"] = "k3y"
    secrets = Secrets(clients)
    assert secrets("db#password") == "hunter22"
    assert secrets("db#port") == "5432"
    assert secrets("db") == '{"password": "hunter22", "port": 5432}'
    assert secrets("raw") == "bytes"
    assert secrets("ssm:/app/key") == "k3y"


def test_a_secret_is_read_once_and_anew_when_it_is_old(clients: Any) -> None:
    now = [0.0]
    secrets = Secrets(clients, lambda: now[0])
    clients("secretsmanager").create_secret(Name="db", SecretString="first")
    assert secrets("db") == "first"
    clients("secretsmanager").put_secret_value(SecretId="db", SecretString="second")
    now[0] = 299
    assert secrets("db") == "first"
    now[0] = 301
    assert secrets("db") == "second"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothing", "the secret 'nothing' cannot be read from Secrets Manager: it does not exist"),
        ("ssm:/nothing", "the secret 'ssm:/nothing' cannot be read from the Parameter Store: it does not exist"),
        ("text#key", "the secret 'text' is no JSON object"),
        ("db#passwort", "the secret 'db' has no 'passwort', but password"),
        ("binary", "the secret 'binary' is binary"),
    ],
)
def test_a_secret_that_is_not_there_is_a_clear_error_without_any_value(clients: Any, name: str, why: str) -> None:
    clients("secretsmanager").create_secret(Name="db", SecretString='{"password": "hunter22"}')
    clients("secretsmanager").create_secret(Name="text", SecretString="hunter22")
    clients("secretsmanager").create_secret(Name="binary", SecretBinary=b"\xff\xfehunter22")
    with pytest.raises(StepError) as raised:
        Secrets(clients)(name)
    assert str(raised.value).startswith(why)
    assert "hunter22" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "kind", "why"),
    [
        ("AccessDeniedException", StepError, "access denied"),
        ("ThrottlingException", TransientError, "Throttling"),
        (EndpointConnectionError(endpoint_url="https://nowhere"), TransientError, "Could not connect"),
    ],
)
def test_denied_is_for_good_and_throttled_passes(error: Any, kind: type[Exception], why: str) -> None:
    class Client:
        def get_secret_value(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": error, "Message": error}}, "GetSecretValue") if isinstance(error, str) else error

    with pytest.raises(kind, match=why):
        Secrets(lambda _: Client())("db")


def test_without_aws_the_error_says_so() -> None:
    with pytest.raises(StepError, match="there is no AWS here"):
        Secrets(None)("db")
