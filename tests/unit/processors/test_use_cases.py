"""The pipelines of docs/how-to/move-files.md do what the page says, one step after the other."""

from __future__ import annotations

import gzip
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.catalog.decorators import PROCESSORS
from chalicelib.domain.errors import StepError
from tests.unit.processors.recorder import Recorder
from tests.unit.processors.trees import BODY, names, tree

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "move-files.md").read_text(encoding="utf-8")
PIPELINES = {
    pipeline["name"]: pipeline["processors"]
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for pipeline in yaml.safe_load(block)["pipelines"]
}


def go(run: Recorder, name: str, **places: str) -> dict[str, Any]:
    """Each step's output; `places` stand for texts of the page."""
    for number, step in enumerate(PIPELINES[name]):
        ((kind, config),) = step.items()
        import_module(f"chalicelib.processors.{kind}")
        text = yaml.safe_dump(config)
        for old, new in places.items():
            text = text.replace({"logs": "/var/log/shop", "bucket": "shop-"}.get(old, old), new)
        said = PROCESSORS[kind].model_validate(yaml.safe_load(text))
        assert said.describe(run)
        run.previous = said(run) or {}
        run.outputs[f"{kind} {number}"] = run.previous
    return dict(run.outputs)


@pytest.fixture
def buckets(s3: Any) -> Any:
    for name in ("logs", "backups", "inbox"):
        s3.create_bucket(Bucket=f"shop-{name}", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return s3


def objects(s3: Any, bucket: str) -> list[str]:
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [re.sub(r"\d{4}-\d\d-\d\d", "DATE", item["Key"]) for item in found]


def test_logs_are_rotated_compressed_and_uploaded(run: Recorder, buckets: Any, tmp_path: Path) -> None:
    logs = tmp_path / "log"
    logs.mkdir()
    for day in range(2):
        for name in ("app.log", "web.log"):
            (logs / name).write_bytes(BODY * 20 + name.encode())
        (logs / "small.log").write_bytes(b"x")
        output = go(run, "rotate_logs", logs=str(logs))
        assert output["upload 2"]["skipped"] == 2 * day
    found = [re.sub(r"\d{4}-\d\d-\d\d", "DATE", name) for name in names(logs)]
    archives = ["app-DATE.2.log.gz", "app-DATE.log.gz", "web-DATE.2.log.gz", "web-DATE.log.gz"]
    assert found == [*(f"archive/{name}" for name in archives), "small.log"]
    assert objects(buckets, "shop-logs") == [f"DATE/{name}" for name in archives]
    assert gzip.decompress(next((logs / "archive").glob("app*.gz")).read_bytes()) == BODY * 20 + b"app.log"


def test_what_others_drop_is_taken_in_once(run: Recorder, buckets: Any) -> None:
    for name in ("a.csv", "b.csv", "c.txt"):
        buckets.put_object(Bucket="shop-inbox", Key=name, Body=b"x")
    assert go(run, "take_in")["list 2"]["count"] == 2
    assert names(run.workspace) == ["inbox/a.csv", "inbox/b.csv"]
    assert objects(buckets, "shop-inbox") == ["c.txt", "taken/01RUN/a.csv", "taken/01RUN/b.csv"]
    (run.workspace / "inbox" / "a.csv").unlink()
    run.attempt = 2
    assert go(run, "take_in")["list 2"]["count"] == 2
    run.id = "02RUN"
    assert go(run, "take_in")["move 0"]["files"] == 0


def test_what_was_packed_comes_back_and_is_the_same(run: Recorder, buckets: Any) -> None:
    folder = tree(run.workspace / "data")
    go(run, "keep_safe")
    (key,) = objects(buckets, "shop-backups")
    assert key == "daily/DATE/data.tar.xz"
    today = buckets.list_objects_v2(Bucket="shop-backups")["Contents"][0]["Key"].split("/")[1]
    places = {"2026-01-31": today}
    assert go(run, "bring_back", **places)["checksum 2"]["count"] == 3
    assert names(run.workspace / "restored") == names(folder)
    (run.workspace / "SHA256SUMS").write_text(f"{'0' * 64}  a.txt\n")
    with pytest.raises(StepError, match=r"a\.txt differs"):
        go(run, "bring_back", **places)
