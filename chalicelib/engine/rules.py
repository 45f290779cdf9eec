"""Cadence rules in EventBridge: made, changed and removed so that they are just the wanted ones. Safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

Clients = Callable[[str], Any]
STATEMENT = "cadence-rules"


class CadenceRules:
    """The rules of one deployment: named `{prefix}wake-{suffix}`, each with the dispatcher as its only target."""

    def __init__(self, clients: Clients, prefix: str) -> None:
        self.clients, self.prefix = clients, prefix

    def __call__(self, wanted: dict[str, str]) -> None:
        """`wanted` is {suffix: expression}."""
        events = self.clients("events")
        names = {f"{self.prefix}wake-{suffix}": expression for suffix, expression in wanted.items()}
        there = {rule["Name"]: rule for rule in self._rules(events)}
        for name in sorted(there.keys() - names.keys()):
            events.remove_targets(Rule=name, Ids=["dispatcher"])
            events.delete_rule(Name=name)
        if not names:
            return
        arn = self._dispatcher_arn()  # also when no rule is new: a dispatcher that was deployed anew lets nobody in
        for name, expression in names.items():
            if not _is(there.get(name, {}), expression):
                # Enabled when it has its target: one that a crash left without is seen, and made again.
                rule = {"Name": name, "ScheduleExpression": expression, "Description": "Wakes the dispatcher"}
                events.put_rule(**rule, State="DISABLED")
                events.put_targets(Rule=name, Targets=[{"Id": "dispatcher", "Arn": arn}])
                events.put_rule(**rule, State="ENABLED")

    def _rules(self, events: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            answer = events.list_rules(NamePrefix=f"{self.prefix}wake-", **token)
            found += answer["Rules"]
            if not answer.get("NextToken"):
                return found
            token = {"NextToken": answer["NextToken"]}

    def _dispatcher_arn(self) -> str:
        """The dispatcher's ARN; and the rules may invoke it."""
        functions = self.clients("lambda")
        name = f"{self.prefix}dispatcher"
        arn = str(functions.get_function_configuration(FunctionName=name)["FunctionArn"])
        source = arn.replace(":lambda:", ":events:").split(":function:")[0] + f":rule/{self.prefix}wake-*"
        with suppress(functions.exceptions.ResourceConflictException):  # it was given before
            functions.add_permission(
                FunctionName=name,
                StatementId=STATEMENT,
                Action="lambda:InvokeFunction",
                Principal="events.amazonaws.com",
                SourceArn=source,
            )
        return arn


def _is(rule: dict[str, Any], expression: str) -> bool:
    return rule.get("ScheduleExpression") == expression and rule.get("State") == "ENABLED"
