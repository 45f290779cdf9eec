"""A developer's file of secrets, as the local Secrets Manager and Parameter Store have it."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from infra.local.options import REGION
from infra.local.secrets import LocalSecrets, SecretsFileError, read_secrets, secrets_file


def test_texts_stay_texts_and_mappings_become_json(tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text("token: t0ken\ndb: {user: app, port: 5432}\nssm:/a/b: x\n")
    assert read_secrets(file) == {"token": "t0ken", "db": '{"user": "app", "port": 5432}', "ssm:/a/b": "x"}
    assert read_secrets(tmp_path / "absent.yaml") == {}
    file.write_text("")
    assert read_secrets(file) == {}


@pytest.mark.parametrize(
    ("text", "says"), [("a: [hunter22\n", ":2: is not YAML"), ("- hunter22\n", "is a mapping of names to secrets")]
)
def test_a_file_that_cannot_be_used_is_named_and_shows_nothing(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text(text)
    with pytest.raises(SecretsFileError) as raised:
        read_secrets(file)
    assert f"{file}" in str(raised.value)
    assert says in str(raised.value)
    assert "hunter22" not in str(raised.value)


def test_the_file_is_the_projects_or_the_one_that_is_named(tmp_path: Path) -> None:
    assert secrets_file(tmp_path, {}) == tmp_path / "secrets.yaml"
    assert secrets_file(tmp_path, {"NIGHTSHIFT_SECRETS_FILE": "/elsewhere.yaml"}) == Path("/elsewhere.yaml")


@mock_aws
def test_changes_are_taken_up_and_what_is_wrong_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    file, told = tmp_path / "secrets.yaml", list[str]()
    local = LocalSecrets(file, told.append)
    manager, store = boto3.client("secretsmanager", REGION), boto3.client("ssm", REGION)

    def write(text: str, at: int) -> None:
        file.write_text(text)
        os.utime(file, (at, at))
        local.load()

    local.load()
    write("db: first\nssm:/app/key: one\n", 1)
    assert manager.get_secret_value(SecretId="db")["SecretString"] == "first"
    assert store.get_parameter(Name="/app/key", WithDecryption=True)["Parameter"]["Value"] == "one"
    write("db: second\nssm:/app/key: two\n", 2)
    assert manager.get_secret_value(SecretId="db")["SecretString"] == "second"
    assert store.get_parameter(Name="/app/key", WithDecryption=True)["Parameter"]["Value"] == "two"
    write("db: [", 3)
    assert manager.get_secret_value(SecretId="db")["SecretString"] == "second"
    assert len(told) == 1
