"""`python -m infra.local [--project DIR] [--port N] [--token T] [--data-dir DIR] [--no-reload] [--chaos [SEED]]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import Options, StackError, serve


def chaos_rate(text: str) -> tuple[str, float]:
    """`kill=0.2` -> ("kill", 0.2)."""
    name, _, rate = text.partition("=")
    return name, float(rate)


def main() -> int:
    parser = argparse.ArgumentParser(prog="infra.local", description="Serve a Chalice project on a small local AWS.")
    parser.add_argument("--project", type=Path, default=Path.cwd(), help="where app.py and chalicelib/ are")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400, help="0 picks a free one")
    parser.add_argument("--token", help="default: one kept in the data directory")
    parser.add_argument("--data-dir", type=Path, help="default: PROJECT/.nightshift")
    parser.add_argument("--template", type=Path, help="default: PROJECT/infra/resources.yaml")
    parser.add_argument("--stage", default="local")
    parser.add_argument("--workers", type=int, default=64, help="most Lambda workers at once")
    parser.add_argument("--idle", type=float, default=75.0, help="seconds after which an idle worker ends")
    parser.add_argument("--no-reload", action="store_true", help="do not watch the project for changes")
    parser.add_argument("--before-load", help="module:function to run in a fresh process before each load of the app")
    parser.add_argument("--site", type=Path, action="append", default=[], help="where functions find packages, see options.py")
    parser.add_argument("--preload", action="append", default=[], metavar="MODULE", help="imported before any function")
    parser.add_argument("--chaos", type=int, nargs="?", const=1, metavar="SEED", help="misfortune on purpose, see chaos.py")
    parser.add_argument("--chaos-rate", type=chaos_rate, action="append", default=[], metavar="NAME=RATE")
    parser.add_argument("--lambda-limit", type=float, metavar="SECONDS", help="most seconds that a task's function gets")
    args = parser.parse_args()
    options = Options(
        project_dir=args.project,
        host=args.host,
        port=args.port,
        token=args.token,
        data_dir=args.data_dir,
        template=args.template,
        stage=args.stage,
        max_workers=args.workers,
        idle_seconds=args.idle,
        reload=not args.no_reload,
        before_load=args.before_load,
        site=tuple(args.site),
        preload=tuple(args.preload),
        chaos_seed=args.chaos,
        chaos_rates=dict(args.chaos_rate),
    )
    options.lambda_limit = args.lambda_limit or options.lambda_limit
    try:
        serve(options)
    except StackError as error:
        print(f"nightshift: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
