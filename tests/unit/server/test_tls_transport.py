"""What is taken from a client's certificate, and what of its offers gets into the log."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from authdns.config import TlsClient, TlsSettings
from authdns.server.tls import client_context, server_context
from authdns.server.tls_transport import _listed, _names_of
from tests.peers.certificates import make
from tests.unit.server.test_tls import connect


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("NS2.Example.net",), {"ns2.example.net"}),
        (("a.example", "b.example."), {"a.example", "b.example"}),
        (("*.example.net",), {"*.example.net"}),
        ((), set()),
        (("ns2.example.net\nINFO all is well", "ns2.example.net\0.example.org", "a b"), set()),
    ],
)
def test_the_names_of_a_client(tmp_path: Path, names: tuple[str, ...], found: set[str]) -> None:
    ca = make(tmp_path, "ca", ca=True)
    server = make(tmp_path, "server", issuer=ca)
    client = make(tmp_path, "client", issuer=ca, names=names)
    files = TlsSettings((), str(server.certificate), str(server.private_key), str(ca.certificate))
    how = TlsClient(certificate=str(client.certificate), private_key=str(client.private_key))
    _, theirs = connect(server_context(files), client_context(how), None)
    assert _names_of(theirs) == found


def test_without_a_certificate_there_are_none(tmp_path: Path) -> None:
    server = make(tmp_path, "server")
    files = TlsSettings((), str(server.certificate), str(server.private_key), str(server.certificate))
    _, theirs = connect(server_context(files), client_context(TlsClient()), None)
    assert isinstance(theirs, ssl.SSLObject)
    assert _names_of(theirs) == set()


def test_what_is_offered_is_shown_in_one_short_line() -> None:
    assert _listed((b"h2", b"http/1.1")) == "'h2', 'http/1.1'"
    assert _listed((b"a\nb", b"\xff\x1b[2J")) == r"'a\nb', '\\xff\x1b[2J'"
    assert _listed((b"",) * 9) == "'', '', '', '', ..."
    assert _listed(()) == "nothing"
    assert len(_listed((b"x" * 255,) * 9)) < 120
