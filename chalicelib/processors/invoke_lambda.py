"""The processor `invoke_lambda`."""

from __future__ import annotations

import base64
import json
from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.base import Processor
from chalicelib.processors.failures import said_plainly

_LONGEST = 900.0  # seconds that a Lambda can take


@processor("invoke_lambda")
class InvokeLambda(Processor):
    """Invokes another Lambda function, and waits for its answer unless told not to.

    What the function raises fails the step for good; a throttle or an error of Lambda itself is worth another attempt.
    """

    function: str = Field(min_length=1, description="Name or ARN")
    payload: Any = Field(default_factory=dict, description="Its event: anything that JSON has")
    wait: bool = Field(True, description="false: the function is only set to work, and the step goes on at once")
    qualifier: str | None = Field(None, description="Version or alias")
    show_log: bool = Field(False, description="Say the last 4 KB of the function's log; only with wait")

    def describe(self, run: RunHandle) -> str:
        """One sentence."""
        then = "waits for its answer" if self.wait else "does not wait for it"
        return f"Invokes the Lambda function {self.function} with {json.dumps(self.payload, default=str)} and {then}"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: status_code, and of a function that was waited for payload (its answer) and version."""
        asked: dict[str, Any] = {"FunctionName": self.function, "InvocationType": "RequestResponse" if self.wait else "Event"}
        if self.qualifier:
            asked["Qualifier"] = self.qualifier
        if self.wait and self.show_log:
            asked["LogType"] = "Tail"
        with said_plainly(f"invoking {self.function}"):
            body = json.dumps(self.payload).encode()
            answer = clients.client("lambda", read_timeout=_LONGEST).invoke(**asked, Payload=body)
            content = answer["Payload"].read()
        if answer.get("LogResult"):
            run.log(base64.b64decode(answer["LogResult"]).decode(errors="replace").rstrip("\n"), level="debug")
        if not self.wait:
            return {"status_code": answer["StatusCode"]}
        result = _parsed(content)
        if answer.get("FunctionError"):
            raise self._failure(run, result)
        return {"status_code": answer["StatusCode"], "payload": result, "version": answer.get("ExecutedVersion")}

    def _failure(self, run: RunHandle, said: Any) -> StepError:
        """The function's own error, its stack said before."""
        if not isinstance(said, dict):
            return StepError(f"{self.function} failed: {said}")
        for frame in said.get("stackTrace") or []:
            run.write(str(frame).rstrip("\n"), "stderr")
        kind = said.get("errorType")
        return StepError(f"{self.function} failed: " + (f"{kind}: " if kind else "") + str(said.get("errorMessage", "")))


def _parsed(content: bytes) -> Any:
    """What a function answered: JSON, or else its text."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode(errors="replace")
