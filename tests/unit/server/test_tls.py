"""Contexts and certificates: what cannot be used is refused in words, and whom a client believes."""

from __future__ import annotations

import base64
import logging
import os
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from authdns.config import TlsClient, TlsSettings
from authdns.server.log import log
from authdns.server.tls import (
    LOOK_SECONDS,
    BadCertificate,
    Certificates,
    check_peer,
    client_context,
    pin_of,
    server_context,
)
from tests.peers.certificates import Certificate, make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ca(folder: Path) -> Certificate:
    return make(folder, "ca", ca=True)


@pytest.fixture(scope="module")
def server(folder: Path, ca: Certificate) -> Certificate:
    return make(folder, "ns1.example.com", issuer=ca)


@pytest.fixture(scope="module")
def client(folder: Path, ca: Certificate) -> Certificate:
    return make(folder, "ns2.example.net", issuer=ca)


def settings(of: Certificate, trusted: Path | None = None) -> TlsSettings:
    return TlsSettings((), str(of.certificate), str(of.private_key), None if trusted is None else str(trusted))


def changed(settings: TlsSettings, **files: Path) -> TlsSettings:
    for name, file in files.items():
        settings = replace(settings, **{name: str(file)})  # type: ignore[arg-type]
    return settings


def connect(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, name: str | None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a finished handshake: the client's and the server's. Raises what either of them raises."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client_side.wrap_bio(down, up, server_hostname=name)
    theirs = server_side.wrap_bio(up, down, server_side=True)
    open_ends = [ours, theirs]
    for _ in range(10):
        for end in open_ends[:]:
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                pass
        if not open_ends:
            return ours, theirs
    raise AssertionError("the handshake does not end")


def objection(server_side: ssl.SSLContext, how: TlsClient) -> str | None:
    """What the client says of the server; None if it believes it."""
    try:
        ours, _ = connect(server_side, client_context(how), how.name)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    return check_peer(ours, how)


# The server's side.


def test_tls_1_3_and_nothing_to_resume(server: Certificate) -> None:
    context = server_context(settings(server))
    ours, theirs = connect(context, client_context(TlsClient()), None)
    assert (ours.version(), ours.selected_alpn_protocol()) == ("TLSv1.3", "dot")
    assert theirs.session is not None
    with pytest.raises(ssl.SSLWantReadError):
        ours.read(1)
    assert ours.session is None or not ours.session.has_ticket

    old = client_context(TlsClient())
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|VERSION"):
        connect(context, old, None)


def test_what_is_wrong_with_the_files(
    folder: Path, tmp_path: Path, server: Certificate, client: Certificate, ca: Certificate
) -> None:
    good = settings(server)
    nothing = tmp_path / "nothing.pem"
    text = tmp_path / "text.pem"
    text.write_text("no PEM\n")
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        server.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for wrong, message in (
        ({"certificate": nothing}, f"tls.certificate: cannot read {nothing}: No such file or directory"),
        ({"private_key": nothing}, f"tls.private-key: cannot read {nothing}: No such file or directory"),
        (
            {"client_certificates": nothing},
            f"tls.client-certificates: cannot read {nothing}: No such file or directory",
        ),
        ({"certificate": tmp_path}, f"tls.certificate: cannot read {tmp_path}: Is a directory"),
        ({"certificate": fifo}, f"tls.certificate: cannot read {fifo}: not a regular file"),
        ({"certificate": text}, f"tls.certificate: {text}: expected a certificate in PEM, found none"),
        (
            {"certificate": server.private_key, "private_key": server.certificate},
            f"tls.certificate: {server.private_key}: expected a certificate in PEM, found none",
        ),
        (
            {"private_key": server.certificate},
            f"tls.private-key: {server.certificate}: expected a private key in PEM, found none",
        ),
        (
            {"private_key": client.private_key},
            f"tls.private-key: {client.private_key}: it is not the key of the certificate in {server.certificate}",
        ),
        (
            {"private_key": locked},
            f"tls.private-key: {locked}: expected a private key without a password, found one with",
        ),
        ({"certificate": damaged}, f"tls.certificate: {damaged} with {server.private_key}: cannot be used: "),
        (
            {"client_certificates": text},
            f"tls.client-certificates: {text}: expected certificates in PEM, found none that can be used",
        ),
    ):
        with pytest.raises(BadCertificate) as error:
            server_context(changed(good, **wrong))
        assert str(error.value).startswith(message)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_that_may_not_be_read(tmp_path: Path, server: Certificate) -> None:
    secret = tmp_path / "secret.key"
    secret.write_bytes(server.private_key.read_bytes())
    secret.chmod(0)
    with pytest.raises(BadCertificate, match="Permission denied"):
        server_context(replace(settings(server), private_key=str(secret)))


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What is logged."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, before = Lines(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield lines
    log.removeHandler(handler)
    log.setLevel(before)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def served(certificates: Certificates) -> bytes | None:
    """The certificate that a new connection gets."""
    ours, _ = connect(certificates.context(), client_context(TlsClient()), None)
    return ours.getpeercert(binary_form=True)


def test_a_new_certificate_is_taken_and_a_broken_one_is_not(
    tmp_path: Path, server: Certificate, client: Certificate, said: list[str]
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    server.put(certificate, key)
    clock = Clock()
    certificates = Certificates(TlsSettings((), str(certificate), str(key)), clock)
    assert served(certificates) == server.der

    client.put(certificate, key)
    assert served(certificates) == server.der  # it has only just looked
    clock.now += LOOK_SECONDS
    assert served(certificates) == client.der
    assert said == [f"tls: the certificate was read again: {certificate}"]

    stays = "; the certificate that was read before stays in use"
    for broken in ("no PEM", ""):
        said.clear()
        certificate.write_text(broken)
        for _ in range(3):
            clock.now += LOOK_SECONDS
            assert served(certificates) == client.der
        assert said == [f"tls.certificate: {certificate}: expected a certificate in PEM, found none{stays}"]

    said.clear()
    certificate.write_bytes(server.certificate.read_bytes())  # the key is the client's still
    clock.now += LOOK_SECONDS
    assert served(certificates) == client.der
    assert said == [f"tls.private-key: {key}: it is not the key of the certificate in {certificate}{stays}"]
    key.unlink()
    certificates.look(force=True)
    assert served(certificates) == client.der
    server.put(certificate, key)
    certificates.look()
    assert served(certificates) == server.der


def test_without_files_there_are_no_certificates(tmp_path: Path) -> None:
    with pytest.raises(BadCertificate):
        Certificates(TlsSettings((), str(tmp_path / "c"), str(tmp_path / "k")))


# The client's side.


def test_opportunistic_believes_anybody(folder: Path, server: Certificate) -> None:
    alone = make(folder, "alone.example")
    for each in (server, alone):
        assert objection(server_context(settings(each)), TlsClient()) is None


def test_strict_by_name(folder: Path, server: Certificate, ca: Certificate) -> None:
    context = server_context(settings(server))
    strict = TlsClient(name="ns1.example.com", ca=str(ca.certificate))
    assert objection(context, strict) is None
    assert "Hostname mismatch" in (objection(context, replace(strict, name="ns9.example.com")) or "")
    assert objection(context, replace(strict, ca=None)), "no CA of the system has signed it"
    other_ca = make(folder, "other-ca", ca=True)
    assert objection(context, replace(strict, ca=str(other_ca.certificate)))
    expired = make(folder, "expired", issuer=ca, names=("ns1.example.com",), days=-1)
    assert "expired" in (objection(server_context(settings(expired)), strict) or "")
    only_common_name = make(folder, "ns1.example.com ", issuer=ca, names=())
    assert objection(server_context(settings(only_common_name)), strict)
    alone = make(folder, "alone.example.com")
    trusted_itself = TlsClient(name="alone.example.com", ca=str(alone.certificate))
    assert objection(server_context(settings(alone)), trusted_itself) is None


def test_strict_by_pin(server: Certificate, client: Certificate, ca: Certificate) -> None:
    context = server_context(settings(server))
    right, wrong = base64.b64decode(server.pin), base64.b64decode(client.pin)
    assert objection(context, TlsClient(pins=(wrong, right))) is None
    message = f"expected a public key with the pin {client.pin}, found {server.pin}"
    assert objection(context, TlsClient(pins=(wrong,))) == message
    both = TlsClient(name="ns1.example.com", ca=str(ca.certificate), pins=(right,))
    assert objection(context, both) is None
    assert objection(context, replace(both, pins=(wrong,))) == message
    assert "Hostname mismatch" in (objection(context, replace(both, name="ns9.example.com")) or "")


def test_a_server_that_does_not_select_dot(server: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.private_key)
    expected = "expected the ALPN token `dot` (RFC 9103 section 7.1), it selected none (`require-alpn: false` lets it)"
    for how in (TlsClient(), TlsClient(pins=(base64.b64decode(server.pin),))):
        assert objection(context, how) == expected
        assert objection(context, replace(how, require_alpn=False)) is None
    wrong = TlsClient(pins=(bytes(32),), require_alpn=False)
    assert "expected a public key with the pin" in (objection(context, wrong) or "")


def test_a_server_that_knows_no_tls_1_3(server: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.private_key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        objection(context, TlsClient())


def test_mutual(folder: Path, server: Certificate, client: Certificate, ca: Certificate) -> None:
    ours = TlsClient(certificate=str(client.certificate), private_key=str(client.private_key))
    context = server_context(settings(server, ca.certificate))
    _, seen = connect(context, client_context(ours), None)
    assert ("DNS", "ns2.example.net") in dict(seen.getpeercert() or {})["subjectAltName"]
    _, seen = connect(context, client_context(TlsClient()), None)
    assert not seen.getpeercert()
    _, seen = connect(server_context(settings(server)), client_context(ours), None)
    assert not seen.getpeercert(), "nobody vouches for clients"
    stranger = make(folder, "stranger.example")
    theirs = TlsClient(certificate=str(stranger.certificate), private_key=str(stranger.private_key))
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(context, client_context(theirs), None)
    _, seen = connect(server_context(settings(server, stranger.certificate)), client_context(theirs), None)
    assert ("DNS", "stranger.example") in dict(seen.getpeercert() or {})["subjectAltName"]


def test_own_files_that_cannot_be_used(tmp_path: Path, client: Certificate) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(BadCertificate, match=f"^ca: cannot read {missing}"):
        client_context(TlsClient(name="ns1.example.com", ca=missing))
    with pytest.raises(BadCertificate, match=f"^private-key: cannot read {missing}"):
        client_context(TlsClient(certificate=str(client.certificate), private_key=missing))


# Pins.


def test_pins_are_those_of_other_programs(server: Certificate, ca: Certificate) -> None:
    for each in (server, ca):
        assert base64.b64encode(pin_of(each.der)).decode() == each.pin


@given(st.data())
def test_damaged_certificates(server: Certificate, data: st.DataObject) -> None:
    """Cut off anywhere, there is no pin; otherwise damaged, nothing is raised."""
    whole = server.der
    at = data.draw(st.integers(0, len(whole) - 1))
    assert pin_of(whole[:at]) == b""
    changed = whole[:at] + data.draw(st.binary(min_size=1, max_size=3)) + whole[at + 1 :]
    assert len(pin_of(changed)) in (0, 32)
    assert len(pin_of(data.draw(st.binary(max_size=64)))) in (0, 32)
