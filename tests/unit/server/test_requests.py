"""Who has a place among the connections before anything was asked."""

from ipaddress import ip_address, ip_network

import pytest

from authdns.answer.executor import ZoneTable
from authdns.server.counters import Counters
from authdns.server.requests import Requests
from authdns.transfer.policy import Rule


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
