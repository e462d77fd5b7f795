"""The Python executor: a zone with its compiled answers, and the table of all zones.

Plans are compiled when their class is first asked for, and kept: a zone of a million records answers as soon as it
is read, and memory grows with what is asked, up to a named limit. Small zones are compiled whole before they are
published (`compile_all`), so that a class which cannot be compiled never replaces a zone that works.
"""

from typing import Protocol, TypeVar

from authdns.answer.changes import Changes
from authdns.answer.classes import Position, Substitutions, representatives
from authdns.answer.compiler import OTHER_KEY, PENDING, Compiler, OpenPlan, Plan, failure
from authdns.answer.image import Image
from authdns.wire import name as names
from authdns.wire.types import Rcode, Type
from authdns.zone.zone import Zone

# Compiled positions kept per zone (about 1 KiB each); beyond it the memo starts anew. Asking for ever new names of a
# huge zone then costs a compilation each time (tens of microseconds), never more memory.
MAX_KEPT_POSITIONS = 200_000
# Zones up to this many names are compiled whole before they are published.
COMPILE_WHOLE_NAMES = 5_000

Plans = dict[bytes, Plan]
_Key = TypeVar("_Key", bytes, Position)


class ServedZone:
    """A Zone and its plans. Immutable in meaning: what it holds besides the zone is a memo of pure functions.

    No part of it refers to the whole: a version that was replaced is freed at once, not when the garbage collector
    finds it, which never looks at large zones (server/zones.py).
    """

    __slots__ = (
        "_below",
        "_compiler",
        "_moved",
        "_substitutions",
        "_with_dnssec",
        "at",
        "changes",
        "digest",
        "image",
        "zone",
    )

    def __init__(self, zone: Zone, dnssec_ok: bool = False) -> None:
        self.zone = zone
        self.image: Image | None = None  # of the zone, for the engine, or of an earlier version without what changed
        self.changes: Changes | None = None  # of zones whose images are made in the background: what changed
        self.digest: bytes | None = None  # of all records, once somebody has computed it
        self._with_dnssec = None if dnssec_ok or not zone.signed else ServedZone(zone, dnssec_ok=True)
        # Existing name, or one that a DNAME makes exist, or an exception in its class -> its plans; read directly by
        # the hot path.
        self.at: dict[bytes, Plans] = {}
        self._below: dict[bytes, Plans] = {}  # closest encloser -> plans of the names below it that do not exist
        self._moved: dict[Position, Plans] = {}  # the same for names below a DNAME
        self._substitutions = Substitutions(zone) if zone.dnames else None
        self._compiler = Compiler(zone, dnssec_ok)

    @property
    def with_dnssec(self) -> "ServedZone":
        """The same zone for queries with DO; where nothing is signed it is no other object."""
        return self._with_dnssec or self

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
        starts = names.label_starts(qname)
        encloser = self.zone.encloser_above(qname, starts, len(qname) - len(self.zone.apex))
        if self._substitutions is not None:
            position = self._substitutions.position(qname, starts, encloser)
            if position is not None:
                if not position.below:
                    return self._begin(self.at, qname, qname)
                return self._moved.get(position) or self._begin(self._moved, position, qname)
        return self._below.get(encloser) or self._begin(self._below, encloser, qname)

    def _begin(self, kept: dict[_Key, Plans], key: _Key, qname: bytes) -> Plans:
        if len(kept) >= MAX_KEPT_POSITIONS:  # all of them: without what is in `at`, exceptions would be forgotten
            for each in (self.at, self._below, self._moved):
                each.clear()
        plans = kept[key] = self._compiler.pending(qname)
        return plans

    def plan(self, qname: bytes, qtype: int) -> Plan:
        """The plan that answers (qname, qtype)."""
        return self.direct(self.plans(qname), qname, qtype)

    def direct(self, plans: Plans, qname: bytes, qtype: int) -> Plan:
        """The same, for a query whose class was not asked for before, or into whose answer something of it must go in.
        `plans` are those of `qname`."""
        key = qtype.to_bytes(2, "big")
        if key not in plans:
            key = OTHER_KEY
        plan = plans[key]
        if plan is PENDING:
            plan = self._compiler.plan(qname, qtype)
            for name in plan.exceptions:
                if name not in self.at:
                    self._begin(self.at, name, name)
            if qname in plan.exceptions:
                plans = self.at.get(qname, plans)  # if the memo has just begun anew, nobody finds `plans` any more
            plans[key] = plan
        if isinstance(plan, OpenPlan):
            plan = self._compiler.close(plan, qname)
        return plan

    def compile_all(self) -> None:
        """Compiles the classes of the zone, if it is small enough to be kept whole."""
        if len(self.zone.names) > COMPILE_WHOLE_NAMES:
            return
        for qname in representatives(self.zone):
            plans = self.plans(qname)
            for key in plans:
                self.direct(plans, qname, int.from_bytes(key, "big"))
        if self.with_dnssec is not self:
            self.with_dnssec.compile_all()


class PrivateZone(ServedZone):
    """A zone for those who may transfer it. Everybody may ask for its SOA, with which secondaries find out whether it
    has changed; all else is refused, by Python: it has no image."""

    __slots__ = ("_refused",)

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone)
        self._refused: Plans = {OTHER_KEY: failure(Rcode.REFUSED)}
        soa = Type.SOA.to_bytes(2, "big")
        self.at[zone.apex] = {soa: self._compiler.plan(zone.apex, Type.SOA), **self._refused}

    @property
    def with_dnssec(self) -> "PrivateZone":
        return self

    def plans(self, qname: bytes) -> Plans:
        return self.at.get(qname, self._refused)

    def compile_all(self) -> None:
        """It is."""


class UnavailableZone:
    """Stands for a zone that is configured but has never been loaded: SERVFAIL, and the reason for the log."""

    __slots__ = ("_plans", "at", "image", "reason")

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.image = None
        self.at: dict[bytes, Plans] = {}
        self._plans = {OTHER_KEY: failure(Rcode.SERVFAIL)}

    @property
    def with_dnssec(self) -> "UnavailableZone":
        return self

    def plans(self, qname: bytes) -> Plans:
        return self._plans

    def plan(self, qname: bytes, qtype: int) -> Plan:
        return self._plans[OTHER_KEY]


class Engine(Protocol):
    """The other executor (answer/native). A zone without an image is one that it declines."""

    def publish(self, apex: bytes, image: object | None) -> None: ...

    def withdraw(self, apex: bytes) -> None: ...


class ZoneTable:
    """Every zone that the server answers for, by apex. `publish` replaces one reference, and one in the engine if there
    is one; readers never wait."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.by_apex: dict[bytes, ServedZone | UnavailableZone] = {}
        self._engine = engine

    def publish(self, apex: bytes, served: ServedZone | UnavailableZone) -> None:
        self.by_apex[apex] = served
        if self._engine is not None:
            self._engine.publish(apex, served.image)

    def withdraw(self, apex: bytes) -> None:
        self.by_apex.pop(apex, None)
        if self._engine is not None:
            self._engine.withdraw(apex)

    def find(self, qname: bytes, qtype: int) -> ServedZone | UnavailableZone | None:
        """The zone that answers (qname, qtype): the longest match (RFC 1034 §4.3.2 step 2), but DS at an apex is
        for a zone above it if we serve one (RFC 4035 §3.1.4.1): the parent, or one that delegates to the parent."""
        by_apex = self.by_apex
        position = 0
        while (found := by_apex.get(qname[position:])) is None:
            length = qname[position]
            if not length:
                return None
            position += length + 1
        if qtype == Type.DS and not position and qname != names.ROOT:
            return self.find(names.parent(qname), 0) or found
        return found
