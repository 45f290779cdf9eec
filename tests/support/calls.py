"""Which permissions the tests make use of: every local stack of theirs tells, and what tests/package has on record must know it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from chalicelib.catalog.policies import KINDS
from infra.local.testing import LocalStack

RECORD = Path(__file__).parents[1] / "package" / "recorded_calls.json"
ADD_TO = "RECORD_CALLS"  # a file that calls are added to, instead of being compared
STAGE = "local"
HOW = "if it is right, run: .venv/bin/python -m tests.package.record"

Calls = dict[str, list[list[str]]]


class RecordedStack(LocalStack):
    """A stack whose functions make no call that is not on record."""

    def stop(self, seconds: float = 20.0) -> int:
        calls: Calls = {}
        if self.process.poll() is None:
            calls = self.permissions()["used"]
        status = super().stop(seconds)
        check(calls)
        return status


def check(calls: Calls) -> None:
    """Raise AssertionError for a call that is not on record; with RECORD_CALLS, note it there."""
    found = {
        policy: [[action, resource.replace(f"nightshift-{STAGE}", "nightshift-{stage}")] for action, resource in calls[policy]]
        for policy in calls.keys() & set(KINDS.values())  # a task's own policy is its own affair
    }
    if place := os.environ.get(ADD_TO):
        add(Path(place), found)
        return
    known = read(RECORD)
    new = {f"{policy}: {' on '.join(pair)}" for policy in found for pair in found[policy] if pair not in known.get(policy, [])}
    assert not new, f"calls that {RECORD.name} does not have: {'; '.join(sorted(new))} ({HOW})"


def read(path: Path) -> Calls:
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def add(path: Path, calls: Calls) -> None:
    known = read(path)
    for policy, pairs in calls.items():
        known[policy] = sorted([*known.get(policy, []), *(pair for pair in pairs if pair not in known.get(policy, []))])
    path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
