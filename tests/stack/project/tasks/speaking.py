"""Tasks that say, return and take things."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from chalicelib import File, Param, Run, StepError, TransientError, task


@task(title="Hello", category="greeting", tags=["quick", "polite"], schedule="0 3 * * *", metadata={"owner": "tests"})
def hello(name: Annotated[str, Param(pattern=r"^\w+$")] = "world") -> dict[str, Any]:
    """Greets."""
    print(f"hello {name}")
    return {"greeting": f"hello {name}"}


@task
def lines(run: Run, count: int = 10, every: float = 0.0) -> dict[str, Any]:
    """Prints numbered lines, `every` so many seconds."""
    for number in range(1, count + 1):
        print(f"line {number}")
        if every:
            time.sleep(every)
            run.progress(number / count, f"{number} of {count}")
    return {"lines": count}


@task
def forms(
    text: Annotated[str, Param(min_length=2)],
    size: Annotated[int, Param(ge=1, le=9)] = 3,
    kind: Literal["small", "large"] = "small",
    sure: bool = False,
) -> dict[str, Any]:
    """Gives back what it got."""
    return {"text": text, "size": size, "kind": kind, "sure": sure}


@task
def table() -> dict[str, Any]:
    """A result with rows."""
    rows = [{"city": "Köln", "people": 1_084_831}, {"city": 'Bad "Salz", oben', "people": 7, "note": "=1+1"}]
    return {"rows": rows, "total": 2}


@task
def large_result(size: int = 200_000) -> dict[str, Any]:
    """A result that has to lie in an item of its own."""
    return {"digest": "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(size // 64))}


@task
def secretive(password: Annotated[str, Param(secret=True)], user: str = "ann") -> dict[str, Any]:
    """Is careless with a secret."""
    print(f"logging in as {user} with {password}")
    return {"user": user, "seen": [f"pw={password}"]}


@task
def leaking(run: Run, password: Annotated[str, Param(secret=True)]) -> None:
    """Puts a secret into its error."""
    run.progress(0.5, f"trying {password}")
    run.log(f"{password}?", level="warning")
    raise StepError(f"login with {password} failed")


@task
def keeps(run: Run, name: str = "Übersicht 1.csv") -> None:
    """Leaves a file behind."""
    (run.workspace / name).write_text("a,b\r\n1,2\r\n", newline="")
    run.artifact(name)


@task
def read_file(file: File) -> dict[str, Any]:
    """Digests a file."""
    content = file.read_bytes()
    return {"name": file.name, "size": file.size, "sha256": hashlib.sha256(content).hexdigest()}


@task
def failing(depth: int = 2) -> None:
    """Fails some calls down."""
    print("before it fails")
    _deeper(depth)


def _deeper(depth: int) -> None:
    if depth == 0:
        raise ValueError("the bottom is reached")
    _deeper(depth - 1)


@task(retry_count=2)
def flaky(run: Run, note: str, failures: int = 1) -> dict[str, Any]:
    """Fails as often as told, counted in a file."""
    path = Path(note)
    before = len(path.read_text()) if path.exists() else 0
    path.write_text("x" * (before + 1))
    if before < failures:
        raise TransientError(f"not yet, attempt {run.attempt}")
    return {"attempt": run.attempt}
