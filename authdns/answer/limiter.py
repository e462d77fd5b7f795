"""Response-rate limiting: nobody can make us flood an address that he forges as the source of his queries.

Each prefix of a client's address may have so many responses a second, wide ones more: what an attacker spreads over a
network meets the limit of the network. A prefix is counted with one number, the time at which all responses so far
would have been due at that rate (GCRA, the leaky bucket as a meter); a response puts it one interval ahead, and it may
be ahead of now by the window, which is the burst. Times are integers in units of 16 ns, so that native/limiter.c
decides alike. (It keeps 48 bits of them, in a table of fixed size: 52 days later to the second, a prefix that had used
up its burst and was silent since would be limited once more.)

Not charged are responses by TCP and to who sent a valid cookie (both prove the address), and to exempt networks. By TCP
the same counters serve for a budget of time: there a "response" is a microsecond (server/tcp).
"""

from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final

from authdns.wire.address import address_octets

Network = IPv4Network | IPv6Network

# Bits of a prefix -> how many times the rate of a single address it may have. Knot's mod-rrl has the same.
PREFIXES_V4: Final = ((32, 1), (24, 32), (20, 256), (18, 768))
PREFIXES_V6: Final = ((128, 1), (64, 2), (56, 3), (48, 4), (32, 64))
TIME_SHIFT: Final = 4  # nanoseconds to units
UNITS_A_SECOND: Final = 1_000_000_000 >> TIME_SHIFT
MAX_PER_SECOND: Final = 10_000  # beyond it, the intervals of wide prefixes are too few units to be exact
MAX_KEPT_HOSTS: Final = 8192  # whose prefixes are known; counters live for one or two generations of them

_Counters = tuple[list[int], ...]


class Limited(Enum):
    """What becomes of a query whose source has had too many responses."""

    TRUNCATED = auto()  # a response without records and with TC: who really asked comes again by TCP
    DROPPED = auto()
    LOGGED = auto()  # answered all the same


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`per_second` responses to one address, after a burst of `burst`. Every `slip`-th limited query is answered with
    TC (0: none), the others not at all. `log_only`: nothing is limited, only counted."""

    per_second: int = 50
    burst: int = 125
    slip: int = 1
    log_only: bool = False
    exempt: tuple[Network, ...] = ()

    @property
    def window(self) -> int:
        """How far ahead of now a counter may be, in units. The same for all prefixes: a wide one has more responses in
        it because its interval is shorter."""
        return self.burst * (UNITS_A_SECOND // self.per_second)

    def prefixes(self, version: int) -> list[tuple[int, int]]:
        """(bits, interval in units) for each prefix of IPv4 or IPv6."""
        given = PREFIXES_V4 if version == 4 else PREFIXES_V6
        return [(bits, UNITS_A_SECOND // (self.per_second * times)) for bits, times in given]

    def exempt_ranges(self, version: int) -> list[tuple[bytes, bytes]]:
        """(first, last) address of what is exempt, sorted, apart from each other."""
        merged = collapse_addresses(network for network in self.exempt if network.version == version)  # type: ignore[type-var]
        return [(network.network_address.packed, network.broadcast_address.packed) for network in merged]


class Limiter:
    """Counts responses to sources. Memory is bounded: what has not been asked for by the last MAX_KEPT_HOSTS addresses,
    nor by those before them, is forgotten."""

    def __init__(self, limit: RateLimit) -> None:
        self.counts = dict.fromkeys(Limited, 0)
        self.last_limited = ""
        self.use(limit)

    def use(self, limit: RateLimit) -> None:
        """Replaces the limit, and forgets what was charged."""
        self._slip = limit.slip
        self._log_only = limit.log_only
        self._window = limit.window
        self._prefixes = {4: limit.prefixes(4), 16: limit.prefixes(6)}
        self._exempt = {4: limit.exempt_ranges(4), 16: limit.exempt_ranges(6)}
        # A counter is a list, shared by the hosts of its prefix: when all responses so far were due; the interval; how
        # far ahead of now it may be for one response more.
        self._hosts: dict[str, _Counters] = {}
        self._young: dict[tuple[int, int], list[int]] = {}
        self._old: dict[tuple[int, int], list[int]] = {}

    def is_over(self, host: str, now: int) -> bool:
        """Whether one of its prefixes has had too many; if none has, each is charged with this one."""
        counters = self._hosts.get(host)
        if counters is None:
            counters = self._counters(host)
        now >>= TIME_SHIFT
        for counter in counters:
            due, interval, slack = counter
            if due < now:
                counter[0] = now + interval
            elif due - now <= slack:
                counter[0] = due + interval
            elif due - now > self._window:  # the clock was set back
                counter[0] = now + interval
            else:
                for charged in counters:
                    if charged is counter:
                        break
                    charged[0] -= charged[1]
                return True
        return False

    def charge(self, host: str, now: int, number: int) -> None:
        """Charges so many at once, after the fact: at most what fills the window."""
        counters = self._hosts.get(host)
        if counters is None:
            counters = self._counters(host)
        now >>= TIME_SHIFT
        most = now + self._window
        for counter in counters:
            due = counter[0]
            begin = due if now < due <= most else now
            counter[0] = min(begin + number * counter[1], most)

    def limited(self, host: str) -> Limited:
        """What becomes of the query of a source that is over; it is counted."""
        counts = self.counts
        if self._log_only:
            found = Limited.LOGGED
        else:
            number = counts[Limited.TRUNCATED] + counts[Limited.DROPPED] + 1
            found = Limited.TRUNCATED if self._slip and number % self._slip == 0 else Limited.DROPPED
        counts[found] += 1
        self.last_limited = host
        return found

    def _counters(self, host: str) -> _Counters:
        octets = address_octets(host)
        if len(self._hosts) >= MAX_KEPT_HOSTS:
            self._hosts.clear()
            self._old, self._young = self._young, {}
        found = []
        if not any(first <= octets <= last for first, last in self._exempt[len(octets)]):
            address, all_bits = int.from_bytes(octets, "big"), 8 * len(octets)
            for bits, interval in self._prefixes[len(octets)]:
                key = (len(octets) << 8 | bits, address >> (all_bits - bits))
                counter = self._young.get(key) or self._old.get(key) or [0, interval, self._window - interval]
                self._young[key] = counter
                found.append(counter)
        self._hosts[host] = counters = tuple(found)
        return counters
