"""What a TLS server shows as its certificate, and what is wrong with it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.errors import StepError, TransientError

# OpenSSL's numbers for why a chain is not trusted.
_NOT_YET, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_ROOT = 9, 10, 18, 19
_NO_ISSUER = {2, 20, 21}
_OTHER_HOST = {62, 63, 64}


@dataclass(frozen=True)
class Certificate:
    """A server's own certificate, as far as people ask for it. `names` are the hosts it is for."""

    subject: str
    issuer: str
    names: list[str]
    not_before: datetime
    not_after: datetime

    @property
    def days_left(self) -> int:
        """Whole days until it expires; below zero once it has."""
        return (self.not_after - datetime.now(UTC)).days


def shown_by(host: str, port: int, name: str, timeout: float) -> Certificate:
    """The certificate that a server shows when asked for `name`, good or bad. TransientError when it does not answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent over this connection: it only looks. Whether to trust is `problem_of`'s question.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with _connected(host, port, timeout) as plain, context.wrap_socket(plain, server_hostname=name) as secured:
            content = secured.getpeercert(binary_form=True)
    except OSError as error:
        raise _silent(host, port, error) from None
    if not content:
        raise TransientError(f"{host}:{port} shows no certificate")
    return _read(content)


def problem_of(host: str, port: int, name: str, timeout: float, trusted: str | None, certificate: Certificate) -> str | None:
    """Why the server is not to be trusted, in words; None when it is."""
    try:
        context = ssl.create_default_context(cafile=trusted)
    except ssl.SSLError as error:
        raise StepError(f"'{trusted}' holds no certificates in PEM form: {error.reason}") from None
    if trusted:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        with _connected(host, port, timeout) as plain, context.wrap_socket(plain, server_hostname=name):
            return None
    except ssl.SSLCertVerificationError as error:
        return _said(error, name, certificate)
    except OSError as error:
        raise _silent(host, port, error) from None


def _said(error: ssl.SSLCertVerificationError, name: str, certificate: Certificate) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return f"it expired on {certificate.not_after:%Y-%m-%d}" if certificate.days_left < 0 else "one of its issuers has expired"
    if code == _NOT_YET:
        return f"it is valid from {certificate.not_before:%Y-%m-%d} on only"
    if code in _OTHER_HOST:
        return f"it is for {', '.join(certificate.names) or 'no host'}, not for {name}"
    if code == _SELF_SIGNED:
        return "it is self-signed: name it in `trusted` if it is yours"
    if code == _SELF_SIGNED_ROOT:
        return f"its chain ends at an authority that nobody knows here, above {certificate.issuer}: name that in `trusted`"
    if code in _NO_ISSUER:
        return f"its issuer {certificate.issuer} is unknown: the server sends an incomplete chain, or `trusted` lacks the authority"
    return error.verify_message


def _connected(host: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((host, port), timeout=timeout)


def _silent(host: str, port: int, error: OSError) -> TransientError:
    if isinstance(error, socket.gaierror):
        why = "its name is unknown"
    elif isinstance(error, TimeoutError):
        why = "it takes too long"
    elif isinstance(error, ssl.SSLError):
        why = f"it does not speak TLS as wanted ({error.reason or type(error).__name__})"
    else:
        why = error.strerror or type(error).__name__
    return TransientError(f"{host}:{port} does not answer: {why}")


def _read(content: bytes) -> Certificate:
    from asn1crypto import x509

    found: Any = x509.Certificate.load(content)
    alternatives: Any = found.subject_alt_name_value
    return Certificate(
        subject=found.subject.human_friendly,
        issuer=found.issuer.human_friendly,
        names=[str(one.native) for one in alternatives or () if one.name in ("dns_name", "ip_address")],
        not_before=found.not_valid_before,
        not_after=found.not_valid_after,
    )
