"""A clean copy of the project, an empty account to deploy it to, and the commands as a person types them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws_server import AwsServer, run_aws_server

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("app.py", "requirements.txt", "chalicelib", "infra", ".chalice/config.json", ".chalice/policies")
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
CHALICE = "import sys; from chalice.cli import main; sys.exit(main())"
FEW = """
pipelines:
  - name: say
    processors:
      - echo: {message: hello}
tasks:
  - {id: daily, name: Daily, pipeline: say, schedule: "0 2 * * *"}
  - {id: other, name: Other, pipeline: say, schedule: "*/5 * * * *", timeout: 30s}
"""


@dataclass
class Checkout:
    """A copy of the project. Commands run in it as processes, against the account."""

    folder: Path
    account: AwsServer

    def run(self, *command: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        """A command; it has to succeed, or to fail."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env = {**kept, **self.account.environ(), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, *command], cwd=self.folder, env=env, capture_output=True, text=True, timeout=600)
        assert (done.returncode != 0) == fails, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def nightshift(self, *arguments: str, fails: bool = False) -> Any:
        """`nightshift --json …`: its JSON. With `fails` what it says on stderr."""
        done = self.run("-m", "chalicelib.cli", "--json", *arguments, fails=fails)
        return done.stderr if fails else json.loads(done.stdout) if done.stdout.strip() else None

    def chalice(self, *arguments: str) -> str:
        """The real `chalice`."""
        return self.run("-c", CHALICE, *arguments).stdout

    def deploy(self, stage: str, *more: str) -> Any:
        """`nightshift deploy`, without a look at doors that moto does not have."""
        return self.nightshift("deploy", "--stage", stage, "--no-check", *more)

    def config(self) -> Any:
        return json.loads((self.folder / ".chalice" / "config.json").read_text())


def make_checkout(folder: Path, account: AwsServer, tasks: str | None = FEW) -> Checkout:
    """A clean copy; with other tasks, which are fewer and so quicker to deploy, unless `tasks` is None."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    vendor = folder / "chalicelib" / "web" / "static" / "vendor"
    vendor.mkdir(exist_ok=True)
    (vendor / "stub.mjs").touch()  # whether npm has run is not what is tested
    if tasks is not None:
        shutil.rmtree(folder / "chalicelib" / "tasks")
        (folder / "chalicelib" / "tasks").mkdir()
        (folder / "chalicelib" / "tasks" / "__init__.py").touch()
        (folder / "chalicelib" / "tasks" / "few.yaml").write_text(tasks)
    return Checkout(folder, account)


def seed_layer(checkout: Checkout) -> None:
    """A layer as if chalice had packed it before, so that no pip runs."""
    digest = hashlib.md5((checkout.folder / "requirements.txt").read_bytes()).hexdigest()
    folder = checkout.folder / ".chalice" / "deployments"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / f"managed-layer-{digest}-{PYTHON}.zip", "w") as layer:
        layer.writestr(f"python/lib/{PYTHON}/site-packages/nothing.py", "")


@pytest.fixture(scope="module")
def account() -> Iterator[AwsServer]:
    """An empty account."""
    with run_aws_server() as server:
        yield server


@pytest.fixture(scope="module")
def checkout(account: AwsServer, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clean copy with two tasks."""
    found = make_checkout(tmp_path_factory.mktemp("checkout"), account)
    seed_layer(found)
    return found
