"""Ten thousand tasks: what is not due costs nothing, what is due is taken in time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_of_ten_thousand_tasks_only_the_due_ones_cost_requests_and_they_are_taken_within_a_minute() -> None:
    root = Path(__file__).parents[3]
    said = subprocess.run(
        [sys.executable, "-m", "tests.unit.timetable.many"], cwd=root, capture_output=True, text=True, check=True, timeout=110
    )
    found = json.loads(said.stdout)
    print(f"500 due of 10,000 tasks: {found['busy']['seconds']:.1f} s, {found['busy']['asked']}")
    assert found["idle"] == {"outcome": {}, "asked": {"query": 1}}
    assert found["busy"]["outcome"] == {"ran": 500}
    assert found["busy"]["seconds"] < 60
    assert found["busy"]["asked"]["transact_write_items"] == 500
    assert sum(found["busy"]["asked"].values()) < 8 * 500
    assert found["busy"]["invoked"] == 100, "as many as there are slots; the others wait"
