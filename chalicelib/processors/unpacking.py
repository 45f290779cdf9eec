"""Writing an archive's members into a new folder, so that none of them ends anywhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.archives import Member, checked_name
from chalicelib.processors.bounds import Bounds
from chalicelib.processors.paths import file_below

_BLOCK = 1 << 20


def unpack(members: Iterable[Member], folder: Path, bounds: Bounds) -> None:
    """Write the members below an empty folder. StepError for a link that leads out of it, and for what Bounds refuses.

    Symbolic links come last, so that nothing is written through one.
    """
    links: list[Member] = []
    for member in members:
        target = folder / member.name
        if member.kind == "folder":
            target.mkdir(parents=True, exist_ok=True)
        elif member.kind == "link":
            links.append(member)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            if member.kind == "hard link":
                _link_hard(member, folder, target, bounds)
            else:
                _write(member, target, bounds)
    for member in links:
        _link(member, folder, bounds)
    for member in links:
        # One link may lead through another: only where all of them lead in the end counts.
        if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
            raise _leads_out(member, bounds)


def settle(run: RunHandle, staging: Path, folder: Path) -> None:
    """Make an unpacked folder the destination; one that is there gets the files, each at once, and keeps its others."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging, folder)
        return
    for path, folders, names in os.walk(staging):
        below = Path(path).relative_to(staging)
        links = [name for name in folders if os.path.islink(os.path.join(path, name))]
        for name in folders:
            if name not in links:
                target = file_below(run, folder, (below / name).as_posix())
                (folder / below / name).mkdir(exist_ok=True)
        for name in [*names, *links]:
            run.check_stopped()
            target = file_below(run, folder, (below / name).as_posix())
            os.replace(os.path.join(path, name), str(target))


def discard(staging: Path) -> None:
    """Remove what was half made."""
    with suppress(FileNotFoundError):
        shutil.rmtree(staging)


def copy_out(reader: Iterable[bytes], target: Path, bounds: Bounds) -> None:
    """Write blocks to a new file, as far as the bounds allow."""
    with target.open("xb") as writer:
        for block in reader:
            bounds.add(len(block))
            writer.write(block)


def _write(member: Member, target: Path, bounds: Bounds) -> None:
    assert member.open is not None
    target.unlink(missing_ok=True)  # a later member of the same name replaces an earlier one
    with member.open() as reader:
        copy_out(iter(lambda: reader.read(_BLOCK), b""), target, bounds)
    # No setuid, and no bit of writing for others, whatever the archive says.
    target.chmod(((member.mode or 0o644) & 0o755) | 0o600)
    with suppress(OSError, OverflowError, ValueError):
        os.utime(target, (member.modified, member.modified))


def _link_hard(member: Member, folder: Path, target: Path, bounds: Bounds) -> None:
    first = folder / checked_name(member.link, bounds.name)
    if first.is_symlink() or not first.is_file():
        raise StepError(f"'{member.name}' in {bounds.name} is a hard link to '{member.link}', which is no file of it")
    target.unlink(missing_ok=True)
    os.link(first, target)


def _link(member: Member, folder: Path, bounds: Bounds) -> None:
    target = folder / member.name
    lexical = os.path.normpath(os.path.join(os.path.dirname(member.name), member.link))
    if not member.link or "\0" in member.link or os.path.isabs(member.link) or lexical.split("/")[0] == "..":
        raise _leads_out(member, bounds)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise _leads_out(member, bounds)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(member.link)


def _leads_out(member: Member, bounds: Bounds) -> StepError:
    what = f"is a symbolic link that leads out of the destination (to '{member.link}')"
    return StepError(f"'{member.name}' in {bounds.name} {what}: nothing was unpacked")
