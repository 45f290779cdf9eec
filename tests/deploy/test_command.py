"""What the commands refuse, and how they say it; nothing of it reaches an account."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from chalicelib.bootstrap import client
from chalicelib.cli.app import app


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with nothing in it; the commands' changes of the environment are undone."""
    (tmp_path / "chalicelib" / "tasks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    client.cache_clear()
    return tmp_path


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in (1, 2), result.output
    return result.output


@pytest.mark.parametrize("stage", ["Prod", "a-b", "local", "averylongname", "1st"])
@pytest.mark.parametrize("command", ["provision", "deploy", "destroy"])
def test_a_stage_that_cannot_be(command: str, stage: str) -> None:
    assert "a small letter and up to ten" in refused(command, "--stage", stage)


def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert "Give --region" in refused("deploy", "--stage", "prod")


def test_a_profile_that_is_not_there() -> None:
    said = refused("deploy", "--stage", "prod", "--profile", "nobody")
    assert "nobody" in said
    assert "--profile" in said


def test_an_architecture_that_is_not_there() -> None:
    assert "arm64 or x86_64" in refused("deploy", "--arch", "mips")


def test_a_project_without_the_pages_libraries() -> None:
    with mock_aws():
        assert "make node_modules/.nightshift-pages" in refused("deploy", "--stage", "prod")


def test_a_stage_is_not_removed_by_a_program_that_does_not_say_so() -> None:
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="nightshift-prod",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        assert "--yes" in refused("destroy", "--stage", "prod")
        assert boto3.client("dynamodb").list_tables()["TableNames"] == ["nightshift-prod"]


def test_a_stage_that_is_not_there_is_not_removed() -> None:
    with mock_aws():
        result = CliRunner().invoke(app, ["destroy", "--stage", "prod", "--yes"])
    assert result.exit_code == 0
    assert "nothing of stage prod" in result.output
