"""Large files go through in blocks: the memory of the process that does the work, measured from outside S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.processors.small_s3 import small_s3

ROOT = Path(__file__).parents[3]
MOST = 200  # MB resident

WORK = """
import json, sys
from pathlib import Path
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.checksum import Checksum
from chalicelib.processors.compress import Compress
from chalicelib.processors.decompress import Decompress
from chalicelib.processors.download import Download
from chalicelib.processors.upload import Upload

run = RunHandle()
run.log = lambda *_, **__: None
run.workspace = Path(sys.argv[1])
before = Checksum(source="large")(run)["checksum"]
run.previous = Compress(source="large", level=1, remove_source=True)(run)
sent = Upload(destination="s3://backups/", **{"source": "large.gz"})(run)
Path(run.workspace / "large.gz").unlink()
Download(source="s3://backups/large.gz")(run)
Decompress(source="large.gz", destination="again", remove_source=True)(run)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"same": Checksum(source="again", expected=before)(run)["checksum"] == before, "sent": sent["bytes"], "peak": peak / 1024}))
"""


@pytest.mark.parametrize(
    "size", [64, pytest.param(1024, marks=[pytest.mark.proof, pytest.mark.timeout(900)])], ids=lambda mb: f"{mb} MiB"
)
def test_a_large_file_is_packed_sent_and_fetched_in_little_memory(tmp_path: Path, size: int) -> None:
    workspace, objects = tmp_path / "workspace", tmp_path / "objects"
    workspace.mkdir()
    objects.mkdir()
    half = os.urandom(1 << 19)
    with (workspace / "large").open("wb") as file:
        for _ in range(size):
            file.write(half + bytes(1 << 19))
    with small_s3(objects) as url:
        env = os.environ | {
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run([sys.executable, "-c", WORK, str(workspace)], cwd=workspace, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["same"]
    assert result["sent"] > size << 19
    assert result["peak"] < MOST
