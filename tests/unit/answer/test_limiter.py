"""Response-rate limiting: rate, burst, prefixes, slip; and that the engine decides as Python does."""

from __future__ import annotations

import random
from collections.abc import Iterable
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.answer.cookies import Cookies
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.limiter import MAX_KEPT_HOSTS, MAX_PER_SECOND, Limited, Limiter, RateLimit
from authdns.answer.respond import Responder
from authdns.wire.address import address_octets
from authdns.wire.types import Flag, Type
from authdns.zone.zone import RRset
from tests.unit.answer.packets import APEX, WWW, below_apex, header, opt, option, query, question, seen, tsig
from tests.unit.answer.zones import zone_from_text

SECOND = 1_000_000_000
NOW = 1_795_000_000 * SECOND
HOST = "192.0.2.1"
ZONE = zone_from_text("www.example.com. 60 A 192.0.2.1")


def allowed(limiter: Limiter, hosts: Iterable[str], now: int = NOW) -> int:
    return sum(not limiter.is_over(host, now) for host in hosts)


def test_a_burst_and_then_the_rate() -> None:
    limiter = Limiter(RateLimit())
    assert allowed(limiter, [HOST] * 200) == 125
    assert allowed(limiter, [HOST] * 200, NOW + SECOND) == 50
    assert allowed(limiter, [HOST] * 200, NOW + SECOND + SECOND // 2) == 25
    assert allowed(limiter, [HOST] * 200, NOW + 60 * SECOND) == 125


def test_at_the_rate_nobody_is_ever_limited() -> None:
    limiter = Limiter(RateLimit(burst=1))
    assert all(not limiter.is_over(HOST, NOW + i * SECOND // 50) for i in range(1000))


@pytest.mark.parametrize(
    ("network", "times"),
    [
        ("198.51.100.0/24", 32),
        ("198.51.96.0/20", 256),
        ("198.51.64.0/18", 768),
        ("2001:db8::/64", 2),
        ("2001:db8::/56", 3),
        ("2001:db8::/48", 4),
        ("2001:db8::/32", 64),
    ],
)
def test_wide_prefixes_have_more(network: str, times: int) -> None:
    """Each query from another address: only the network's own limit is met."""
    chosen = random.Random(1)
    parsed = ip_network(network)
    longer = {24: 32, 20: 24, 18: 20, 64: 128, 56: 64, 48: 56, 32: 48}[parsed.prefixlen]
    subnets = 1 << (longer - parsed.prefixlen)
    step = 1 << (parsed.max_prefixlen - longer)
    hosts = [str(parsed[chosen.randrange(subnets) * step]) for _ in range(times * 125 * 3 // 2)]
    limiter = Limiter(RateLimit())
    found = allowed(limiter, hosts)
    if subnets >= 4 * times:
        assert found in (times * 125, times * 125 + 1)  # an interval of whole units is a little short
    else:
        assert found <= times * 125 + 1


def test_what_is_limited_is_charged_to_nobody() -> None:
    limiter = Limiter(RateLimit(burst=1))
    assert allowed(limiter, [HOST] * 1000) == 1
    assert allowed(limiter, [f"192.0.2.{i}" for i in range(2, 100)]) == 31


def test_neighbours_are_not_limited_with_it() -> None:
    limiter = Limiter(RateLimit())
    allowed(limiter, [HOST] * 1000)
    assert not limiter.is_over("192.0.2.2", NOW)
    assert not limiter.is_over("2001:db8::1", NOW)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "198.51.100.7"])
def test_exempt_networks(host: str) -> None:
    exempt = tuple(map(ip_network, ("127.0.0.0/8", "::1", "198.51.100.0/25", "198.51.100.0/24")))
    limiter = Limiter(RateLimit(burst=1, exempt=exempt))
    assert allowed(limiter, [host] * 100) == 100
    assert allowed(limiter, ["126.255.255.255", "128.0.0.0", "::2", "198.51.101.0"] * 2) == 4


def test_a_clock_that_is_set_back_limits_nobody() -> None:
    limiter = Limiter(RateLimit())
    allowed(limiter, [HOST] * 200)
    assert allowed(limiter, [HOST] * 200, NOW - 3600 * SECOND) == 125


@pytest.mark.parametrize(
    ("slip", "expected"),
    [
        (0, [Limited.DROPPED] * 4),
        (1, [Limited.TRUNCATED] * 4),
        (2, [Limited.DROPPED, Limited.TRUNCATED] * 2),
        (3, [Limited.DROPPED, Limited.DROPPED, Limited.TRUNCATED, Limited.DROPPED]),
    ],
)
def test_slip(slip: int, expected: list[Limited]) -> None:
    limiter = Limiter(RateLimit(slip=slip))
    assert [limiter.limited(HOST) for _ in range(4)] == expected
    assert sum(limiter.counts.values()) == 4
    assert limiter.last_limited == HOST


def test_memory_is_bounded() -> None:
    limiter = Limiter(RateLimit())
    for number in range(2 * MAX_KEPT_HOSTS + 100):
        limiter.is_over(f"2001:db8:{number & 0xFFFF:x}::{number >> 16:x}", NOW)
        assert len(limiter._hosts) <= MAX_KEPT_HOSTS
    assert len(limiter._young) <= 5 * MAX_KEPT_HOSTS
    assert len(limiter._old) <= 5 * MAX_KEPT_HOSTS


def test_who_is_limited_stays_so_while_many_others_come() -> None:
    limiter = Limiter(RateLimit())
    allowed(limiter, [HOST] * 200)
    for number in range(3 * MAX_KEPT_HOSTS):
        limiter.is_over(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", NOW)
        if number % 1000 == 0:
            assert limiter.is_over(HOST, NOW)


@pytest.mark.parametrize("rate", [1, 3, 50, 999, MAX_PER_SECOND])
def test_intervals_are_exact_enough(rate: int) -> None:
    limit = RateLimit(per_second=rate, burst=rate)
    for version, times in ((4, (1, 32, 256, 768)), (6, (1, 2, 3, 4, 64))):
        for (_, interval), each in zip(limit.prefixes(version), times, strict=True):
            assert 1.0 <= limit.window / interval / (rate * each) < 1.03
    assert limit.window < 1 << 47


def test_many_at_once_are_charged_up_to_the_window() -> None:
    limiter = Limiter(RateLimit())
    limiter.charge(HOST, NOW, 100)
    assert allowed(limiter, [HOST] * 200) == 25
    limiter.charge(HOST, NOW, 10_000)
    assert allowed(limiter, [HOST] * 200, NOW + SECOND) == 50
    limiter.charge(HOST, NOW - 3600 * SECOND, 100)  # the clock was set back
    assert allowed(limiter, [HOST] * 200, NOW - 3600 * SECOND) == 25


# What becomes of a query that is limited


def responder(limit: RateLimit, secrets: list[bytes] | None = None, *, tcp: bool = False) -> Responder:
    table = ZoneTable()
    table.publish(ZONE.apex, ServedZone(ZONE))
    limiter = None if tcp else Limiter(limit)
    return Responder(table, tcp=tcp, cookies=Cookies(secrets) if secrets else None, limiter=limiter)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (query(), "NOERROR tc question 0/0/0"),
        (query(flags=Flag.RD | Flag.CD, edns=opt(flags=0x8000)), "NOERROR tc rd cd question 0/0/0 opt0:1232 do"),
        (query(below_apex(255)), "NOERROR tc question 0/0/0"),
        (query(edns=opt(options=option(65001))), "NOERROR tc question 0/0/0 opt0:1232"),
        (query(b"\3org\0"), "REFUSED question 0/0/0"),
        (query(b"\3org\0", edns=opt(options=option(65001))), "REFUSED question 0/0/0 opt0:1232"),
        (query(edns=opt(version=1)), "BADVERS question 0/0/0 opt0:1232"),
        (query() + b"\0", "FORMERR question 0/0/0"),
        (query(qtype=Type.MAILB), "NOTIMP question 0/0/0"),
        (query(APEX, Type.AXFR), "NOERROR tc question 0/0/0"),
        (query(b"\7version\4bind\0", Type.TXT, 3), "REFUSED question 0/0/0"),
        (query(edns=tsig()), "NOTAUTH question 0/0/0 tsig:BADKEY"),
        (header(opcode=5) + question(APEX, Type.SOA), "NOTIMP question 0/0/0"),
    ],
)
def test_a_limited_query_gets_tc_or_its_error_or_nothing(packet: bytes, expected: str) -> None:
    for slip, wanted in ((1, expected), (0, "no response")):
        to = responder(RateLimit(burst=1, slip=slip))
        to.respond(query(), HOST, NOW)
        for _ in range(2):
            response = to.respond(packet, HOST, NOW)
            assert response is None or isinstance(response, bytes)
            assert seen(packet, response) == wanted


def test_log_only_answers_all_the_same() -> None:
    to = responder(RateLimit(burst=1, log_only=True))
    first = to.respond(query(), HOST, NOW)
    assert [to.respond(query(), HOST, NOW) for _ in range(9)] == [first] * 9
    assert to._limiter is not None
    assert to._limiter.counts == {Limited.TRUNCATED: 0, Limited.DROPPED: 0, Limited.LOGGED: 9}


def test_a_valid_cookie_is_not_limited_and_others_are() -> None:
    secret = bytes(16)
    made, _ = Cookies([secret]).answer(bytes(8), HOST, NOW // SECOND)
    for flags in (0, 0x0040):  # by the short way, by the long way
        for content, limited in ((made, False), (bytes(8), True), (made[:-1] + b"\xff", True)):
            to = responder(RateLimit(burst=1), [secret])
            to.respond(query(), HOST, NOW)
            response = to.respond(query(flags=flags, edns=opt(options=option(10, content))), HOST, NOW)
            assert isinstance(response, bytes)
            assert bool(response[2] & 2) == limited
            assert response.endswith(made), "also who is limited learns its cookie"


# The engine

SOURCES = st.sampled_from(
    [
        *("192.0.2.1", "192.0.2.2", "192.0.3.1", "192.0.130.1", "127.0.0.1", "::1"),
        *("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:0:100::1", "2001:db8:1::1", "2001:db9::1"),
    ]
)
STEPS = st.one_of(st.integers(0, 40_000_000), st.integers(0, 5 * SECOND), st.integers(-5 * SECOND, 0), st.just(0))
LIMITS = st.builds(
    RateLimit,
    per_second=st.sampled_from([1, 7, 50, MAX_PER_SECOND]),
    burst=st.sampled_from([1, 2, 5]),
    slip=st.integers(0, 3),
    log_only=st.booleans(),
    exempt=st.sampled_from([(), (ip_network("127.0.0.0/8"), ip_network("::1"))]),
)


@settings(max_examples=300, deadline=None)
@given(LIMITS, st.lists(st.tuples(SOURCES, STEPS, st.integers(1, 5)), max_size=60))
def test_the_engine_decides_as_python_does(limit: RateLimit, queries: list[tuple[str, int, int]]) -> None:
    native = pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
    from authdns.answer.image import write_image
    from authdns.server.engine import limiter_arguments

    engine = native.Engine(1)
    engine.publish(ZONE.apex, native.Image(write_image(ZONE), 1, RRset))
    engine.use_limiter(1, *limiter_arguments(limit))
    python = responder(limit)
    packets = [query(), query(b"\3org\0"), query(WWW, flags=0x0040)]
    now = NOW
    number = 0
    for host, step, times in queries:
        now += step
        for _ in range(times):
            packet = packets[number % 3]
            number += 1
            expected = python.respond(packet, host, now)
            got = engine.respond(packet, address=address_octets(host), now=now)
            assert (None if got == native.DROPPED else got) == expected
    assert python._limiter is not None
    assert engine.counts()["limited"] == tuple(python._limiter.counts.values())
