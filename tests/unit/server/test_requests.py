"""Who has a place among the connections before anything was asked; what is read for who asks by UDP."""

import logging
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.respond import Responder
from authdns.server.counters import Counters
from authdns.server.log import log
from authdns.server.requests import MAX_HISTORY_OCTETS, MAX_HISTORY_OVER_UDP_OCTETS, Requests
from authdns.transfer.policy import Rule
from authdns.wire.query import parse_query
from authdns.wire.tsig import ALGORITHMS, Key, Signer
from authdns.zone.records import build
from tests.hostile_primary import Copy
from tests.scenario.tools import ixfr_question, parsed, question

KEY = Key(b"\1k\0", ALGORITHMS["hmac-sha256"], b"secret")


@pytest.mark.parametrize(
    ("network", "key", "reserved"),
    [
        ("192.0.2.1/32", None, True),
        ("192.0.2.1/32", b"\1k\0", True),  # whether it signs is known only when it has asked
        ("192.0.2.0/24", b"\1k\0", True),
        ("192.0.2.0/23", b"\1k\0", False),
        ("0.0.0.0/0", None, False),
        (None, b"\1k\0", False),
        ("198.51.100.0/24", None, False),
        ("2001:db8::/56", None, False),
    ],
)
def test_a_place_is_reserved_for_narrow_networks_alone(network: str | None, key: bytes | None, reserved: bool) -> None:
    requests = Requests(ZoneTable(), Counters(), 1232)
    wide = Rule(ip_network("0.0.0.0/0"), "everybody")
    rule = Rule(None if network is None else ip_network(network), "this", key)
    for rules in ((rule,), (rule, wide), (wide, rule)):
        requests.all_rules = lambda rules=rules: rules  # type: ignore[misc]
        assert requests.may_transfer(ip_address("192.0.2.1")) == reserved


def test_by_udp_a_long_history_is_not_read() -> None:
    """Who asks may have forged its address, and each question would hold up the event loop."""
    copy = Copy("example.com")
    table = ZoneTable()
    wanted: list[int | None] = []
    table.publish(copy.apex, ServedZone(build(copy.apex, copy.new)))
    requests = Requests(table, Counters(), 1232)
    requests.rules = {copy.apex: (Rule(ip_network("192.0.2.1/32"), "a secondary"),)}

    def history(apex: bytes, serial: int, until: int, *, most: int | None = None) -> list[bytes]:
        wanted.append(most)
        return []

    requests.history = history
    wire = ixfr_question("example.com", 0)
    query = parse_query(wire)
    answer = requests.over_udp(Responder(table, tcp=False), wire, query, ("192.0.2.1", 53))
    assert len(parsed(answer).answer) == 1
    requests.over_tcp(Responder(table, tcp=True), wire, query, ("192.0.2.1", 53))
    assert wanted == [MAX_HISTORY_OVER_UDP_OCTETS, MAX_HISTORY_OCTETS]


@pytest.mark.parametrize(("key", "logger"), [(None, "authdns.strangers"), (KEY, "authdns")])
def test_an_unsigned_notify_is_logged_as_what_strangers_send(key: Key | None, logger: str) -> None:
    """Whoever forges the address of a primary could fill the log otherwise."""
    names: list[str] = []

    def noted(record: logging.LogRecord) -> bool:
        names.append(record.name)
        return False

    handler = logging.Handler()
    handler.addFilter(noted)
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    table, apex = ZoneTable(), b"\7example\3com\0"
    requests = Requests(table, Counters(), 1232)
    requests.notify_rules = {apex: (Rule(ip_network("192.0.2.1/32"), "a primary"),)}
    try:
        wire = question("example.com", "SOA", flags=0x2400)
        query = replace(parse_query(wire), signer=None if key is None else Signer(key, b"", 0))
        requests.over_udp(Responder(table, tcp=False), wire, query, ("192.0.2.1", 53))
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
    assert names == [logger]
