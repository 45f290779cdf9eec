"""Tables as deployed, on moto (fast) and on DynamoDB Local (atomic)."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws

from tests.support.dynamodb_local import connect
from tests.support.template import table_request


class Table(NamedTuple):
    """An empty table with the deployed keys and indexes."""

    client: Any  # a boto3 DynamoDB client, safe between threads
    name: str


@contextlib.contextmanager
def serialized_moto() -> Iterator[None]:
    """moto, one request at a time: its conditional writes are not atomic between threads."""
    lock = threading.RLock()
    make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined] # boto3-stubs leave it out

    def make_api_call_alone(self: BaseClient, operation_name: str, api_params: dict[str, Any]) -> Any:
        with lock:
            return make_api_call(self, operation_name, api_params)

    with mock_aws(), mock.patch.object(BaseClient, "_make_api_call", make_api_call_alone):
        yield


def create_table(client: Any, name: str | None = None) -> Table:
    """Creates the table of infra/resources.yaml, by default under a name never used before."""
    name = name or f"nightshift-{uuid.uuid4().hex[:12]}"
    client.create_table(**table_request(name))
    return Table(client, name)


@pytest.fixture
def moto_table() -> Iterator[Table]:
    """A new table on moto; other services of moto are there too."""
    with serialized_moto():
        yield create_table(boto3.client("dynamodb"))


@pytest.fixture
def local_table(dynamodb_local: str) -> Iterator[Table]:
    """A new table on DynamoDB Local."""
    table = create_table(connect(dynamodb_local))
    yield table
    table.client.delete_table(TableName=table.name)


@pytest.fixture(params=["moto", "dynamodb_local"])
def table(request: pytest.FixtureRequest) -> Table:
    """A new table, the test once on each: `client, name = table`."""
    fixture = "moto_table" if request.param == "moto" else "local_table"
    found: Table = request.getfixturevalue(fixture)
    return found
