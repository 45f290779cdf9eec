"""The processor `bulk_index`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.bulk_batches import Batch, Document, batches
from chalicelib.processors.bulk_requests import Cluster
from chalicelib.processors.bulk_sources import documents_in, documents_of
from chalicelib.processors.credentials import Credentials
from chalicelib.processors.http_client import Url, shown_url
from chalicelib.processors.paths import Location, previous_path

_INDEX = r"^[^A-Z\s\\/*?\"<>|,#:_+-][^A-Z\s\\/*?\"<>|,#:]*$"
_MOST_TOLD = 100  # rejected documents in the output
_MOST_SHOWN = 3  # of them in an error


class OtherIndex(BaseModel):
    """An index to copy from, in this cluster or another one."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Url = Field(description="The cluster", examples=["https://old.example.com:9200"])
    index: str = Field(min_length=1, description="Index, alias or pattern")
    query: dict[str, Any] = Field(
        default_factory=lambda: {"match_all": {}}, description="Which documents, as the query language says"
    )
    page: int = Field(500, ge=1, le=10_000, description="Documents fetched at a time")
    sort: str = Field("_id", min_length=1, description="The field to read by, another one in every document")
    auth: Credentials | None = Field(None, description="Who is asking: username and password, bearer, or api_key")
    trusted: Location | None = Field(None, description="PEM file of certificates to trust instead of the system's")


@processor("bulk_index")
class BulkIndex(Processor):
    """Sends documents to Elasticsearch or OpenSearch in bulk: JSON lines of files, or another index.

    Documents that the cluster rejects do not hold up the others, and are told one by one; those that it is too busy for are sent
    again. Without `source` it takes what the step before has made.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    url: Url = Field(description="The cluster to send to", examples=["https://search.example.com:9200"])
    index: str = Field(pattern=_INDEX, max_length=255, description="The index to send to")
    source: Location | None = Field(None, description="Files of JSON lines (.gz too), a folder or glob; default: the output before")
    from_index: OtherIndex | None = Field(
        None, alias="from", description="Copy an index: url, index, query, sort, page, auth, trusted"
    )
    id_field: str | None = Field(None, description="The field whose value is the document's id; default: the cluster gives ids")
    operation: Literal["index", "create", "update", "delete"] = Field(
        "index", description="index: put or replace; create: only new ones; update: change or put; delete: by id"
    )
    batch: int = Field(500, ge=1, le=10_000, description="Documents of a request at most")
    batch_bytes: int = Field(5_000_000, ge=1000, le=100_000_000, description="Bytes of a request at most")
    retries: int = Field(5, ge=0, le=20, description="How often what the cluster is too busy for is sent again")
    on_rejected: Literal["fail", "continue"] = Field("fail", description="What rejected documents do to the step, at the end")
    refresh: bool = Field(False, description="Let searches see the documents at once, at the end")
    auth: Credentials | None = Field(None, description="Who is sending: username and password, bearer, or api_key")
    trusted: Location | None = Field(None, description="PEM file of certificates to trust instead of the system's")
    timeout: Duration = Field(60.0, gt=0, description="For one request")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.source is not None and self.from_index is not None:
            raise ValueError("give source or from, not both")
        if self.operation in ("update", "delete") and self.id_field is None and self.from_index is None:
            raise ValueError(f"operation {self.operation} needs an id: say id_field")
        return self

    def describe(self, run: RunHandle) -> str:
        """What it would do, in one sentence."""
        other = self.from_index
        what = f"{other.index} of {shown_url(other.url)}" if other else self.source or "what the step before has made"
        return f"sends the documents of {what} to the index {self.index} at {shown_url(self.url)}"

    def __call__(self, run: RunHandle) -> Any:
        """Output: indexed, rejected ([{line, id, status, type, reason}], 100 at most), rejected_count, retried, bytes.

        Yields checkpoints after each request.
        """
        return self._send(run)

    def _send(self, run: RunHandle) -> Generator[dict[str, Any], None, dict[str, Any]]:
        state = dict(run.checkpoint or {"place": None, "indexed": 0, "rejected": [], "rejected_count": 0, "retried": 0, "bytes": 0})
        cluster = Cluster(self.url, self.auth, self.trusted, self.timeout, self.retries)
        for batch in batches(self._documents(run, state["place"]), self._lines, self.batch, self.batch_bytes):
            if batch.documents:
                cluster.send(run, self.index, batch)
            state |= {
                "place": batch.place,
                "indexed": state["indexed"] + batch.indexed,
                "rejected": [*state["rejected"], *batch.rejected][:_MOST_TOLD],
                "rejected_count": state["rejected_count"] + len(batch.rejected),
                "retried": state["retried"] + batch.retried,
                "bytes": state["bytes"] + batch.bytes,
            }
            self._tell(run, batch, state)
            yield dict(state)
        if self.refresh:
            cluster.refresh(run, self.index)
        output = {key: value for key, value in state.items() if key != "place"}
        run.progress(1.0)
        run.log(f"{self.index}: {state['indexed']} indexed, {state['rejected_count']} rejected")
        if state["rejected_count"] and self.on_rejected == "fail":
            raise StepError(_refusal(state))
        return output

    def _documents(self, run: RunHandle, place: Any) -> Iterator[Document]:
        if self.from_index is not None:
            other = self.from_index
            cluster = Cluster(other.url, other.auth, other.trusted, self.timeout, self.retries)
            return documents_of(run, cluster, other.index, other.query, other.sort, other.page, place)
        return documents_in(run, self.source or previous_path(run), place)

    def _lines(self, document: Document) -> bytes:
        """What the bulk API takes for a document. ValueError says what it lacks."""
        return document.lines(self.operation, self.id_field)

    def _tell(self, run: RunHandle, batch: Batch, state: dict[str, Any]) -> None:
        for one in batch.rejected[: max(0, _MOST_TOLD - (state["rejected_count"] - len(batch.rejected)))]:
            run.log(f"rejected: {_told(one)}", level="warning")
        if batch.fraction is not None:
            run.progress(min(1.0, batch.fraction), f"{state['indexed']} indexed")
        run.check_stopped()


def _refusal(state: dict[str, Any]) -> str:
    count = state["rejected_count"]
    first = "; ".join(_told(one) for one in state["rejected"][:_MOST_SHOWN])
    more = f"; and {count - _MOST_SHOWN} more" if count > _MOST_SHOWN else ""
    return f"{count} of {count + state['indexed']} documents were rejected, the others are kept: {first}{more}"


def _told(one: dict[str, Any]) -> str:
    named = f" (id {one['id']})" if one["id"] is not None else ""
    return f"{one.get('file', '')}{':' if one.get('file') else 'line '}{one['line']}{named}: {one['type']}: {one['reason']}"
