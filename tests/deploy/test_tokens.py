"""`nightshift token`, on a stage's table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from chalicelib.cli.app import app
from chalicelib.store.table import Table
from chalicelib.store.tokens import token_owner


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The table of the stage `prod`."""
    from chalicelib.bootstrap import client
    from tests.support.tables import create_table

    (tmp_path / "chalicelib" / "tasks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")  # which the command sets: put back afterwards
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with mock_aws():
        client.cache_clear()
        made = create_table(boto3.client("dynamodb"), "nightshift-prod")
        yield Table(made.client, made.name)
        client.cache_clear()


def say(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["token", "--stage", "prod", *arguments])
    assert result.exit_code == code, result.output
    return result.output.strip()


def test_a_token_lets_in_until_it_is_revoked(table: Table) -> None:
    made = say("ada")
    assert token_owner(table, made)
    listed = say("--list")
    assert "ada" in listed
    assert made not in listed
    say("--revoke", "ada")
    assert token_owner(table, made) is None
    assert "ada" not in say("--list")


def test_one_of_several_of_a_name_is_revoked_by_its_id(table: Table) -> None:
    import json

    first, second = say("ci"), say("ci")
    tokens = json.loads(say("--list", "--json"))["tokens"]
    assert {token["name"] for token in tokens} == {"ci"}
    say("--revoke", tokens[0]["id"])
    assert sorted(bool(token_owner(table, t)) for t in (first, second)) == [False, True]


@pytest.mark.parametrize("arguments", [(), ("--list", "--revoke", "ada"), ("ada", "--list")])
def test_it_wants_to_know_one_thing(table: Table, arguments: tuple[str, ...]) -> None:
    assert "whose token" in say(*arguments, code=2)


def test_a_token_that_is_not_there_cannot_be_revoked(table: Table) -> None:
    assert "no token 'eve'" in say("--revoke", "eve", code=1)
