"""Cookies: the vectors of RFC 9018, ages, secrets, lengths; in Python and in the engine alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.answer.cookies import MAX_KEPT_HASHES, Cookies, CookieState, siphash24
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.respond import NANOSECONDS, Responder
from authdns.wire.address import address_octets
from authdns.zone.zone import RRset
from tests.unit.answer.packets import APEX, WWW, header, opt, option, query
from tests.unit.answer.zones import zone_from_text

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
OLD_SECRET = bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715")
NEW_SECRET = bytes.fromhex("445536bcd2513298075a5d379663c962")
CLIENT = bytes.fromhex("2464c4abcf10c957")
HOST = "198.51.100.100"
MADE_AT = 1559731985
MADE = bytes.fromhex("2464c4abcf10c957010000005cf79f111f8130c3eee29480")

Ask = Callable[[bytes, str, int], tuple[bytes, int]]


def found_option(response: bytes) -> bytes:
    """What COOKIE in a response holds; it is the last thing."""
    at = response.rfind(b"\0\x0a\0\x18")
    return response[at + 4 :] if at >= 0 and at + 28 == len(response) else b""


def rcode_of(response: bytes) -> int:
    """With the upper bits, if there is an OPT."""
    at = response.find(b"\0\0\x29\x04\xd0", 12)
    return response[3] & 15 | (response[at + 5] << 4 if at >= 0 else 0)


@pytest.fixture(params=["python", "engine"])
def asking(request: pytest.FixtureRequest) -> Callable[..., Ask]:
    """asking(secrets): a function from (the option's content, client, seconds) to (COOKIE answered, rcode)."""
    zone = zone_from_text("www.example.com. 60 A 192.0.2.1")

    def with_secrets(*secrets: bytes) -> Ask:
        table = ZoneTable()
        table.publish(zone.apex, ServedZone(zone))
        python = Responder(table, tcp=False, cookies=Cookies(secrets) if secrets else None)
        if request.param == "python":

            def ask(content: bytes, host: str, now: int) -> tuple[bytes, int]:
                packet = query(WWW, edns=opt(options=option(10, content)))
                for _ in range(2):  # the second time by the short way, if there is one for it
                    response = python.respond(packet, host, now * NANOSECONDS)
                assert isinstance(response, bytes)
                return found_option(response), rcode_of(response)

            return ask
        native = pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
        from authdns.answer.image import write_image

        engine = native.Engine(1)
        engine.publish(zone.apex, native.Image(write_image(zone), 1, RRset))
        engine.use_secrets(list(secrets) or None)

        def ask_engine(content: bytes, host: str, now: int) -> tuple[bytes, int]:
            packet = query(WWW, edns=opt(options=option(10, content)))
            address = address_octets(host)
            response = engine.respond(packet, address=address, now=now * NANOSECONDS)
            assert response == python.respond(packet, host, now * NANOSECONDS)
            return found_option(response), rcode_of(response)

        return ask_engine

    return with_secrets


@pytest.mark.parametrize(
    ("octets", "expected"),
    # From the reference implementation's vectors: key 00..0f, input 00.. of so many octets.
    [(0, 0x726FDB47DD0E0E31), (7, 0xAB0200F58B01D137), (8, 0x93F5F5799A932462), (15, 0xA129CA6149BE45E5)],
)
def test_siphash(octets: int, expected: int) -> None:
    assert siphash24(bytes(range(16)), bytes(range(octets))) == expected


@pytest.mark.parametrize(
    ("asked", "host", "made_at", "expected", "secrets"),
    [  # RFC 9018 appendix A.1 to A.4; the cookies that are made there carry the second, ours the minute.
        (CLIENT, HOST, MADE_AT, "010000005cf79f111f8130c3eee29480", [SECRET]),
        (MADE, HOST, 1559734385, "010000005cf7a871d4a564a1442aca77", [SECRET]),
        (
            bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"),
            "203.0.113.203",
            1559734700,
            "010000005cf7a9acf73a7810aca2381e",
            [SECRET],
        ),
        (
            bytes.fromhex("22681ab97d52c298010000005cf7c57926556bd0934c72f8"),
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            1559741961,
            "010000005cf7c609a6bb79d16625507a",
            [NEW_SECRET, OLD_SECRET],
        ),
    ],
    ids=["A.1", "A.2", "A.3", "A.4"],
)
def test_the_vectors(
    asking: Callable[..., Ask],
    asked: bytes,
    host: str,
    made_at: int,
    expected: str,
    secrets: list[bytes],
) -> None:
    cookie = asked[:8] + bytes.fromhex(expected)
    ask = asking(*secrets)
    assert ask(cookie, host, made_at) == (cookie, 0)  # it is one that we would have made, so it comes back
    renewed, _ = ask(asked, host, made_at)
    assert renewed[:12] == asked[:8] + b"\1\0\0\0"
    if asked == bytes.fromhex("22681ab97d52c298010000005cf7c57926556bd0934c72f8"):
        assert renewed == asked  # ten minutes old, by a secret that is still valid
    else:
        assert int.from_bytes(renewed[12:16], "big") == made_at - made_at % 60
    assert ask(renewed, host, made_at + 60) == (renewed, 0)


def test_the_reserved_octets_are_hashed_as_they_came() -> None:
    asked = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    assert Cookies([SECRET]).answer(asked, "203.0.113.203", 1559727985) == (asked, CookieState.VALID)


@pytest.mark.parametrize(
    ("age", "comes_back", "state"),
    [
        (0, True, CookieState.VALID),
        (1800, True, CookieState.VALID),
        (1801, False, CookieState.VALID),
        (3600, False, CookieState.VALID),
        (3601, False, CookieState.INVALID),
        (-300, True, CookieState.VALID),
        (-301, False, CookieState.INVALID),
        (1 << 31, False, CookieState.INVALID),
    ],
)
def test_ages(asking: Callable[..., Ask], age: int, comes_back: bool, state: CookieState) -> None:
    assert Cookies([SECRET]).answer(MADE, HOST, MADE_AT + age)[1] is state
    found, rcode = asking(SECRET)(MADE, HOST, MADE_AT + age)
    assert rcode == 0
    assert (found == MADE) == comes_back
    assert found[:8] == CLIENT


def test_the_clock_goes_round_in_2106(asking: Callable[..., Ask]) -> None:
    ask = asking(SECRET)
    made, _ = ask(CLIENT, HOST, (1 << 32) - 30)
    assert ask(made, HOST, (1 << 32) + 30) == (made, 0)


@pytest.mark.parametrize("at", range(24))
def test_whatever_is_changed_it_is_not_valid(at: int) -> None:
    changed = bytearray(MADE)
    changed[at] ^= 1
    assert Cookies([SECRET]).answer(bytes(changed), HOST, MADE_AT)[1] is CookieState.INVALID


def test_it_is_valid_for_one_address_only() -> None:
    cookies = Cookies([SECRET])
    assert cookies.answer(MADE, "198.51.100.101", MADE_AT)[1] is CookieState.INVALID
    assert cookies.answer(MADE, f"::ffff:{HOST}", MADE_AT)[1] is CookieState.VALID


def test_secrets_are_rolled_over(asking: Callable[..., Ask]) -> None:
    before, _ = asking(OLD_SECRET)(CLIENT, HOST, MADE_AT)
    staged = asking(OLD_SECRET, NEW_SECRET)
    assert staged(CLIENT, HOST, MADE_AT) == (before, 0)
    after, _ = asking(NEW_SECRET)(CLIENT, HOST, MADE_AT)
    assert staged(after, HOST, MADE_AT) == (after, 0)
    assert asking(NEW_SECRET, OLD_SECRET)(before, HOST, MADE_AT) == (before, 0)
    assert asking(NEW_SECRET)(before, HOST, MADE_AT) == (after, 0)


@pytest.mark.parametrize("octets", range(45))
def test_lengths(asking: Callable[..., Ask], octets: int) -> None:
    """RFC 7873 §5.2.2: a length that cannot be is FORMERR, without COOKIE; and so it is without cookies at all."""
    found, rcode = asking(SECRET)(bytes(range(octets)), HOST, MADE_AT)
    if octets == 8 or 16 <= octets <= 40:
        assert (len(found), rcode) == (24, 0)
    else:
        assert (found, rcode) == (b"", 1)
    assert asking()(bytes(range(octets)), HOST, MADE_AT)[1] == 0


def responder() -> Responder:
    zone = zone_from_text("www.example.com. 60 A 192.0.2.1")
    table = ZoneTable()
    table.publish(zone.apex, ServedZone(zone))
    return Responder(table, tcp=False, cookies=Cookies([SECRET]))


@pytest.mark.parametrize(
    ("content", "rcode", "cookie"),
    [(CLIENT, 0, True), (MADE, 0, True), (CLIENT + bytes(16), 23, True), (bytes(7), 1, False), (None, 1, False)],
)
def test_without_a_question_only_a_cookie_is_asked_for(content: bytes | None, rcode: int, cookie: bool) -> None:
    """RFC 7873 §5.4."""
    edns = opt(options=b"" if content is None else option(10, content))
    response = responder().respond(header(counts=(0, 0, 0, 1)) + edns, HOST, MADE_AT * NANOSECONDS)
    assert isinstance(response, bytes)
    assert response[4:12] == bytes(7) + b"\1"
    assert (rcode_of(response), bool(found_option(response))) == (rcode, cookie)


@pytest.mark.parametrize(
    ("packet", "cookie"),
    [
        (query(b"\3org\0", edns=opt(options=option(10, CLIENT))), True),  # REFUSED
        (query(qtype=253, edns=opt(options=option(10, CLIENT))), True),  # NOTIMP
        (query(edns=opt(options=option(10, CLIENT))) + b"\0", True),  # FORMERR
        (query(edns=opt(options=option(3) + option(10, CLIENT))), True),
        (query(edns=opt(options=option(10, CLIENT) + option(10, bytes(3)))), True),  # the first counts
        (query(edns=opt(options=option(10, bytes(3)) + option(10, CLIENT))), False),
        (query(edns=opt(version=1, options=option(10, CLIENT))), False),
        (query(APEX, 6), False),
    ],
)
def test_errors_carry_it_as_well(packet: bytes, cookie: bool) -> None:
    response = responder().respond(packet, HOST, MADE_AT * NANOSECONDS)
    assert isinstance(response, bytes)
    assert bool(found_option(response)) == cookie


def test_the_short_way_and_the_long_way_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (CLIENT, MADE):
        to = responder()
        packet = query(edns=opt(options=option(10, content)))
        long = to.respond(packet, HOST, MADE_AT * NANOSECONDS)
        monkeypatch.setattr(to, "_unusual", None)
        assert to.respond(packet, HOST, MADE_AT * NANOSECONDS) == long
        other = query(edns=opt(options=option(10, bytes(8) + content[8:])))
        response = to.respond(other, "2001:db8::1", MADE_AT * NANOSECONDS)
        assert isinstance(response, bytes)
        assert found_option(response)[:8] == bytes(8)


@given(st.binary(min_size=8, max_size=40), st.integers(0, 1 << 33), st.sampled_from([HOST, "2001:db8::1"]))
def test_what_is_made_is_valid(asked: bytes, now: int, host: str) -> None:
    cookies = Cookies([SECRET])
    made, state = cookies.answer(asked, host, now)
    if state is CookieState.MALFORMED:
        assert not made
    else:
        assert cookies.answer(made, host, now)[1] is CookieState.VALID


def test_memory_is_bounded() -> None:
    cookies = Cookies([SECRET])
    for number in range(2 * MAX_KEPT_HASHES + 100):
        cookies._hash(SECRET, number.to_bytes(16, "big"), HOST)
    assert len(cookies._young) + len(cookies._old) <= 2 * MAX_KEPT_HASHES


def test_answers_are_counted() -> None:
    cookies = Cookies([SECRET])
    for asked in (CLIENT, MADE, MADE, CLIENT + bytes(16), bytes(3)):
        cookies.answer(asked, HOST, MADE_AT)
    assert cookies.counts == {CookieState.VALID: 2, CookieState.NEW: 1, CookieState.INVALID: 1}


@pytest.mark.parametrize("secrets", [[], [bytes(15)], [bytes(16)] * 5])
def test_no_such_secrets(secrets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="secrets"):
        Cookies(secrets)
