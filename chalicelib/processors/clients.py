"""The AWS clients of processors: built at first use, or handed over by whoever starts the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from cloudpathlib import S3Client

_build: Callable[[str], Any] | None = None
_clients: dict[str, Any] = {}
_files: S3Client | None = None


def hand_over(build: Callable[[str], Any] | None) -> None:
    """Let `build(service)` make the clients from now on (None: botocore again), and forget those made so far."""
    global _build, _files
    _build, _files = build, None
    _clients.clear()


def client(service: str, read_timeout: float | None = None) -> Any:
    """The client of an AWS service, one per process. Endpoint, region and credentials come from the environment.

    `read_timeout` (seconds) is of calls that may take long and must not be sent twice: such a client does not retry.
    """
    key = f"{service} {read_timeout}" if read_timeout else service
    if key not in _clients:
        _clients[key] = _made(service, read_timeout)
    return _clients[key]


def _made(service: str, read_timeout: float | None) -> Any:
    if _build is not None:
        return _build(service)
    if service == "s3":
        return files().client
    from botocore.config import Config
    from botocore.session import get_session

    once = Config(read_timeout=read_timeout, retries={"total_max_attempts": 1}) if read_timeout else None
    return get_session().create_client(cast(Any, service), config=once)


def files() -> S3Client:
    """What turns s3:// paths into requests. cloudpathlib reads AWS_ENDPOINT_URL, but not the one for S3 alone."""
    global _files
    if _files is None:
        from cloudpathlib import S3Client
        from cloudpathlib.enums import FileCacheMode

        _files = S3Client(endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3"), file_cache_mode=FileCacheMode.close_file)
    return _files
