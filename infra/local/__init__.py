"""The laptop: a small AWS on one port that serves a Chalice project under the real Lambda runtime client.

    from infra.local import Options, serve
    serve(Options(project_dir=Path(".")))        # blocks until Ctrl-C

One process answers HTTP, WebSocket and AWS requests (moto behind it); a fork server starts the Lambda workers.
Nothing here knows the project beyond its `app.py` and `.chalice/config.json`.
"""

from __future__ import annotations

from .options import Options, StackError

__all__ = ["Options", "StackError", "serve"]


def serve(options: Options) -> None:
    """Serve until SIGINT or SIGTERM, then drain. Raises StackError (one clear line) when it cannot start."""
    from .stack import run

    run(options)
