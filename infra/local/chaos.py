"""Misfortune on purpose: what AWS may do to an application on a bad day, at a seeded rate.

Every decision comes from one generator in this process. Everything that is done is printed, kept in logs/chaos.log, and
counted at /_stack/chaos. Only the application's own requests are hit; a test's own clients see things as they are.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .options import StackError
from .wire import Response

RATES: dict[str, float] = {
    "duplicate": 0.05,  # async invocations and rules' events that come twice
    "delay": 0.10,  # that come late, by up to LATEST seconds; the copy of a doubled one always does
    "lose": 0.02,  # async invocations that never come (a rule's event is never lost, at most late)
    "kill": 0.05,  # invocations that a kill -9 is aimed at; it hits those that take long enough
    "throttle": 0.02,  # DynamoDB requests refused for want of capacity, nothing done
    "conflict": 0.02,  # DynamoDB writes refused for a transaction on the same item, nothing done
    "lost_answer": 0.01,  # DynamoDB writes that are done and answered with a 500
    "drop": 0.02,  # WebSocket connections that are cut, each second
    "post_fail": 0.03,  # posts to @connections that are refused
    "post_slow": 0.05,  # that take up to SLOWEST seconds
}
LATEST, SLOWEST = 3.0, 3.0
SOONEST_KILL, LATEST_KILL = 0.002, 4.0
TICK = 0.25
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
POST_FAILURES = ((429, "LimitExceededException"), (500, "InternalServerErrorException"))
THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException")
Change = float | bool


class Chaos:
    """`seed` None: nothing happens until `set` says otherwise. `rates` override RATES by name. Raises StackError."""

    def __init__(self, seed: int | None, rates: Mapping[str, float], say: Callable[[str], None], log: Path) -> None:
        self.on = seed is not None
        self.seed = random.randrange(1 << 32) if seed is None else seed
        self.random = random.Random(self.seed)
        self.rates = dict(RATES)
        self.counts: Counter[str] = Counter()
        self.last: deque[str] = deque(maxlen=200)
        self.say, self.log = say, log
        for name, rate in rates.items():
            self.set(name, rate)

    def set(self, name: str, rate: float) -> None:
        """Change one rate (0 to 1). Raises StackError."""
        if name not in self.rates or not 0 <= rate <= 1:
            raise StackError(f"no chaos rate {name}={rate:g}: between 0 and 1, of {', '.join(self.rates)}")
        self.rates[name] = rate

    def report(self) -> dict[str, Any]:
        """What /_stack/chaos tells."""
        return {"on": self.on, "seed": self.seed, "rates": self.rates, "counts": dict(self.counts), "last": list(self.last)}

    def strikes(self, name: str, share: float = 1.0) -> bool:
        """Whether it happens this time."""
        return self.on and self.random.random() < self.rates[name] * share

    def note(self, name: str, what: str) -> None:
        """Tell what was done."""
        self.counts[name] += 1
        line = f"chaos: {name}: {what}"
        self.last.append(line)
        self.say(line)
        with self.log.open("a") as file:
            file.write(line + "\n")

    # --- Lambda ----------------------------------------------------------------------------------------------------

    def deliveries(self, function: str, may_be_lost: bool) -> list[float]:
        """When an async event comes, in seconds from now, once for each time that it does."""
        if not self.on:
            return [0.0]
        if may_be_lost and self.strikes("lose"):
            self.note("lose", function)
            return []
        late = [self._late(function) if self.strikes("delay") else 0.0]
        if self.strikes("duplicate"):
            late.append(self.random.uniform(0, LATEST))
            self.note("duplicate", f"{function}, the second after {late[1]:.2f} s")
        return late

    def _late(self, function: str) -> float:
        seconds = self.random.uniform(0, LATEST)
        self.note("delay", f"{function} by {seconds:.2f} s")
        return seconds

    def aim(self, kill: Callable[[], str | None]) -> None:
        """Perhaps plan a kill -9. `kill()` does it and says whom it hit; None when the invocation is over by then."""
        if self.strikes("kill"):
            # as likely in the first hundredth of a second as between one and two
            after = math.exp(self.random.uniform(math.log(SOONEST_KILL), math.log(LATEST_KILL)))
            asyncio.get_running_loop().call_later(after, self._fire, kill, after)

    def _fire(self, kill: Callable[[], str | None], after: float) -> None:
        if self.on and (hit := kill()) is not None:
            self.note("kill", f"{hit} after {after:.3f} s")

    # --- DynamoDB --------------------------------------------------------------------------------------------------

    def refusal(self, operation: str, body: bytes, caller: str) -> Response | None:
        """DynamoDB's refusal of a request, or None: then it is served."""
        if not self.on or not caller:
            return None
        if self.strikes("throttle"):
            code = self.random.choice(THROTTLES)
            self.note("throttle", f"{operation} of {caller}")
            return _error(400, code, "The level of configured provisioned throughput for the table was exceeded.")
        if operation in WRITES and self.strikes("conflict"):
            self.note("conflict", f"{operation} of {caller}")
            if operation != "TransactWriteItems":
                return _error(400, "TransactionConflictException", "Transaction is ongoing for the item")
            return self._cancelled(body)
        return None

    def _cancelled(self, body: bytes) -> Response:
        count = len(json.loads(body)["TransactItems"])
        reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in range(count)]
        reasons[self.random.randrange(count)] = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
        codes = ", ".join(reason["Code"] for reason in reasons)
        message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
        return _error(400, "TransactionCanceledException", message, CancellationReasons=reasons)

    def lost_answer(self, operation: str, caller: str) -> Response | None:
        """The 500 that hides the answer to a write that was done, or None."""
        if not caller or operation not in WRITES or not self.strikes("lost_answer"):
            return None
        self.note("lost_answer", f"{operation} of {caller}")
        return _error(500, "InternalServerError", "The request processing has failed because of an unknown error.")

    # --- WebSockets ------------------------------------------------------------------------------------------------

    def post(self) -> tuple[float, Response | None]:
        """(seconds that a post to @connections takes, its refusal or None)."""
        slow, refusal = 0.0, None
        if self.strikes("post_slow"):
            slow = self.random.uniform(0.05, SLOWEST)
            self.note("post_slow", f"by {slow:.2f} s")
        if self.strikes("post_fail"):
            status, code = self.random.choice(POST_FAILURES)
            self.note("post_fail", code)
            refusal = Response(status, b'{"message": "not now"}', {"x-amzn-ErrorType": code})
        return slow, refusal

    async def drop_connections(self, connections: Callable[[], list[tuple[str, Callable[[], None]]]]) -> None:
        """Cut WebSockets, for ever. `connections()` gives (name, cut) of each that is open."""
        while True:
            await asyncio.sleep(TICK)
            if self.on:
                for name, cut in connections():
                    if self.strikes("drop", TICK):
                        self.note("drop", name)
                        cut()


def _error(status: int, code: str, message: str, **more: Any) -> Response:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, "Message": message, **more}
    return Response(status, json.dumps(body).encode(), {}, "application/x-amz-json-1.0")
