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


def client(service: str) -> Any:
    """The client of an AWS service, one per process. Endpoint, region and credentials come from the environment."""
    if service not in _clients:
        if _build is not None:
            _clients[service] = _build(service)
        elif service == "s3":
            _clients[service] = files().client
        else:
            from botocore.session import get_session

            _clients[service] = get_session().create_client(cast(Any, service))
    return _clients[service]


def files() -> S3Client:
    """What turns s3:// paths into requests. cloudpathlib reads AWS_ENDPOINT_URL, but not the one for S3 alone."""
    global _files
    if _files is None:
        from cloudpathlib import S3Client
        from cloudpathlib.enums import FileCacheMode

        _files = S3Client(endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3"), file_cache_mode=FileCacheMode.close_file)
    return _files
