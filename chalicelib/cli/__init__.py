"""The `nightshift` command.

Modules load what they need inside the function that needs it (rich, websockets, the catalog, the local stack): the
help of a command should not wait for the libraries of another.
"""


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed or refused, 2 wrong usage or arguments, 3 run stopped, 130 Ctrl-C."""
    from chalicelib.cli.app import app

    app(prog_name="nightshift")
