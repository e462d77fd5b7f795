"""Cookies of BIND are good for us, and ours for BIND, where both have the same secret (RFC 9018 section 1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.interop.conftest import CONTROL_RUN
from tests.interop.raw import Udp
from tests.peers import Authdns, Bind, NameServer, Zone, dig, requires
from tests.unit.answer.packets import ZONE, opt, option, query

pytestmark = [
    requires("bind", "dig"),
    pytest.mark.skipif(CONTROL_RUN, reason="the control run has peers in the place of authdns"),
]

SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"
CLIENT_COOKIE = b"12345678"
BADCOOKIE = 7  # the lower four bits


class BindWithCookies(Bind):
    """Over UDP it answers nobody without a valid server cookie."""

    def write_configuration(self) -> None:
        super().write_configuration()
        path = self.folder / "named.conf"
        more = f'cookie-algorithm siphash24; cookie-secret "{SECRET}"; require-server-cookie yes;'
        path.write_text(path.read_text().replace("options {", f"options {{ {more}", 1))


class Both(NamedTuple):
    ours: NameServer
    bind: NameServer


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("cookies")
    (folder / "zone").write_text(ZONE)
    (folder / "secrets").write_text(SECRET)
    zones = [Zone("example.com", folder / "zone")]
    more = {"cookies": {"secret-file": str(folder / "secrets")}}
    with ExitStack() as stack:
        ours = stack.enter_context(Authdns(folder / "authdns", zones, more=more))
        ours.wait_for_log("serving [0-9]+ ")
        yield Both(ours, stack.enter_context(BindWithCookies(folder / "bind", zones)))


def answer_to(server: NameServer, content: bytes) -> tuple[int, bytes]:
    """(the lower four bits of the rcode, the cookie)."""
    with Udp(server.endpoint) as socket:
        response = socket.ask(query(edns=opt(options=option(10, content))))
    at = response.rfind(b"\0\x0a\0\x18")
    return response[3] & 15, response[at + 4 : at + 28]


def test_a_cookie_of_bind_is_accepted_here(both: Both) -> None:
    _, cookie = answer_to(both.bind, CLIENT_COOKIE)
    assert answer_to(both.ours, cookie) == (0, cookie)  # a valid one comes back as it is
    changed = cookie[:-1] + bytes((cookie[-1] ^ 1,))
    assert answer_to(both.ours, changed)[1] != changed


def test_a_cookie_of_ours_is_accepted_by_bind(both: Both) -> None:
    _, cookie = answer_to(both.ours, CLIENT_COOKIE)
    assert answer_to(both.bind, cookie)[0] == 0
    changed = cookie[:-1] + bytes((cookie[-1] ^ 1,))
    assert answer_to(both.bind, changed)[0] == BADCOOKIE


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_dig_finds_it_good(both: Both, transport: str) -> None:
    found = dig(both.ours.endpoint, "www.example.com", "A", "+edns", "+cookie=2464c4abcf10c957", transport)
    assert "(good)" in found.text
    assert found.answer == ["www.example.com. 300 IN A 192.0.2.80"]
