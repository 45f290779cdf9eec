"""Refuses the AWS requests that a function's own role would be refused: what lacks a permission fails on the laptop already."""

from __future__ import annotations

import json
from collections.abc import Callable
from xml.sax.saxutils import escape

from .calls import calls_of
from .options import ACCOUNT
from .policies import Call, Policy
from .wire import Request, Response, as_json

FREE = ("sts:GetCallerIdentity",)  # which no policy has to allow
BASE = "task"  # the policy of tasks without permissions of their own


class Guard:
    """`load` says who has which policy; a caller without one (a test's client, another project's function) may do everything."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self.complain = complain
        self.policies: dict[str, tuple[str, Policy]] = {}
        self.told: set[tuple[str, str, str]] = set()

    def load(self, policies: dict[str, tuple[str, Policy]]) -> None:
        """{full name of a function: (name of its policy, the policy)}; what was used of the same policy before is kept."""
        used: dict[str, set[tuple[str, str]]] = {}
        for name, policy in self.policies.values():
            used.setdefault(name, set()).update(policy.used)
        for name, policy in policies.values():
            policy.used |= used.get(name, set())
        self.policies = policies

    def refusal(self, caller: str, service: str, operation: str, request: Request) -> Response | None:
        """None: let it pass."""
        found = self.policies.get(caller)
        if found is None:
            return None
        for call in calls_of(service, operation, request):
            if call.action not in FREE and not found[1].allows(call):
                text = self._tell(caller, found[0], call)
                return denied(service, text, as_form=b"Action=" in request.body[:4096])
        return None

    def used(self) -> dict[str, list[list[str]]]:
        """What allowed something so far: [action, resource pattern] pairs by policy."""
        found: dict[str, set[tuple[str, str]]] = {}
        for name, policy in self.policies.values():
            found.setdefault(name, set()).update(policy.used)
        return {name: sorted(map(list, pairs)) for name, pairs in sorted(found.items()) if pairs}

    def _tell(self, caller: str, policy: str, call: Call) -> str:
        """AWS's words for the refusal, and ours for what to write; said on the console, too, once each."""
        text = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{caller}/local is not authorized to perform: {call.action} on resource: "
        text += f"{call.resource} because no identity-based policy allows the {call.action} action"
        if policy == BASE or policy.startswith(f"{BASE}_"):
            resource = call.resource.replace("arn:aws:s3:::", "s3://")
            text += f'. Add to the task: permissions: [{{actions: ["{call.action}"], resources: ["{resource}"]}}]'
        where = (caller, call.action, call.resource)
        if where not in self.told and len(self.told) < 1000:
            self.told.add(where)
            self.complain(f"refused, as on AWS: {text}")
        return text


def denied(service: str, text: str, as_form: bool = False) -> Response:
    """An AccessDenied as the service's protocol has it. `as_form`: the request was a form, which is answered in XML."""
    if service == "s3":
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>{escape(text)}</Message></Error>'
        return Response(403, body.encode(), {}, "application/xml")
    if as_form:
        error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{escape(text)}</Message></Error>"
        body = f"<ErrorResponse>{error}</ErrorResponse>"
        return Response(403, body.encode(), {}, "application/xml")
    if service in ("lambda", "execute-api"):
        return as_json(403, {"Message": text}, {"x-amzn-ErrorType": "AccessDeniedException"})
    answer = {"__type": "AccessDeniedException", "message": text, "Message": text}
    return Response(400, json.dumps(answer).encode(), {}, "application/x-amz-json-1.0")


def form_caller(body: bytes) -> str:
    """The access key in a browser's presigned form, "" in any other body."""
    at = body.find(b'name="x-amz-credential"') if b"x-amz-credential" in body else body.find(b'name="X-Amz-Credential"')
    return body[at:].partition(b"\r\n\r\n")[2].partition(b"/")[0].decode("latin-1") if at >= 0 else ""
