"""Where a client finds its server: arguments, then the environment, then the local stack's session file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

DEFAULT_URL = "http://127.0.0.1:8400"
SESSION_FILE = Path(".nightshift", "session.json")


class Session(NamedTuple):
    """A base URL without a trailing slash, and the token to show there (empty: none)."""

    url: str
    token: str


def find_session(url: str | None = None, token: str | None = None) -> Session:
    """Fill in what the caller left out.

    The token of a session file is used for that file's own URL only: a local token has no business elsewhere.
    """
    # NIGHTSHIFT_API_URL is what functions and the local stack are told about their own API.
    url = url or os.environ.get("NIGHTSHIFT_URL") or os.environ.get("NIGHTSHIFT_API_URL")
    token = token or os.environ.get("NIGHTSHIFT_TOKEN")
    if not url or not token:
        local = _read_session(Path.cwd())
        if local and (not url or url.rstrip("/") == local.url):
            url, token = local.url, token or local.token
    return Session((url or DEFAULT_URL).rstrip("/"), token or "")


def write_session(data_dir: Path, session: Session) -> Path:
    """Leave url and token in the local stack's data directory; only the owner may read them.

    Clients find it where that is the `.nightshift` of their folder or one above. Written in one step: a reader sees the
    old session or the new, never half of one.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / SESSION_FILE.name
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(session._asdict(), file)
    draft.replace(path)
    return path


def _read_session(start: Path) -> Session | None:
    """The nearest readable session file, from `start` upwards; a damaged one counts as none."""
    for folder in (start, *start.parents):
        try:
            found = json.loads((folder / SESSION_FILE).read_text(encoding="utf-8"))
            return Session(str(found["url"]).rstrip("/"), str(found.get("token") or ""))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None
