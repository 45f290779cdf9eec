"""A module that imports where it is compiled, and not where it runs."""

from __future__ import annotations

import os

from chalicelib import task

if "task_" in os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""):
    import a_package_that_is_not_there  # noqa: F401


@task
def unimportable() -> None:
    """Never gets so far."""
