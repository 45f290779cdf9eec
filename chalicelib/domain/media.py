"""Media types of files, by their names."""

from __future__ import annotations

_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
UNKNOWN = "application/octet-stream"


def media_type(name: str) -> str | None:
    """The type by a file's name, None for an unknown one. Of a compressed file it is the compression's, not the content's."""
    import mimetypes

    kind, encoding = mimetypes.guess_type(name)
    return _PACKED.get(encoding, UNKNOWN) if encoding else kind
