"""Hundreds of runs on a laptop that suffers: whatever happens, everything accepted ends, once, and is told in order.

`SOAK_SEED` chooses another fortune.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import chalicelib.client.follow as following
from infra.local.testing import LocalStack
from tests.faults.soak import Soak
from tests.stack.conftest import make_project, make_stack

TASKS = Path(__file__).parent / "soak_tasks"
SEED = int(os.environ.get("SOAK_SEED", "1"))
MISFORTUNE = ["kill=0.1", "lose=0.04", "duplicate=0.1"]

pytestmark = pytest.mark.faults
Make = Callable[..., LocalStack]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes the stack; `hurry` shortens what a sweep waits for, so that a short soak sees it at all."""
    monkeypatch.setattr(following, "IDLE", 4.0)
    running: list[LocalStack] = []

    def make(hurry: bool) -> LocalStack:
        project = make_project(tmp_path / "project", TASKS)
        if hurry:
            shorten(project / "chalicelib" / "engine" / "sweeper.py", GRACE_MS=10_000, HAND_ON_GRACE_MS=5_000)
            shorten(project / "chalicelib" / "engine" / "publisher.py", LEASE_MS=10_000, GIVE_UP_MS=6_000)
        hook = "chalicelib.cli.project:compile_for_stack"
        made = make_stack(project, tmp_path / "data", hook, chaos=SEED, chaos_rate=MISFORTUNE)
        running.append(made)
        made.start()
        assert made.ask("status")["error"] is None, made.console()
        return made

    yield make
    for made in running:
        made.__exit__()


def shorten(path: Path, **values: int) -> None:
    """Set constants of a module of the project's copy."""
    text = path.read_text()
    for name, value in values.items():
        text, count = re.subn(rf"^{name} = [\d_]+", f"{name} = {value}", text, flags=re.MULTILINE)
        assert count == 1, f"{path.name} has no {name} any more"
    path.write_text(text)


def soak(stack: LocalStack, folder: Path, seconds: float, most: int, patience: float) -> None:
    work = Soak(stack, folder / "begun", SEED)
    work.start_for(seconds, most)
    chaos = stack.ask("chaos?on=0", "POST")
    work.settle(patience)
    told = work.check()
    print(json.dumps(told | {"chaos": chaos["counts"], "seed": SEED}, indent=1))
    assert not work.found, "\n".join(work.found) + f"\nseed {SEED}; {told}; {chaos['counts']}"
    assert len(chaos["counts"]) >= 6, "nothing happened: this proves little"


@pytest.mark.timeout(240)
def test_everything_ends_once_whatever_happens(stack: Make, tmp_path: Path) -> None:
    soak(stack(hurry=True), tmp_path, seconds=15, most=300, patience=60)


@pytest.mark.proof
@pytest.mark.timeout(1200)
def test_five_minutes_of_misfortune(stack: Make, tmp_path: Path) -> None:
    soak(stack(hurry=False), tmp_path, seconds=300, most=4000, patience=120)
