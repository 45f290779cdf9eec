"""Streams into the bucket, whatever their size, with little memory."""

from __future__ import annotations

from typing import IO, Any

from chalicelib.engine.services import Services

PART = 8 * 1024**2  # bytes; 10,000 of them are the most that an object has
PARTS_AT_ONCE = 3


def upload_stream(services: Services, source: IO[bytes] | Any, key: str, **extra: str) -> None:
    """Put what `source.read(n)` gives into the bucket; `extra` are arguments of PutObject. It is there whole or not at all."""
    from s3transfer.manager import TransferConfig, TransferManager

    config = TransferConfig(
        multipart_threshold=PART,
        multipart_chunksize=PART,
        max_request_concurrency=PARTS_AT_ONCE,
        max_in_memory_upload_chunks=PARTS_AT_ONCE,
    )
    with TransferManager(services.s3(), config) as manager:
        manager.upload(source, services.settings.bucket, key, extra_args=extra).result()
