"""Who may transfer, and what a refusal says."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.transfer.policy import Decision, Identity, Rule, Tls, decide

OFFICE = Rule(ip_network("192.0.2.0/24"), "addresses.office")
SECONDARY = Rule(ip_network("198.51.100.53/32"), "secondary freedns")
V6 = Rule(ip_network("2001:db8::/32"), "zones[0].allow-transfer")
X, Y = b"\1x\0", b"\1y\0"
SIGNED_OFFICE = Rule(ip_network("192.0.2.0/24"), "secondary one", X)
SIGNED_SECONDARY = Rule(ip_network("198.51.100.53/32"), "secondary two", Y)
ANYWHERE = Rule(None, "defaults.allow-transfer", X)


NS2 = Tls(frozenset({"ns2.example.net"}))
OVER_TLS = Rule(ip_network("192.0.2.0/24"), "secondary three", None, True)
NAMED = Rule(ip_network("192.0.2.0/24"), "secondary four", X, "ns2.example.net")


def asked(address: str, key: bytes | None, *rules: Rule, tls: Tls | None = None) -> Decision:
    return decide(rules, Identity(ip_address(address), key, tls))


def test_nothing_is_allowed_without_a_rule() -> None:
    for key in (None, X):
        decision = asked("192.0.2.1", key)
        assert not decision.allowed
        assert decision.reason == "no rule for IPv4 allows any address to transfer this zone"


def test_the_first_match_wins_and_is_named() -> None:
    decision = asked("192.0.2.7", None, OFFICE, SECONDARY)
    assert decision.allowed
    assert decision.rule is OFFICE
    assert decision.reason == "allowed by 192.0.2.0/24 (addresses.office)"


def test_a_refusal_names_the_rule_that_came_nearest() -> None:
    decision = asked("198.51.100.35", None, OFFICE, SECONDARY, V6)
    assert not decision.allowed
    assert decision.nearest is SECONDARY
    assert decision.reason == ("no rule allows 198.51.100.35; the nearest is 198.51.100.53/32 (secondary freedns)")


def test_rules_of_the_other_family_are_not_near() -> None:
    assert asked("2001:db8::1", None, OFFICE).nearest is None
    assert asked("2001:db8::1", X, SIGNED_OFFICE).nearest is None


def test_an_ipv4_address_on_an_ipv6_socket_is_an_ipv4_address() -> None:
    assert asked("::ffff:192.0.2.1", None, OFFICE).allowed
    assert asked("::ffff:192.0.2.1", X, SIGNED_OFFICE).allowed


@pytest.mark.parametrize(
    ("address", "key", "rules", "reason"),
    [
        ("192.0.2.1", X, (SIGNED_OFFICE,), "allowed by 192.0.2.0/24 with key x (secondary one)"),
        ("192.0.2.1", X, (OFFICE,), "allowed by 192.0.2.0/24 (addresses.office)"),
        ("203.0.113.1", X, (ANYWHERE,), "allowed by any address with key x (defaults.allow-transfer)"),
        (
            "192.0.2.1",
            None,
            (ANYWHERE, SIGNED_OFFICE, SECONDARY),
            "the address matches 192.0.2.0/24 (secondary one), but it must be signed with key x",
        ),
        (
            "192.0.2.1",
            Y,
            (SIGNED_SECONDARY, SIGNED_OFFICE),
            "the address matches 192.0.2.0/24 (secondary one), but it must be signed with key x, not y",
        ),
        (
            "198.51.100.54",
            X,
            (SIGNED_SECONDARY, SIGNED_OFFICE, SECONDARY),
            "signed with key x, but no rule allows that from 198.51.100.54; "
            "the nearest is 192.0.2.0/24 with key x (secondary one)",
        ),
        (
            "203.0.113.1",
            None,
            (SECONDARY, ANYWHERE),
            "no rule allows 203.0.113.1; the nearest is any address with key x (defaults.allow-transfer)",
        ),
        (
            "203.0.113.1",
            Y,
            (ANYWHERE,),
            "no rule allows 203.0.113.1 with key y; the nearest is any address with key x (defaults.allow-transfer)",
        ),
        (
            "198.51.100.52",
            X,
            (OFFICE, SECONDARY),
            "no rule allows 198.51.100.52 with key x; the nearest is 198.51.100.53/32 (secondary freedns)",
        ),
    ],
)
def test_a_decision_says_why(address: str, key: bytes | None, rules: tuple[Rule, ...], reason: str) -> None:
    assert asked(address, key, *rules).reason == reason


@pytest.mark.parametrize(
    ("key", "tls", "rules", "reason"),
    [
        (None, Tls(), (OVER_TLS,), "allowed by 192.0.2.0/24 over TLS (secondary three)"),
        (X, NS2, (NAMED,), "allowed by 192.0.2.0/24 with key x over TLS as ns2.example.net (secondary four)"),
        (None, Tls(), (OFFICE,), "allowed by 192.0.2.0/24 (addresses.office)"),
        (None, None, (OVER_TLS,), "the address matches 192.0.2.0/24 (secondary three), but it must come over TLS"),
        (
            X,
            None,
            (NAMED,),
            "the address matches 192.0.2.0/24 (secondary four), "
            "but it must come over TLS with a client certificate for ns2.example.net",
        ),
        (
            X,
            Tls(),
            (NAMED,),
            "the address matches 192.0.2.0/24 (secondary four), "
            "but it must come with a client certificate for ns2.example.net; it sent none",
        ),
        (
            X,
            Tls(frozenset({"*.example.net"})),
            (NAMED,),
            "the address matches 192.0.2.0/24 (secondary four), "
            "but it must come with a client certificate for ns2.example.net, not for *.example.net",
        ),
        (
            Y,
            None,
            (NAMED,),
            "the address matches 192.0.2.0/24 (secondary four), but it must be signed with key x, not y "
            "and come over TLS with a client certificate for ns2.example.net",
        ),
        (
            X,
            None,
            (Rule(None, "defaults.allow-transfer", X, True),),
            "signed with key x (defaults.allow-transfer), but it must come over TLS",
        ),
        (
            None,
            Tls(NS2.names, alpn=False),
            (OFFICE,),
            "over TLS, but without the ALPN token `dot`, which a transfer must have (RFC 9103 section 7.1)",
        ),
    ],
)
def test_a_decision_says_what_of_tls_is_lacking(
    key: bytes | None, tls: Tls | None, rules: tuple[Rule, ...], reason: str
) -> None:
    assert asked("192.0.2.1", key, *rules, tls=tls).reason == reason


def test_of_two_rules_that_which_lacks_only_tls_is_nearer() -> None:
    signed = Rule(ip_network("192.0.2.1/32"), "secondary one", X)
    assert asked("192.0.2.1", None, signed, OVER_TLS).nearest is OVER_TLS
    assert asked("192.0.2.1", None, OVER_TLS, signed).nearest is OVER_TLS


ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
NETWORKS = (None, "192.0.2.1/32", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32")
CONNECTIONS = (None, Tls(), NS2, Tls(frozenset({"ns3.example.net", "*.example.net"})), Tls(NS2.names, alpn=False))
NEEDS: tuple[bool | str, ...] = (False, True, "ns2.example.net")
ALL_RULES = [
    Rule(None if network is None else ip_network(network), "list", key, tls)
    for network, key, tls in product(NETWORKS, (None, X, Y), NEEDS)
    if network is not None or key is not None
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("key", [None, X, Y])
@pytest.mark.parametrize("tls", CONNECTIONS, ids=str)
def test_all_combinations(address: str, key: bytes | None, tls: Tls | None) -> None:
    """Of every pair of rules: allowed exactly if one of them has what it names, address and key and TLS."""

    def fits(rule: Rule) -> bool:
        if tls is not None and not tls.alpn:
            return False
        by_key = rule.key is None or rule.key == key
        by_address = rule.network is None or ip_address(address) in rule.network
        by_tls = tls is NS2 if isinstance(rule.tls, str) else tls is not None or not rule.tls
        return by_key and by_address and by_tls

    for rules in [(), *((rule,) for rule in ALL_RULES), *product(ALL_RULES, ALL_RULES)]:
        decision = asked(address, key, *rules, tls=tls)
        assert decision.allowed == any(map(fits, rules))
        assert decision.rule == next(filter(fits, rules), None)
        assert decision.allowed == decision.reason.startswith("allowed by ")
        if not decision.allowed and any(rule.network is None or rule.network.version == 4 for rule in rules):
            assert decision.nearest in (*rules, None)


@pytest.mark.parametrize("rule", [rule for rule in ALL_RULES if rule.tls], ids=str)
def test_no_rule_that_wants_tls_is_ever_met_in_cleartext(rule: Rule) -> None:
    for address, key in product(ADDRESSES, (None, X, Y)):
        assert not asked(address, key, rule).allowed


def test_no_rule_allows_everybody() -> None:
    with pytest.raises(ValueError):
        Rule(None, "nothing")


@given(st.lists(st.ip_addresses(v=4), max_size=5), st.ip_addresses(v=4))
def test_exactly_the_listed_addresses_are_allowed(listed: list[IPv4Address], source: IPv4Address) -> None:
    rules = [Rule(ip_network(address), "list") for address in listed]
    assert decide(rules, Identity(source)).allowed == (source in listed)


@given(st.ip_addresses(v=6), st.integers(0, 128), st.ip_addresses(v=6))
def test_a_prefix_allows_what_lies_in_it(address: IPv6Address, bits: int, source: IPv6Address) -> None:
    network = ip_network((address, bits), strict=False)
    if source.ipv4_mapped is None:
        assert decide((Rule(network, "list"),), Identity(source)).allowed == (source in network)
