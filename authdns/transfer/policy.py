"""Who may do what: a pure function of rules and the source address, and a decision that explains itself.

Denied when nothing matches. A Decision keeps the rule that took it and, on a refusal, the rule that came nearest to
allowing it, because "REFUSED" alone has never helped anybody to find a wrong digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows `network`; `why` says in words where the rule was written."""

    network: Network
    why: str

    def __str__(self) -> str:
        return f"{self.network} ({self.why})"


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` is the one that allowed it. On a refusal `nearest` shares the longest prefix with `source`."""

    allowed: bool
    source: Address
    rule: Rule | None
    nearest: Rule | None

    @property
    def reason(self) -> str:
        """One line for the log; starts with a verb, names the source and a rule."""
        if self.rule is not None:
            return f"allowed by {self.rule}"
        if self.nearest is None:
            return f"no rule for {family(self.source)} allows any address to transfer this zone"
        return f"no rule allows {self.source}; the nearest is {self.nearest}"


def decide(rules: Sequence[Rule], source: Address) -> Decision:
    """First match wins. An IPv4 address that came in over an IPv6 socket counts as the IPv4 address that it is."""
    source = plain(source)
    nearest: Rule | None = None
    nearest_bits = -1
    for rule in rules:
        if rule.network.version != source.version:
            continue
        if source in rule.network:
            return Decision(True, source, rule, None)
        bits = _shared_bits(rule.network, source)
        if bits > nearest_bits:
            nearest, nearest_bits = rule, bits
    return Decision(False, source, None, nearest)


def plain(source: Address) -> Address:
    """::ffff:192.0.2.1 is 192.0.2.1."""
    return getattr(source, "ipv4_mapped", None) or source


def family(source: Address) -> str:
    return f"IPv{source.version}"


def _shared_bits(network: Network, source: Address) -> int:
    different = int(network.network_address) ^ int(source)
    return min(network.prefixlen, source.max_prefixlen - different.bit_length())
