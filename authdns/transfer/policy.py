"""Who may do what: a pure function of rules and a verified identity, and a decision that explains itself.

An identity is the source address, where TSIG was right the key, and what TLS proved if the request came over it. A
rule names an address (a network), or a key, or both, and then it wants both; it may also want TLS, and a name in the
client's certificate. Denied when nothing matches. A Decision keeps the rule that took it and, on a refusal, the rule
that came nearest to allowing it, because "REFUSED" alone has never helped anybody to find a wrong digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from authdns.wire.tsig import key_text

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Tls:
    """What a connection over TLS has proved. `names` are the DNS names of the client's certificate, lower-case, if it
    sent one and that was verified. `alpn`: the token `dot` was selected, which transfers need (RFC 9103 §7.1)."""

    names: frozenset[str] = frozenset()
    alpn: bool = True

    def __str__(self) -> str:
        return f"TLS as {' and '.join(sorted(self.names))}" if self.names else "TLS"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `key` is the name of the key that was verified (lower-case wire octets), None without one. `tls` is
    None for what came in cleartext: by UDP or TCP."""

    address: Address
    key: bytes | None = None
    tls: Tls | None = None

    def __str__(self) -> str:
        signed = "" if self.key is None else f" with key {key_text(self.key)}"
        return f"{self.address}{signed}" + ("" if self.tls is None else f" over {self.tls}")


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows `network`, None for any address, if the request is signed with `key`, None for any request. `why` says in
    words where the rule was written. `tls`: True if it must come over TLS, a name if also the client's certificate must
    be valid for just that name (a wildcard in a certificate names nobody); False if cleartext will do."""

    network: Network | None
    why: str
    key: bytes | None = None
    tls: bool | str = False

    def __post_init__(self) -> None:
        if self.network is None and self.key is None:
            raise ValueError("a rule without address and key would allow everybody")

    def __str__(self) -> str:
        network = "any address" if self.network is None else str(self.network)
        signed = "" if self.key is None else f" with key {key_text(self.key)}"
        over = "" if not self.tls else " over TLS" if self.tls is True else f" over TLS as {self.tls}"
        return f"{network}{signed}{over} ({self.why})"

    def has_address(self, address: Address) -> bool:
        return self.network is None or (self.network.version == address.version and address in self.network)

    def has_key(self, key: bytes | None) -> bool:
        return self.key is None or self.key == key

    def has_tls(self, tls: Tls | None) -> bool:
        if self.tls is False:
            return True
        return tls is not None and (self.tls is True or self.tls in tls.names)


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` is the one that allowed it. On a refusal `nearest` is a rule that lacks only TLS, else one for the address
    that lacks the key, else one that lacks the address; of several, and if there is none, the one that shares the
    longest prefix with the address. `no_alpn`: no rule was asked, see `Tls.alpn`."""

    allowed: bool
    identity: Identity
    rule: Rule | None
    nearest: Rule | None
    no_alpn: bool = False

    @property
    def reason(self) -> str:
        """One line for the log; names who asked and a rule."""
        asked, nearest = self.identity, self.nearest
        if self.rule is not None:
            return f"allowed by {self.rule}"
        if self.no_alpn:
            return "over TLS, but without the ALPN token `dot`, which a transfer must have (RFC 9103 section 7.1)"
        if nearest is None:
            return f"no rule for {family(asked.address)} allows any address to transfer this zone"
        signed = "" if asked.key is None else f"signed with key {key_text(asked.key)}"
        if nearest.network is not None and nearest.has_address(asked.address):
            return f"the address matches {nearest.network} ({nearest.why}), but {_lacking(nearest, asked)}"
        if asked.key is not None and nearest.key == asked.key:
            if nearest.network is None:
                return f"{signed} ({nearest.why}), but {_lacking(nearest, asked)}"
            return f"{signed}, but no rule allows that from {asked.address}; the nearest is {nearest}"
        return f"no rule allows {asked}; the nearest is {nearest}"


def decide(rules: Sequence[Rule], identity: Identity) -> Decision:
    """First match wins. An IPv4 address that came in over an IPv6 socket counts as the IPv4 address that it is."""
    identity = Identity(plain(identity.address), identity.key, identity.tls)
    if identity.tls is not None and not identity.tls.alpn:
        return Decision(False, identity, None, None, no_alpn=True)
    nearest: Rule | None = None
    most = (-1, -1)
    for rule in rules:
        if rule.network is not None and rule.network.version != identity.address.version:
            continue
        if rule.has_address(identity.address) and rule.has_key(identity.key) and rule.has_tls(identity.tls):
            return Decision(True, identity, rule, None)
        nearness = _nearness(rule, identity)
        if nearness > most:
            nearest, most = rule, nearness
    return Decision(False, identity, None, nearest)


def _nearness(rule: Rule, identity: Identity) -> tuple[int, int]:
    """How little a rule lacks that does not match, then how many bits of the address are right."""
    bits = 0 if rule.network is None else _shared_bits(rule.network, identity.address)
    if rule.has_address(identity.address) and rule.has_key(identity.key):
        return 4, bits  # TLS
    if rule.network is None:
        return 1, 0  # the key, and nothing says that it was this client that was meant
    if identity.address in rule.network:
        return 3, bits
    return (2 if rule.key is not None and rule.key == identity.key else 0), bits


def _lacking(rule: Rule, asked: Identity) -> str:
    """What a request from the right address would have had to have besides."""
    needs = []
    if not rule.has_key(asked.key):
        found = "" if asked.key is None else f", not {key_text(asked.key)}"
        needs.append(f"be signed with key {key_text(rule.key or b'')}{found}")
    if not rule.has_tls(asked.tls):
        if rule.tls is True:
            needs.append("come over TLS")
        elif asked.tls is None:
            needs.append(f"come over TLS with a client certificate for {rule.tls}")
        else:
            found = f", not for {' and '.join(sorted(asked.tls.names))}" if asked.tls.names else "; it sent none"
            needs.append(f"come with a client certificate for {rule.tls}{found}")
    return f"it must {' and '.join(needs)}"


def plain(source: Address) -> Address:
    """::ffff:192.0.2.1 is 192.0.2.1."""
    return getattr(source, "ipv4_mapped", None) or source


def family(source: Address) -> str:
    return f"IPv{source.version}"


def _shared_bits(network: Network, source: Address) -> int:
    different = int(network.network_address) ^ int(source)
    return min(network.prefixlen, source.max_prefixlen - different.bit_length())
