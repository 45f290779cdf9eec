"""Fixtures of the processors' tests: a run in a folder of its own, an S3 to copy from and to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from chalicelib.processors import clients
from tests.unit.processors.recorder import Recorder


@pytest.fixture
def run(tmp_path: Path) -> Recorder:
    """A run whose workspace is empty."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return Recorder(workspace)


@pytest.fixture
def s3() -> Iterator[Any]:
    """An S3 client; the bucket `backups` is there."""
    with mock_aws():
        clients.hand_over(None)
        client = clients.client("s3")
        client.create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield client
    clients.hand_over(None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of chalicelib/tasks."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr("chalicelib.processors.locations.PROJECT", folder)
    return folder
