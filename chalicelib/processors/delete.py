"""The processor `delete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import locations
from chalicelib.processors.base import Processor
from chalicelib.processors.describing import count_text, source_text
from chalicelib.processors.globs import WILD
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Found, Location, find
from chalicelib.processors.removal import remove, remove_folders_of
from chalicelib.processors.selection import Exclude, MinSize, OlderThan, chosen

if TYPE_CHECKING:
    from chalicelib.processors.locations import AnyPath

_MOST_NAMED = 20


@processor("delete")
class Delete(Processor):
    """Deletes a file, a folder with all it holds, or the matches of a glob, here or in S3.

    With a condition the folder itself stays, and those below it go that are left empty. What is not there is no failure. A
    symbolic link is deleted itself, never what it leads to. Refused, unless `allow_root` says so: everything in a bucket,
    `/`, a folder directly below it, a home, the project.
    """

    source: Location = Field(
        description="A file, folder or glob: ./work, /var/cache/app/*.tmp, s3://bucket/old/",
        examples=["./work", "s3://bucket/old/**/*.gz"],
    )
    older_than: OlderThan = None
    min_size: MinSize = None
    exclude: Exclude = ()
    keep: int = Field(0, ge=0, description="How many of the newest files to keep in any case")
    dry: bool = Field(False, description="Only say what would be deleted")
    allow_root: bool = Field(False, description="Let it delete everything in a bucket, a home, the project, `/` …")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path, files (how many), bytes, names (of the first 1,000), dry."""
        everything = find(run, self.source, project=False, missing_ok=True, links=True)
        self._check_root(run, everything)
        found = self._chosen(everything)
        doing = "would delete" if self.dry else "deleting"
        for entry in found.entries[:_MOST_NAMED]:
            run.log(f"{doing} {entry.name} ({size_text(entry.size)})")
        if len(found.entries) > _MOST_NAMED:
            run.log(f"{doing} {len(found.entries) - _MOST_NAMED} more")
        if not self.dry:
            remove(run, found.entries)
            if found.folder:
                filtered = self.older_than is not None or self.min_size is not None or self.exclude or self.keep
                remove_folders_of(run, found, whole=not (found.glob or filtered))
        run.progress(1.0)
        run.log(f"{'would delete' if self.dry else 'deleted'} {count_text(len(found.entries))} ({size_text(found.size)})")
        return {
            "path": str(found.root),
            "files": len(found.entries),
            "bytes": found.size,
            "names": [entry.name for entry in found.entries[:1000]],
            "dry": self.dry,
        }

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        what = source_text(run, self.source, self._chosen, project=False)
        return f"says what it would delete of {what}" if self.dry else f"deletes {what}"

    def _chosen(self, found: Found) -> Found:
        rest = chosen(found, self.exclude, self.older_than, min_size=self.min_size)
        if not self.keep:
            return rest
        newest = sorted(found.entries, key=lambda entry: (entry.modified, entry.name))[-self.keep :]
        kept = {entry.name for entry in newest}
        return Found(rest.root, rest.folder, [entry for entry in rest.entries if entry.name not in kept], rest.glob)

    def _check_root(self, run: RunHandle, found: Found) -> None:
        if self.allow_root or not found.folder or (found.glob and not _takes_all(self.source)):
            return
        what = _root_name(run, found.root)
        if what:
            hint = "name a folder below it or a narrower glob, or say allow_root: true"
            raise StepError(f"'{self.source}' is {what}: nothing was deleted; {hint}")


def _takes_all(source: str) -> bool:
    """Whether a glob leaves nothing out: *, **/*, *.*"""
    wild = WILD.search(source)
    pattern = source[source.rfind("/", 0, wild.start()) + 1 :] if wild else ""
    return set(pattern) <= set("*?./")


def _root_name(run: RunHandle, root: AnyPath) -> str | None:
    """What makes a folder one that nobody deletes by chance, if it is one."""
    if not isinstance(root, Path):
        return None if root.key.strip("/") else "a whole bucket"
    path = root.resolve()
    project = locations.PROJECT.resolve()
    if path == Path("/"):
        return "the root of the file system"
    if len(path.parts) == 2:
        return "a folder directly below '/'"
    if Path.home().resolve().is_relative_to(path) or path.parent in (Path("/home"), Path("/Users")):
        return "a home"
    if project.is_relative_to(path):
        return "the project, or holds it"
    if run.workspace.resolve().is_relative_to(path) and run.workspace.resolve() != path:
        return "the folder of this run's workspace and others'"
    return None
