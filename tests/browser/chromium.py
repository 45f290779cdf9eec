"""A real browser for the tests: the machine's own Chromium, else the one that the npm package @sparticuz/chromium carries."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
UNPACK = "import('@sparticuz/chromium').then(async m => console.log(await m.default.executablePath()))"


@lru_cache(maxsize=1)
def executable() -> str:
    """CHROMIUM, a browser on PATH, or the npm package's, which unpacks itself. Raises RuntimeError when there is none."""
    named = os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)
    if named:
        return named
    node = shutil.which("node") or str(ROOT / ".venv" / "bin" / "node")
    # Only on these "platforms" does the package unpack the system libraries that it carries as well.
    env = os.environ | {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
    try:
        made = subprocess.run([node, "-e", UNPACK], cwd=ROOT, capture_output=True, text=True, env=env, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"there is no browser: install chromium, or run make test ({error})") from error
    return made.stdout.strip()


@contextmanager
def browser() -> Iterator[Any]:
    """A running browser, as Playwright's Browser."""
    from playwright.sync_api import sync_playwright

    path = executable()
    env = dict(os.environ)
    if shutil.which(Path(path).name) != path and Path("/tmp/al2023/lib").is_dir():
        env["LD_LIBRARY_PATH"] = f"/tmp/al2023/lib:{env.get('LD_LIBRARY_PATH', '')}"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS, chromium_sandbox=False, env=env)
        try:
            yield running
        finally:
            running.close()
