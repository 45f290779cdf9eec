"""What `chalice package` makes of this project, unpacked as Lambda would: the code, the layer, and the packages of the runtime."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "package"  # layers by their requirements, so that pip runs once
STAGE = "dev"
SITE_PACKAGES = f"python/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

# All that a Python runtime of Lambda brings along.
RUNTIME = (
    "awslambdaric",
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "runtime_client",
    "s3transfer",
    "simplejson",
    "six",
    "snapshot_restore_py",
    "urllib3",
)


@dataclass(frozen=True)
class Package:
    """`code` is what lies in /var/task, `layer` and `runtime` are on the path beside it; the zips and the template are as deployed."""

    code: Path
    layer: Path
    runtime: Path
    code_zip: Path
    layer_zip: Path
    template: Path


def build(folder: Path) -> Package:
    """Package a clean copy of the project with Chalice's own command."""
    project = copy_project(folder / "project")
    made = folder / "out"
    package_project(project, made)
    code_zip, layer_zip = made / "deployment.zip", made / "layer-deployment.zip"
    for archive, place in ((code_zip, folder / "task"), (layer_zip, folder / "opt")):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(place)
    runtime = folder / "runtime"
    runtime.mkdir()
    for name in RUNTIME:
        for path in _installed(name):
            (runtime / path.name).symlink_to(path)
    return Package(folder / "task", folder / "opt" / SITE_PACKAGES, runtime, code_zip, layer_zip, made / "sam.json")


def copy_project(into: Path) -> Path:
    """What `chalice package` reads, without what lies about in a checkout."""
    into.mkdir(parents=True)
    for name in ("app.py", "requirements.txt"):
        shutil.copy(ROOT / name, into)
    shutil.copytree(ROOT / "chalicelib", into / "chalicelib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / ".chalice", into / ".chalice", ignore=shutil.ignore_patterns("deploy*", "venv"))
    return into


def package_project(project: Path, into: Path) -> None:
    """`chalice package`, with the layers that were made before."""
    layers = project / ".chalice" / "deployments"
    layers.mkdir()
    for path in CACHE.glob("managed-layer-*.zip"):
        shutil.copy2(path, layers)
    command = [Path(sys.executable).with_name("chalice"), "package", "--stage", STAGE, str(into)]
    env = os.environ | {"AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Could not install" not in done.stdout, done.stdout
    CACHE.mkdir(parents=True, exist_ok=True)
    for path in layers.glob("managed-layer-*.zip"):
        if not (CACHE / path.name).exists():
            half = CACHE / f"{path.name}.{os.getpid()}"
            shutil.copy2(path, half)
            half.replace(CACHE / path.name)


def _installed(name: str) -> list[Path]:
    """A package's folder or file in this environment."""
    site = Path(sysconfig.get_path("platlib"))
    return [path for path in (site / name, site / f"{name}.py", *site.glob(f"{name}.*.so")) if path.exists()]
