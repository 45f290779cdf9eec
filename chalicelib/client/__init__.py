"""The Python client: everything the HTTP and WebSocket API offers, on the standard library.

    from chalicelib.client import Client

    client = Client()                                  # or Client("https://…/api", token="…")
    started = client.start("backup", {"database": "shop"})
    for event in client.follow(started["run_id"]):
        print(event["seq"], event["type"])

`websockets` is used for following where it is installed; without it the same events come by polling.
"""

from chalicelib.client.client import Client
from chalicelib.client.errors import ClientError, InvalidAnswer, ProblemError, Unreachable

__all__ = ["Client", "ClientError", "InvalidAnswer", "ProblemError", "Unreachable"]
