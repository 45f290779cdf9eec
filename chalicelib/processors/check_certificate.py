"""The processor `check_certificate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.bodies import one_file
from chalicelib.processors.paths import Location

_HOST = r"^[A-Za-z0-9._:-]+$"


@processor("check_certificate")
class CheckCertificate(Processor):
    """Fails when a TLS server's certificate expires soon, is for another host, or is not trusted; says which."""

    host: str = Field(pattern=_HOST, description="Name or address of the server", examples=["www.example.com"])
    port: int = Field(443, ge=1, le=65535, description="Its port")
    days_left: int = Field(14, ge=0, description="Fail when it expires in fewer days")
    server_name: str | None = Field(None, pattern=_HOST, description="The name it must be for; default: `host`")
    trusted: Location | None = Field(None, description="PEM file of certificates to trust instead of the system's")
    timeout: Duration = Field(10.0, gt=0, description="How long to wait for the server")

    def describe(self, run: RunHandle) -> str:
        """What it would do, in one sentence."""
        return f"checks that the certificate of {self.host}:{self.port} is trusted and good for {self.days_left} days more"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: host, port, days_left, expires_at (ISO 8601), subject, issuer, names (the hosts it is for)."""
        from chalicelib.processors.certificates import problem_of, shown_by

        name, timeout = self.server_name or self.host, max(0.1, min(self.timeout, run.remaining()))
        trusted = None
        if self.trusted:
            path = one_file(run, self.trusted).path
            if not isinstance(path, Path):
                raise StepError(f"'{self.trusted}' is in S3: fetch it to a local path first")
            trusted = str(path)
        found = shown_by(self.host, self.port, name, timeout)
        run.check_stopped()
        problems = []
        if problem := problem_of(self.host, self.port, name, timeout, trusted, found):
            problems.append(problem)
        if 0 <= found.days_left < self.days_left:
            problems.append(f"it expires in {found.days_left} days, on {found.not_after:%Y-%m-%d}")
        if problems:
            raise StepError(f"the certificate of {self.host}:{self.port} is not good: {'; '.join(problems)}")
        run.log(f"{self.host}:{self.port}: {found.days_left} days left, issued by {found.issuer}")
        return {
            "host": self.host,
            "port": self.port,
            "days_left": found.days_left,
            "expires_at": found.not_after.isoformat().replace("+00:00", "Z"),
            "subject": found.subject,
            "issuer": found.issuer,
            "names": found.names,
        }
