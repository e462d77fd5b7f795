"""The Python executor: a zone with its compiled answers, and the table of all zones.

Plans are compiled when their class is first asked for, and kept: a zone of a million records answers as soon as it
is read, and memory grows with what is asked, up to a named limit. Small zones are compiled whole before they are
published (`compile_all`), so that a class which cannot be compiled never replaces a zone that works.
"""

from authdns.answer.classes import positions, representative
from authdns.answer.compiler import OTHER_KEY, PENDING, Compiler, Plan, failure
from authdns.wire import name as names
from authdns.wire.types import Rcode, Type
from authdns.zone.zone import Zone

# Compiled positions kept per zone (about 1 KiB each); beyond it the memo starts anew. Asking for ever new names of a
# huge zone then costs a compilation each time (tens of microseconds), never more memory.
MAX_KEPT_POSITIONS = 200_000
# Zones up to this many names are compiled whole before they are published.
COMPILE_WHOLE_NAMES = 5_000

Plans = dict[bytes, Plan]


class ServedZone:
    """A Zone and its plans. Immutable in meaning: what it holds besides the zone is a memo of pure functions.

    `with_dnssec` is the same zone for queries with DO; where nothing is signed it is no other object.
    """

    __slots__ = ("_below", "_compiler", "at", "with_dnssec", "zone")

    def __init__(self, zone: Zone, dnssec_ok: bool = False) -> None:
        self.zone = zone
        self.with_dnssec = self if dnssec_ok or not zone.signed else ServedZone(zone, dnssec_ok=True)
        self.at: dict[bytes, Plans] = {}  # existing name -> its plans; read directly by the hot path
        self._below: dict[bytes, Plans] = {}  # closest encloser -> plans of the names below it that do not exist
        self._compiler = Compiler(zone, dnssec_ok)

    def plans(self, qname: bytes) -> Plans:
        """The plans for a lower-case name at or below the apex, by type (two octets); some may be PENDING."""
        found = self.at.get(qname)
        if found is not None:
            return found
        if qname in self.zone.names:
            return self._begin(self.at, qname, qname)
        found = self._below.get(qname[qname[0] + 1 :])  # the common kind of name that does not exist
        if found is not None:
            return found
        encloser = self.zone.closest_encloser(qname)
        return self._below.get(encloser) or self._begin(self._below, encloser, qname)

    def _begin(self, kept: dict[bytes, Plans], node: bytes, qname: bytes) -> Plans:
        if len(kept) >= MAX_KEPT_POSITIONS:
            kept.clear()
        plans = kept[node] = self._compiler.pending(qname)
        return plans

    def plan(self, qname: bytes, qtype: int) -> Plan:
        """The plan that answers (qname, qtype)."""
        return self.direct(self.plans(qname), qname, qtype)

    def direct(self, plans: Plans, qname: bytes, qtype: int) -> Plan:
        """The same, for a query whose class was not asked for before, or whose answer depends on more than its class.
        `plans` are those of `qname`."""
        key = qtype.to_bytes(2, "big")
        if key not in plans:
            key = OTHER_KEY
        plan = plans[key]
        if plan is PENDING:
            plan = plans[key] = self._compiler.plan(qname, qtype)
        elif plan.per_query:
            plan = self._compiler.plan(qname, qtype)
        if plan.opening is not None:
            plan = self._compiler.close(plan, qname)
        return plan

    def compile_all(self) -> None:
        """Compiles every class of the zone, if it is small enough to be kept whole."""
        if len(self.zone.names) > COMPILE_WHOLE_NAMES:
            return
        for position in positions(self.zone):
            qname = representative(self.zone, position)
            if qname is not None:
                plans = self.plans(qname)
                for key in plans:
                    self.direct(plans, qname, int.from_bytes(key, "big"))
        if self.with_dnssec is not self:
            self.with_dnssec.compile_all()


class UnavailableZone:
    """Stands for a zone that is configured but has never been loaded: SERVFAIL, and the reason for the log."""

    __slots__ = ("_plans", "at", "reason", "with_dnssec")

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.with_dnssec = self
        self.at: dict[bytes, Plans] = {}
        self._plans = {OTHER_KEY: failure(Rcode.SERVFAIL)}

    def plans(self, qname: bytes) -> Plans:
        return self._plans

    def plan(self, qname: bytes, qtype: int) -> Plan:
        return self._plans[OTHER_KEY]


class ZoneTable:
    """Every zone that the server answers for, by apex. `publish` replaces one reference; readers never wait."""

    def __init__(self) -> None:
        self.by_apex: dict[bytes, ServedZone | UnavailableZone] = {}

    def publish(self, apex: bytes, served: ServedZone | UnavailableZone) -> None:
        self.by_apex[apex] = served

    def withdraw(self, apex: bytes) -> None:
        self.by_apex.pop(apex, None)

    def find(self, qname: bytes, qtype: int) -> ServedZone | UnavailableZone | None:
        """The zone that answers (qname, qtype): the longest match (RFC 1034 §4.3.2 step 2), but DS at an apex is
        for a zone above it if we serve one (RFC 4035 §3.1.4.1): the parent, or one that delegates to the parent."""
        for ancestor in names.ancestors(qname):
            found = self.by_apex.get(ancestor)
            if found is not None:
                if qtype == Type.DS and ancestor == qname and qname != names.ROOT:
                    return self.find(names.parent(qname), 0) or found
                return found
        return None
