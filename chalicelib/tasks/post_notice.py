"""A notice to everybody; its form has every kind of parameter."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from chalicelib import File, Param, Run, StepError, task

_COLOURS = {"information": "36", "maintenance": "33", "outage": "31"}


@task(title="Post a notice", category="admin", icon="megaphone", tags=["communication"], timeout="1m")
def post_notice(
    run: Run,
    title: Annotated[str, Param(pattern=r"^\S.{2,79}$", placeholder="Planned maintenance", help="3 to 80 characters")],
    text: Annotated[str, Param(multiline=True, min_length=1, max_length=4000, help="What readers should know")],
    severity: Annotated[
        str,
        Param(choices={"information": "Information", "maintenance": "Planned maintenance", "outage": "Outage"}),
    ] = "information",
    audience: Literal["everybody", "customers", "staff"] = "everybody",
    starts_on: Annotated[date | None, Param(help="First day; default: today")] = None,
    days: Annotated[int, Param(ge=1, le=90, help="How many days it is shown")] = 7,
    pinned: Annotated[bool, Param(help="Stays on top of the list")] = False,
    signing_key: Annotated[str, Param(secret=True, help="Signs the notice, so that readers can trust it")] = "",
    attachment: Annotated[File | None, Param(max_bytes=2_000_000, help="Goes along with it")] = None,
) -> dict[str, Any]:
    """Writes a notice as JSON into the folder `notices` of the project's bucket, signed when there is a key."""
    from chalicelib.processors.paths import files_root
    from chalicelib.processors.upload import Upload

    first = starts_on or date.today()
    notice: dict[str, Any] = {
        "title": title,
        "text": text,
        "severity": severity,
        "audience": audience,
        "from": first.isoformat(),
        "until": (first + timedelta(days=days)).isoformat(),
        "pinned": pinned,
        "attachment": attachment.name if attachment else None,
    }
    body = json.dumps(notice, ensure_ascii=False, sort_keys=True, indent=1).encode()
    if signing_key:
        notice["signature"] = hmac.new(signing_key.encode(), body, hashlib.sha256).hexdigest()
    print(f"\x1b[1;{_COLOURS[severity]}m{title}\x1b[0m ({notice['from']} to {notice['until']}, {audience})")
    for line in text.splitlines():
        print(f"  {line}")
    folder = run.workspace / "notice"
    folder.mkdir(exist_ok=True)
    (folder / "notice.json").write_text(json.dumps(notice, ensure_ascii=False, indent=1), encoding="utf-8")
    if attachment:
        name = Path(attachment.name).name
        if name == "notice.json":
            raise StepError("the attachment cannot be called notice.json: that is the notice itself")
        (folder / name).write_bytes(attachment.read_bytes())
    stored = Upload(source=str(folder), destination=f"{files_root(run)}/notices/{run.id}/")(run)
    return {"notice": notice, "path": stored["path"], "files": stored["files"]}
