"""Who may transfer, and what a refusal says."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from authdns.transfer.policy import Rule, decide

OFFICE = Rule(ip_network("192.0.2.0/24"), "addresses.office")
SECONDARY = Rule(ip_network("198.51.100.53/32"), "secondary freedns")
V6 = Rule(ip_network("2001:db8::/32"), "zones[0].allow-transfer")


def test_nothing_is_allowed_without_a_rule() -> None:
    decision = decide((), ip_address("192.0.2.1"))
    assert not decision.allowed
    assert decision.reason == "no rule for IPv4 allows any address to transfer this zone"


def test_the_first_match_wins_and_is_named() -> None:
    decision = decide((OFFICE, SECONDARY), ip_address("192.0.2.7"))
    assert decision.allowed
    assert decision.rule is OFFICE
    assert decision.reason == "allowed by 192.0.2.0/24 (addresses.office)"


def test_a_refusal_names_the_rule_that_came_nearest() -> None:
    decision = decide((OFFICE, SECONDARY, V6), ip_address("198.51.100.35"))
    assert not decision.allowed
    assert decision.nearest is SECONDARY
    assert decision.reason == ("no rule allows 198.51.100.35; the nearest is 198.51.100.53/32 (secondary freedns)")


def test_rules_of_the_other_family_are_not_near() -> None:
    assert decide((OFFICE,), ip_address("2001:db8::1")).nearest is None


def test_an_ipv4_address_on_an_ipv6_socket_is_an_ipv4_address() -> None:
    assert decide((OFFICE,), ip_address("::ffff:192.0.2.1")).allowed


@given(st.lists(st.ip_addresses(v=4), max_size=5), st.ip_addresses(v=4))
def test_exactly_the_listed_addresses_are_allowed(listed: list[IPv4Address], source: IPv4Address) -> None:
    rules = [Rule(ip_network(address), "list") for address in listed]
    assert decide(rules, source).allowed == (source in listed)


@given(st.ip_addresses(v=6), st.integers(0, 128), st.ip_addresses(v=6))
def test_a_prefix_allows_what_lies_in_it(address: IPv6Address, bits: int, source: IPv6Address) -> None:
    network = ip_network((address, bits), strict=False)
    if source.ipv4_mapped is None:
        assert decide((Rule(network, "list"),), source).allowed == (source in network)
