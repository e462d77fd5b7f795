"""TLS contexts, for both sides (RFC 7858, RFC 9103): TLS 1.3 alone, ALPN `dot`, no resumption; and the files for them.

As a server: a certificate that is replaced is used from the next connection on. One that cannot be used is never taken
in the place of one that can; it is logged, with the file and the reason.

As a client: `client_context` for the connection, with `server_hostname=settings.name`, and when it stands,
`check_peer`, which says what the library does not check.
"""

import base64
import hashlib
import ssl
import time
from collections.abc import Callable
from typing import Any

from authdns.config import TlsClient, TlsSettings
from authdns.server.files import Signature, read_regular, signature
from authdns.server.log import log

ALPN = "dot"
LOOK_SECONDS = 1.0  # new connections cause no more looks at the files than that

_SEQUENCE = 0x30
_VERSION = 0xA0  # [0], where it is not the first (RFC 5280 §4.1)
_BEFORE_PUBLIC_KEY = 5  # serial number, signature, issuer, validity, subject


class BadCertificate(Exception):
    """The files cannot be used; which one and why."""


class Certificates:
    """The context for new connections, made again when a file has changed. Raises BadCertificate at first."""

    def __init__(self, settings: TlsSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._files = [
            file
            for file in (settings.certificate, settings.private_key, settings.client_certificates)
            if file is not None
        ]
        self._signatures = self._sign()
        self._looked_at = clock()
        self._context = server_context(settings)

    def context(self) -> ssl.SSLContext:
        """For a connection that begins now."""
        if self._clock() - self._looked_at >= LOOK_SECONDS:
            self.look()
        return self._context

    def look(self, *, force: bool = False) -> None:
        """Reads the files again if one of them is another, or with `force`. What cannot be used is not taken."""
        self._looked_at = self._clock()
        signatures = self._sign()
        if signatures == self._signatures and not force:
            return
        self._signatures = signatures
        try:
            self._context = server_context(self._settings)
        except BadCertificate as error:
            log.error("%s; the certificate that was read before stays in use", error)
        else:
            log.info("tls: the certificate was read again: %s", self._settings.certificate)

    def _sign(self) -> list[Signature]:
        return [signature(file) for file in self._files]


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Raises BadCertificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.num_tickets = 0  # no resumption, so no 0-RTT and no keys for it
    context.options |= ssl.OP_NO_TICKET
    _load_own(context, "tls.", settings.certificate, settings.private_key)
    if settings.client_certificates is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        _load_trusted(context, "tls.client-certificates", settings.client_certificates)
    return context


def client_context(settings: TlsClient) -> ssl.SSLContext:
    """For connections to a primary. Raises BadCertificate. Connect with `server_hostname=settings.name` where there is
    one, and believe nothing before `check_peer` has no objection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.hostname_checks_common_name = False
    if settings.name is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca is not None:
        _load_trusted(context, "ca", settings.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.certificate is not None and settings.private_key is not None:
        _load_own(context, "", settings.certificate, settings.private_key)
    return context


class ClientContexts:
    """The context for each way in which primaries are asked, made again when one of its files has changed."""

    def __init__(self) -> None:
        self._made: dict[TlsClient, tuple[list[Signature], ssl.SSLContext]] = {}

    def context(self, settings: TlsClient) -> ssl.SSLContext:
        """For a connection that begins now. Raises BadCertificate."""
        files = (settings.ca, settings.certificate, settings.private_key)
        signatures = [signature(file) for file in files if file is not None]
        made = self._made.get(settings)
        if made is None or made[0] != signatures:
            made = self._made[settings] = signatures, client_context(settings)
        return made[1]


def check_peer(connection: ssl.SSLObject | ssl.SSLSocket, settings: TlsClient) -> str | None:
    """Why the other side of a finished handshake is not to be believed, None if it is."""
    selected = connection.selected_alpn_protocol()
    if selected != ALPN and (settings.require_alpn or selected is not None):
        found = "none (`require-alpn: false` lets it)" if selected is None else f"`{selected}`"
        return f"expected the ALPN token `{ALPN}` (RFC 9103 section 7.1), it selected {found}"
    if settings.pins:
        certificate = connection.getpeercert(binary_form=True)
        pin = b"" if certificate is None else pin_of(certificate)
        if pin not in settings.pins:
            expected = " or ".join(base64.b64encode(each).decode() for each in settings.pins)
            return f"expected a public key with the pin {expected}, found {base64.b64encode(pin).decode() or 'none'}"
    return None


def pin_of(certificate: bytes) -> bytes:
    """The SHA-256 of the public key (SPKI) of a certificate in DER; b"" if it is no certificate."""
    outer = _element(certificate, 0)
    inner = None if outer is None or certificate[:1] != bytes((_SEQUENCE,)) else _element(certificate, outer[0])
    if inner is None:
        return b""
    position, end = inner
    if certificate[position : position + 1] == bytes((_VERSION,)):
        version = _element(certificate, position)
        position = end if version is None else version[1]
    for _ in range(_BEFORE_PUBLIC_KEY):
        skipped = _element(certificate, position)
        position = end if skipped is None else skipped[1]
    key = _element(certificate, position)
    if key is None or position >= end or certificate[position] != _SEQUENCE:
        return b""
    return hashlib.sha256(certificate[position : key[1]]).digest()


def _element(der: bytes, position: int) -> tuple[int, int] | None:
    """Where the content of the element at `position` begins and ends; None if it is not all there."""
    head = der[position : position + 6]
    if len(head) < 2:
        return None
    length, start = head[1], position + 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4:
            return None
        length = int.from_bytes(head[2 : 2 + octets], "big")
        start += octets
    return (start, start + length) if start + length <= len(der) else None


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3  # RFC 9103 §7.2
    context.set_alpn_protocols([ALPN])


def _load_own(context: ssl.SSLContext, place: str, certificate: str, private_key: str) -> None:
    if b"-----BEGIN CERTIFICATE-----" not in _read(f"{place}certificate", certificate):
        raise BadCertificate(f"{place}certificate: {certificate}: expected a certificate in PEM, found none")
    if b"PRIVATE KEY-----" not in _read(f"{place}private-key", private_key):
        raise BadCertificate(f"{place}private-key: {private_key}: expected a private key in PEM, found none")
    try:
        context.load_cert_chain(certificate, private_key, _no_password)
    except _Encrypted:
        reason = "expected a private key without a password, found one with"
        raise BadCertificate(f"{place}private-key: {private_key}: {reason}") from None
    except (ssl.SSLError, OSError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            reason = f"it is not the key of the certificate in {certificate}"
            raise BadCertificate(f"{place}private-key: {private_key}: {reason}") from error
        files = f"{certificate} with {private_key}"
        raise BadCertificate(f"{place}certificate: {files}: cannot be used: {reason_of(error)}") from error


def _load_trusted(context: ssl.SSLContext, place: str, file: str) -> None:
    _read(place, file)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate in the file needs no CA that is there as well
    try:
        context.load_verify_locations(file)
    except (ssl.SSLError, OSError) as error:
        message = "expected certificates in PEM, found none that can be used"
        raise BadCertificate(f"{place}: {file}: {message}: {reason_of(error)}") from error


def _read(place: str, file: str) -> bytes:
    """Before the library does: it would wait for a FIFO, and does not say which file it could not read."""
    try:
        return read_regular(file)
    except OSError as error:
        raise BadCertificate(f"{place}: cannot read {file}: {error.strerror or error}") from error


class _Encrypted(Exception):
    pass


def _no_password() -> str:
    """The library would ask the terminal."""
    raise _Encrypted


def reason_of(error: Exception) -> str:
    """In words, as far as OpenSSL has any."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate cannot be verified: {error.verify_message}"
    reason: Any = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else getattr(error, "strerror", None) or str(error)
