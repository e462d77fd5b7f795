"""Who may do what: a pure function of rules and a verified identity, and a decision that explains itself.

An identity is the source address and, where TSIG was right, the key. A rule names an address (a network), or a key, or
both, and then it wants both. Denied when nothing matches. A Decision keeps the rule that took it and, on a refusal, the
rule that came nearest to allowing it, because "REFUSED" alone has never helped anybody to find a wrong digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from authdns.wire.tsig import key_text

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `key` is the name of the key that was verified (lower-case wire octets), None without one."""

    address: Address
    key: bytes | None = None

    def __str__(self) -> str:
        return str(self.address) if self.key is None else f"{self.address} with key {key_text(self.key)}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows `network`, None for any address, if the request is signed with `key`, None for any request. `why` says in
    words where the rule was written."""

    network: Network | None
    why: str
    key: bytes | None = None

    def __post_init__(self) -> None:
        if self.network is None and self.key is None:
            raise ValueError("a rule without address and key would allow everybody")

    def __str__(self) -> str:
        network = "any address" if self.network is None else str(self.network)
        return (
            f"{network} ({self.why})" if self.key is None else f"{network} with key {key_text(self.key)} ({self.why})"
        )

    def has_address(self, address: Address) -> bool:
        return self.network is None or (self.network.version == address.version and address in self.network)

    def has_key(self, key: bytes | None) -> bool:
        return self.key is None or self.key == key


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` is the one that allowed it. On a refusal `nearest` is a rule that lacks only the key, else one that lacks
    only the address; of several, and if there is none, the one that shares the longest prefix with the address."""

    allowed: bool
    identity: Identity
    rule: Rule | None
    nearest: Rule | None

    @property
    def reason(self) -> str:
        """One line for the log; names who asked and a rule."""
        asked, nearest = self.identity, self.nearest
        if self.rule is not None:
            return f"allowed by {self.rule}"
        if nearest is None:
            return f"no rule for {family(asked.address)} allows any address to transfer this zone"
        if nearest.network is not None and nearest.has_address(asked.address):
            needed = f"it must be signed with key {key_text(nearest.key or b'')}"
            found = "" if asked.key is None else f", not {key_text(asked.key)}"
            return f"the address matches {nearest.network} ({nearest.why}), but {needed}{found}"
        if asked.key is not None and nearest.key == asked.key:
            signed = f"signed with key {key_text(asked.key)}"
            return f"{signed}, but no rule allows that from {asked.address}; the nearest is {nearest}"
        return f"no rule allows {asked}; the nearest is {nearest}"


def decide(rules: Sequence[Rule], identity: Identity) -> Decision:
    """First match wins. An IPv4 address that came in over an IPv6 socket counts as the IPv4 address that it is."""
    identity = Identity(plain(identity.address), identity.key)
    nearest: Rule | None = None
    most = (-1, -1)
    for rule in rules:
        if rule.network is not None and rule.network.version != identity.address.version:
            continue
        if rule.has_address(identity.address) and rule.has_key(identity.key):
            return Decision(True, identity, rule, None)
        nearness = _nearness(rule, identity)
        if nearness > most:
            nearest, most = rule, nearness
    return Decision(False, identity, None, nearest)


def _nearness(rule: Rule, identity: Identity) -> tuple[int, int]:
    """How little a rule lacks that does not match, then how many bits of the address are right."""
    if rule.network is None:
        return 1, 0  # the key, and nothing says that it was this client that was meant
    bits = _shared_bits(rule.network, identity.address)
    if identity.address in rule.network:
        return 3, bits
    return (2 if rule.key is not None and rule.key == identity.key else 0), bits


def plain(source: Address) -> Address:
    """::ffff:192.0.2.1 is 192.0.2.1."""
    return getattr(source, "ipv4_mapped", None) or source


def family(source: Address) -> str:
    return f"IPv{source.version}"


def _shared_bits(network: Network, source: Address) -> int:
    different = int(network.network_address) ^ int(source)
    return min(network.prefixlen, source.max_prefixlen - different.bit_length())
