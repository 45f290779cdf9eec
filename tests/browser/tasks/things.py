"""Small tasks that give every part of the pages something to show."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from chalicelib import File, Param, Run, task

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@task(title="Count words", category="data", icon="table", tags=["text"])
def count_words(
    run: Run,
    document: Annotated[File, Param(accept=".txt", max_bytes=100_000, help="A text file")],
    language: Literal["en", "de"] = "en",
    least: Annotated[int, Param(ge=1, le=20, help="Shortest word")] = 3,
) -> dict[str, Any]:
    """How often each word comes in a text."""
    words = document.read_text().split()
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    print(f"{len(words)} words in {document.name}")
    rows = [{"word": word, "count": count} for word, count in counts.items() if len(word) >= least]
    return {"language": language, "words": len(words), "rows": rows}


@task(title="Wipe the shelf", category="maintenance", danger="Everything on the shelf goes", expensive=True)
def wipe(run: Run) -> dict[str, Any]:
    """Dangerous on purpose."""
    return {"wiped": True}


@task(title="Talk", category="admin", tags=["long"])
def talk(
    run: Run,
    lines: Annotated[int, Param(ge=1, le=200_000)] = 20,
    pause: Annotated[float, Param(ge=0, le=10, help="Seconds between two lines")] = 0.0,
) -> dict[str, Any]:
    """Says numbered lines."""
    for number in range(1, lines + 1):
        print(f"line {number}")
        if pause:
            time.sleep(pause)
            run.progress(number / lines, f"line {number}")
    return {"said": lines}


@task(title=f"Hostile {HOSTILE}", category="<b>bad</b>", tags=["<i>"], icon='"><script>')
def hostile(run: Run, text: Annotated[str, Param(help=HOSTILE)] = HOSTILE) -> dict[str, Any]:
    """Says <b>markup</b> everywhere."""
    print(HOSTILE)
    print("\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J gone?")
    run.progress(0.5, HOSTILE)
    return {HOSTILE: HOSTILE, "rows": [{HOSTILE: HOSTILE}], "deep": {"a": {HOSTILE: [HOSTILE]}}}


@task(title="Hostile failure")
def hostile_failure(run: Run) -> None:
    """Fails with markup."""
    raise ValueError(HOSTILE)
