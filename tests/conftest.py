"""What every test stands on: an environment without real AWS, and the fixtures of tests/support."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Before anything imports boto3 or the product: no test may find real credentials, a profile or a stage.
for _name in list(os.environ):
    if _name.startswith(("AWS_", "TASK_", "NIGHTSHIFT_")):
        del os.environ[_name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

pytest_plugins = ["tests.support.dynamodb_local", "tests.support.postgres", "tests.support.tables"]

# The same examples in every run, and no deadline: a busy machine is not a bug.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in tests/stack, tests/browser, tests/faults and tests/bench carry the mark of their folder."""
    tests = Path(__file__).parent
    for item in items:
        for folder in {"stack", "browser", "faults", "bench"} & set(item.path.relative_to(tests).parts):
            item.add_marker(folder)
