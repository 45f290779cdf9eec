"""Keeping a search index in step with a table."""

from __future__ import annotations

import csv
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from chalicelib import Param, Run, StepError, TransientError, task
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.paths import destination_of, files_root
from chalicelib.processors.upload import Upload

PRODUCTS = Path(__file__).parent / "data" / "shop" / "products.csv"
BATCH = 50


@task(title="Search index sync", category="data", icon="refresh", tags=["search", "sync"], schedule="0 */4 * * *", retry_count=3)
def sync_index(
    run: Run,
    url: Annotated[
        str,
        Param(pattern=r"^(https?://\S+)?$", placeholder="https://search.example.com:9200", help="Elasticsearch or OpenSearch"),
    ] = "",
    index: Annotated[str, Param(pattern=r"^[a-z0-9][a-z0-9_-]*$", help="Name of the index")] = "products",
    api_key: Annotated[str, Param(secret=True, help="Sent as Authorization: ApiKey ...")] = "",
    full: Annotated[bool, Param(help="Send every document, not only what has changed")] = False,
) -> dict[str, Any]:
    """Sends the products that are new, changed or gone since the last time to a search engine's bulk API.

    What was sent is remembered in the project's bucket. Without a URL it says what it would send.
    """
    with PRODUCTS.open(encoding="utf-8", newline="") as lines:
        documents = {record["sku"]: record for record in csv.DictReader(lines)}
    digests = {key: hashlib.sha256(json.dumps(doc).encode()).hexdigest()[:16] for key, doc in documents.items()}
    known = {} if full else _remembered(run, index)
    changed = [key for key in documents if known.get(key) != digests[key]]
    gone = [key for key in known if key not in documents]
    actions = [*_updates(index, changed, documents), *({"delete": {"_index": index, "_id": key}} for key in gone)]
    run.log(f"{len(changed)} to write, {len(gone)} to delete, {len(documents) - len(changed)} are up to date")
    sizes = list(range(0, len(actions), BATCH * 2))
    for start in sizes:
        batch = actions[start : start + BATCH * 2]  # a written document is two lines, so a batch never cuts one
        _send(url, api_key, batch) if url else run.log(f"would send {len(batch)} lines")
        run.progress((start + len(batch)) / len(actions), f"{start + len(batch)} of {len(actions)} lines")
    if url:
        _remember(run, index, digests)
    return {"written": len(changed), "deleted": len(gone), "unchanged": len(documents) - len(changed), "sent": bool(url)}


def _updates(index: str, keys: list[str], documents: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for key in keys:
        yield {"index": {"_index": index, "_id": key}}
        yield documents[key]


def _send(url: str, api_key: str, lines: list[dict[str, Any]]) -> None:
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    headers = {"Content-Type": "application/x-ndjson"} | ({"Authorization": f"ApiKey {api_key}"} if api_key else {})
    request = urllib.request.Request(f"{url.rstrip('/')}/_bulk", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        kind = TransientError if error.code == 429 or error.code >= 500 else StepError
        raise kind(f"{request.host} answered {error.code} {error.reason}") from error
    except OSError as error:
        raise TransientError(f"{request.host} does not answer: {error}") from error
    if answer.get("errors"):
        failed = [item for action in answer["items"] for item in action.values() if item.get("error")]
        raise StepError(f"{len(failed)} documents were refused, the first: {failed[0]['error']}")


def _remembered(run: Run, index: str) -> dict[str, str]:
    place = destination_of(run, f"{files_root(run)}/sync/{index}.json")
    with said_plainly(f"reading {place}"):
        return json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}


def _remember(run: Run, index: str, digests: dict[str, str]) -> None:
    path = run.workspace / f"{index}.json"
    path.write_text(json.dumps(digests), encoding="utf-8")
    Upload(source=str(path), destination=f"{files_root(run)}/sync/")(run)
