"""How a primary is asked over TLS, from what is written to settings; and every mistake that would weaken it."""

from __future__ import annotations

import base64
import hashlib

import pytest
from pydantic import TypeAdapter

from authdns.config.document import read_document
from authdns.config.models import FileModel, OptionalTlsClient
from authdns.config.resolve import _Resolver
from authdns.config.settings import TlsClient
from tests.unit.config.examples import ENVIRON, PATH

DIGEST = hashlib.sha256(b"a public key").digest()
PIN = base64.b64encode(DIGEST).decode()


def client(text: str) -> tuple[TlsClient | None, list[str]]:
    """The settings of `tls: TEXT`, and what was reported."""
    document = read_document(f"tls: {text}".encode(), str(PATH))
    node = document.root.find(("tls",))
    model = TypeAdapter(OptionalTlsClient).validate_python(node.plain())
    found = _Resolver(document, FileModel(), PATH, ENVIRON).tls_client(model, node)
    return found, [problem.message for problem in document.problems]


def test_opportunistic() -> None:
    for text in ("on", "{}"):
        found, problems = client(text)
        assert problems == []
        assert found == TlsClient()
        assert not found.strict


def test_off() -> None:
    for text in ("off", "null"):
        assert client(text) == (None, [])


def test_all_of_it() -> None:
    found, problems = client(
        f'{{name: NS1.Example.com., ca: ca.pem, pins: "{PIN}", certificate: /c, private-key: k, require-alpn: no}}'
    )
    assert problems == []
    assert found == TlsClient("ns1.example.com", "/etc/authdns/ca.pem", (DIGEST,), "/c", "/etc/authdns/k", False)
    assert found.strict


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{pins: []}", "expected at least one pin, found an empty list; leave `pins` out for none"),
        ("{pins: [AAAA]}", "expected a SHA-256 of 32 octets in base64, found 3 octets"),
        ('{pins: ["?"]}', "expected a SHA-256 of 32 octets in base64, found `?`"),
        ("{ca: ca.pem}", "`ca` needs `name`: the name that the certificate must be valid for"),
        ("{certificate: c.pem}", "`certificate` needs `private-key`"),
        ("{private-key: k.pem}", "`private-key` needs `certificate`"),
        (
            "{name: 192.0.2.1}",
            "expected a domain name, found `192.0.2.1`; its reverse zone is 1.2.0.192.in-addr.arpa",
        ),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    assert client(text)[1] == [message]
