"""Time for the stack: fires the app's schedules and the EventBridge rules on the minute, and tidies up."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .awscron import due
from .console import Console
from .lambdas import Lambdas
from .manifest import Manifest
from .options import ACCOUNT, REGION

TIDY_SECONDS = 15.0


class Clock:
    def __init__(self, lambdas: Lambdas, console: Console) -> None:
        self.lambdas = lambdas
        self.console = console
        self.manifest: Manifest | None = None
        self.complained: set[str] = set()

    async def run(self) -> None:
        """Fire every minute, for ever. A minute slept through is not made up for, as EventBridge does not either."""
        while True:
            now = time.time()
            minute = (now // 60 + 1) * 60
            await asyncio.sleep(min(TIDY_SECONDS, minute - now + 0.005))
            self.lambdas.reap_idle()
            if time.time() >= minute:
                self.fire(datetime.fromtimestamp(minute, UTC))

    def fire(self, minute: datetime) -> int:
        """Invoke whatever is due at the minute; return how many events went out."""
        count = 0
        for expression, arn, function, given in self._alarms():
            try:
                if not due(expression, minute):
                    continue
            except (ValueError, KeyError) as error:
                if arn not in self.complained:
                    self.complained.add(arn)
                    self.console.complain(f"{arn} never fires: {error}")
                continue
            target = self.lambdas.resolve(function)
            if target is not None:
                self.lambdas.invoke_later(target, (given or scheduled_event(arn, minute)).encode(), may_be_lost=False)
                count += 1
        return count

    async def fire_schedules(self) -> None:
        """Fire the app's rate schedules once and wait for their end.

        What a crash left behind, or a change of the code asks for, is not left lying for a minute.
        """
        minute = datetime.fromtimestamp(time.time() // 60 * 60, UTC)
        work = []
        for name, expression in self.manifest.schedules if self.manifest else ():
            function = self.lambdas.resolve(name)
            if function is not None and expression.startswith("rate"):
                work.append(self.lambdas.invoke(function, scheduled_event(rule_arn(name), minute).encode()))
        await asyncio.gather(*work)

    def _alarms(self) -> Iterator[tuple[str, str, str, str | None]]:
        """(expression, rule ARN, function, its Input or None) of everything that may be due."""
        for name, expression in self.manifest.schedules if self.manifest else ():
            arn = rule_arn(name)
            yield expression, arn, name, None
        for rule in _rules():
            if rule.state != "ENABLED" or not rule.scheduled_expression:
                continue
            for target in rule.targets:
                if ":function:" in target["Arn"]:
                    given = target.get("Input")
                    yield rule.scheduled_expression, rule.arn, target["Arn"], given


def scheduled_event(arn: str, minute: datetime) -> str:
    """What EventBridge sends for a schedule, as JSON."""
    event = {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": minute.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [arn],
        "detail": {},
    }
    return json.dumps(event)


def rule_arn(name: str) -> str:
    return f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"


def _rules() -> list[Any]:
    """The rules in moto; none while nobody has imported its EventBridge."""
    if "moto.events.models" not in sys.modules:
        return []
    from .aws import events_backend

    return list(events_backend().event_buses["default"].rules.values())
