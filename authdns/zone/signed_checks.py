"""What is wrong with a zone that was signed: signatures that expire or are missing, chains that nobody can follow.

No signature is verified here: that is the signer's work, and takes minutes where reading takes seconds. What is said is
what an operator wants to hear before the resolvers find out, once for each zone and not for each record. Next to
nothing can be wrong with what a signer made today, so a freshly signed zone is silent.

Only NSEC3 iterations that RFC 5155 forbids are an error. A zone whose signatures have expired is served: resolvers that
do not validate still need it, and no other server of the zone would be silent.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from authdns.wire import name as names
from authdns.wire.types import Type, type_to_text
from authdns.zone.builder import ZoneBuilder
from authdns.zone.denial import SHA1, nsec3_parameters
from authdns.zone.problem import Place
from authdns.zone.zone import RRset, RRsets, Zone, signatures

WARN_SECONDS = 3 * 86400  # before a signature expires; a weekend
CLOCK_SKEW_SECONDS = 300  # of a signer, whose signatures begin now
MAX_ITERATIONS = 2500  # RFC 5155 §10.3
USUAL_MAX_ITERATIONS = 50  # above that current validators treat the zone as unsigned, or fail (RFC 9276 §3.2)

_EXPIRATION, _INCEPTION = slice(8, 12), slice(12, 16)  # in the rdata of an RRSIG (RFC 4034 §3.1)
# What the zone itself does not sign, wherever it is (RFC 4035 §2.2).
_UNSIGNED = frozenset((int(Type.RRSIG), int(Type.SIG)))
_SIGNED_AT_CUT = frozenset((int(Type.DS), int(Type.NSEC)))  # RFC 4035 §2.2-§2.4


def check_signed(zone: Zone, builder: ZoneBuilder, is_below_cut: Callable[[bytes], bool], now: int | None) -> None:
    """Adds to `builder.problems`. `now` is seconds since 1970; without it no signature is too old."""
    apex = zone.names[zone.apex]
    has = {rrset.type for rrset in apex}
    if zone.signed or zone.nsec3 or Type.DNSKEY in has or Type.NSEC3PARAM in has:
        _SignedChecker(zone, builder, is_below_cut).run(has, now)


def forbidden_iterations(zone: Zone, owners: Iterable[bytes]) -> str | None:
    """What is wrong with the NSEC3 at these owners so that the zone cannot be used, or None."""
    most = _most_iterations(zone, owners)
    if most <= MAX_ITERATIONS:
        return None
    expected = f"expected 0, more than {MAX_ITERATIONS} are forbidden (RFC 5155 §10.3)"
    return f"{_iterations_text(zone, most)}; {expected}"


def _most_iterations(zone: Zone, owners: Iterable[bytes]) -> int:
    return max([nsec3_parameters(rdata).iterations for rdata in _nsec3_rdatas(zone, owners)], default=0)


def _nsec3_rdatas(zone: Zone, owners: Iterable[bytes]) -> Iterator[bytes]:
    for owner in owners:
        for rrset in zone.nsec3.get(owner, ()):
            if rrset.type == Type.NSEC3:
                yield from rrset.rdatas


def _iterations_text(zone: Zone, most: int) -> str:
    return f"{names.to_text(zone.apex)} NSEC3 iterations: {most}"


class _SignedChecker:
    def __init__(self, zone: Zone, builder: ZoneBuilder, is_below_cut: Callable[[bytes], bool]) -> None:
        self._zone = zone
        self._builder = builder
        self._is_below_cut = is_below_cut
        self._apex = names.to_text(zone.apex)

    def run(self, has: set[int], now: int | None) -> None:
        signed = signatures(self._zone.names[self._zone.apex], Type.SOA) is not None
        if Type.DNSKEY in has and not signed:
            self._warn(f"{self._apex} has DNSKEY records, but its SOA has no signature: the zone is not signed")
        elif signed and Type.DNSKEY not in has:
            self._warn(f"{self._apex} is signed, but has no DNSKEY records: nobody can verify it (RFC 4035 §2.1)")
        self._chain(has, signed)
        self._iterations()
        if signed:
            self._missing_signatures()
        if now is not None:
            self._times(now)

    def _warn(self, message: str, place: Place | None = None) -> None:
        rrset = self._zone.soa_rrset
        self._builder.problems.warning(
            place or self._builder.place_of(self._zone.apex, rrset.type, rrset.rdatas[0]), message
        )

    # -- the chain

    def _chain(self, has: set[int], signed: bool) -> None:
        zone = self._zone
        if zone.nsec3 and Type.NSEC3PARAM not in has:
            message = f"there are NSEC3 records, but no NSEC3PARAM at {self._apex}; they are not used (RFC 5155 §4)"
            self._warn(message)
        elif (params := zone.rrset(zone.apex, Type.NSEC3PARAM)) is not None:
            chains = {nsec3_parameters(rdata) for rdata in _nsec3_rdatas(zone, zone.nsec3)}
            for rdata in params.rdatas:
                if rdata[1] == 0 and (nsec3_parameters(rdata) not in chains or rdata[0] != SHA1):
                    message = f"{self._apex} NSEC3PARAM: there is no chain of NSEC3 for it (RFC 5155 §7.3)"
                    self._warn(message, self._builder.place_of(zone.apex, Type.NSEC3PARAM, rdata))
        elif signed and zone.denial is None:
            message = "is signed, but has neither NSEC nor NSEC3: that a name does not exist cannot be proved"
            self._warn(f"{self._apex} {message} (RFC 4035 §2.3)")

    def _iterations(self) -> None:
        most = _most_iterations(self._zone, self._zone.nsec3)
        if not most:
            return
        problems = self._builder.problems
        params = self._zone.rrset(self._zone.apex, Type.NSEC3PARAM)
        rdata = params.rdatas[0] if params else b""
        place = self._builder.place_of(self._zone.apex, Type.NSEC3PARAM, rdata)
        message = _iterations_text(self._zone, most)
        if (forbidden := forbidden_iterations(self._zone, self._zone.nsec3)) is not None:
            problems.error(place, forbidden)
        elif most > USUAL_MAX_ITERATIONS:
            problems.warning(place, f"{message}; expected 0, some validators give up on so many (RFC 9276 §3.1)")
        else:
            problems.note(place, f"{message}; expected 0, more costs time and protects nothing (RFC 9276 §3.1)")

    # -- the signatures

    def _missing_signatures(self) -> None:
        """Of the whole zone one line. Glue and the NS of delegations have none (RFC 4035 §2.2)."""
        first, count = "", 0
        zone = self._zone
        for owner, rrsets in zone.owners():
            if not rrsets:
                continue
            signed = {rrset.rdatas[0][:2] for rrset in rrsets if rrset.type == Type.RRSIG}
            if 2 * len(signed) == len(rrsets):
                continue  # as many signatures as what they are for; that they fit is for validators to say
            at_cut = owner in zone.cuts
            for rrset in rrsets:
                rrtype = rrset.type
                if (
                    rrtype in _UNSIGNED
                    or rrtype.to_bytes(2, "big") in signed
                    or (at_cut and rrtype not in _SIGNED_AT_CUT)
                ):
                    continue
                if self._is_below_cut(owner):
                    break
                first = first or f"{names.to_text(owner)} {type_to_text(rrtype)}"
                count += 1
        if count:
            more = f" and {count - 1} more RRsets have" if count > 1 else " has"
            self._warn(f"{first}{more} no signature in a signed zone; validators refuse that (RFC 4035 §2.2)")

    def _times(self, now: int) -> None:
        """The signature that expires first, and the one that begins last. Times are modulo 2^32 (RFC 4034 §3.1.5)."""
        expirations: dict[bytes, tuple[bytes, bytes]] = {}  # time -> owner and rdata of one signature
        inceptions: dict[bytes, tuple[bytes, bytes]] = {}
        for owner, rrset in self._signatures():
            for rdata in rrset.rdatas:
                if rdata[_EXPIRATION] not in expirations:
                    expirations[rdata[_EXPIRATION]] = owner, rdata
                if rdata[_INCEPTION] not in inceptions:
                    inceptions[rdata[_INCEPTION]] = owner, rdata
        if not expirations:
            return
        left, first = min((_distance(time, now), time) for time in expirations)
        if left < WARN_SECONDS:
            when = f"{'expired' if left < 0 else 'expires'} on {_date(now + left)}"
            self._warn(f"the signature of {_what(*expirations[first])} {when}, before all others; sign the zone again")
        ahead, last = max((_distance(time, now), time) for time in inceptions)
        if ahead > CLOCK_SKEW_SECONDS:
            self._warn(f"the signature of {_what(*inceptions[last])} is not valid before {_date(now + ahead)}")

    def _signatures(self) -> Iterator[tuple[bytes, RRset]]:
        rrsets: RRsets
        for owner, rrsets in self._zone.owners():
            for rrset in rrsets:
                if rrset.type == Type.RRSIG:
                    yield owner, rrset


def _what(owner: bytes, rdata: bytes) -> str:
    return f"{names.to_text(owner)} {type_to_text(int.from_bytes(rdata[:2], 'big'))}"


def _date(seconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M UTC")


def _distance(time: bytes, now: int) -> int:
    """Seconds from `now` to the time of a signature, as serial numbers are compared (RFC 1982)."""
    return (int.from_bytes(time, "big") - now + (1 << 31)) % (1 << 32) - (1 << 31)
