"""From the bytes of a request to the bytes of its response: the ladder.

Nearly every query is an ordinary question with nothing or a bare OPT behind it. For those `respond` does as little as
Python allows: the header words and the tail behind the question are looked up whole, the name is cut out and folded by
two C calls, and what it finds in the zone proves that the name is well-formed (a name that walks label by label to the
apex of a zone of ours is a name). Everything else climbs the ladder in `_unusual`: header, form, opcode, TSIG, EDNS,
class, type, zone. Requests that need to know who asks (transfers) are handed back as a Query; this layer knows
neither addresses nor permissions.
"""

from collections import defaultdict
from dataclasses import dataclass

from authdns.answer.compiler import OTHER_KEY, WITH_CD, WITH_OPT, WITH_RD, Plan, failure, heads
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.wire import name as names
from authdns.wire.message import MAX_NSID_OCTETS, QUESTION, Encoder, opt_record, simple_response, tsig_refusal
from authdns.wire.query import HEADER_OCTETS, Edns, Malformed, Query, Tsig, is_request, parse_query
from authdns.wire.types import Class, Flag, Opcode, Rcode, Type, named_types

MAX_TCP_OCTETS = 65535
PLAIN_UDP_OCTETS = 512  # RFC 1035 §4.2.1
_MAX_KEPT_TAILS = 4096  # forms of OPT remembered; there are 65,536 payload sizes
SIZE_SHIFT = 6  # sizes are counted in steps of 64 octets

# Class, OPT, and a lone COOKIE option with its eight octets, which say nothing to us (yet): see _is_client_cookie.
_COOKIE_TAIL_OCTETS = 2 + 11 + 12

_NSID = 3  # an option (RFC 5001)
_ASKING_NSID = b"\0\3\0\0"

_DS = Type.DS.to_bytes(2, "big")
_IN = b"\0\1"
# Types that ask for something else than data, so the bare question must not go down the short way.
_REFUSED_TYPES: dict[int, Rcode] = {
    Type.MAILA: Rcode.NOTIMP,  # obsolete (RFC 1035 §3.2.3, RFC 883)
    Type.MAILB: Rcode.NOTIMP,
    Type.TKEY: Rcode.NOTIMP,
    Type.TSIG: Rcode.FORMERR,  # meta records, never asked for
    Type.OPT: Rcode.FORMERR,
}
# Counted by name; of the others there are 65,000, and strangers choose. (b"": a request without a question.)
NAMED_TYPES = frozenset([b"", *(rrtype.to_bytes(2, "big") for rrtype in named_types())])
_UNUSUAL_TYPES = frozenset(t.to_bytes(2, "big") for t in (Type.AXFR, Type.IXFR, *_REFUSED_TYPES))


@dataclass(frozen=True, slots=True)
class Chaos:
    """What is told about the server itself in class CH (RFC 4892); None is refused. The identity is NSID as well."""

    identity: str | None = None
    version: str | None = None

    def text(self, qname: bytes) -> str | None:
        if qname in (b"\x02id\x06server\0", b"\x08hostname\x04bind\0"):
            return self.identity
        if qname in (b"\x07version\x04bind\0", b"\x07version\x06server\0"):
            return self.version
        return None

    @property
    def nsid(self) -> bytes:
        """The option that says it, or nothing."""
        if self.identity is None:
            return b""
        octets = self.identity.encode()[:MAX_NSID_OCTETS]
        return _NSID.to_bytes(2, "big") + len(octets).to_bytes(2, "big") + octets


@dataclass(frozen=True, slots=True)
class _Tail:
    """What stands behind the question's type: class IN and, perhaps, a bare OPT."""

    limit: int  # octets of a UDP response
    opt: bytes  # the OPT to send back, or b""
    dnssec_ok: bool = False


class Responder:
    """Answers requests of one transport; one instance for UDP, one for TCP, over the same table of zones.

    `tally` counts responses: rcode -> type (two octets, those without a
    name as OTHER_KEY) -> number; `sizes` counts them in steps of 64 octets.
    """

    def __init__(self, table: ZoneTable, *, tcp: bool, payload: int = 1232, chaos: Chaos | None = None) -> None:
        self._zones = table.by_apex
        self._table = table
        self._tcp = tcp
        self._payload = payload
        self._chaos = chaos or Chaos()
        self._nsid = self._chaos.nsid
        self._refused = failure(Rcode.REFUSED)
        plain = {_IN: _Tail(MAX_TCP_OCTETS if tcp else PLAIN_UDP_OCTETS, b"")}
        with_opt: dict[bytes, _Tail] = {}
        # Octets 2-12 of a request -> (form of the header to answer with, known tails). QUERY with RD, AD, CD in any
        # combination; AD in a query asks for AD in the answer (RFC 6840 §5.7), which an authority never sets.
        self._forms: dict[bytes, tuple[int, dict[bytes, _Tail]]] = {}
        for bits in range(8):
            flags = (bits & 1 and Flag.RD) | (bits & 2 and Flag.CD) | (bits & 4 and Flag.AD)
            form = (bits & 1 and WITH_RD) | (bits & 2 and WITH_CD)
            words = flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0"
            self._forms[words + b"\0"] = (form, plain)
            self._forms[words + b"\1"] = (form | WITH_OPT, with_opt)
        self._kept_tails = with_opt
        self._cookie_tails: dict[bytes, _Tail] = {}  # without the cookie's eight octets
        self.tally: dict[int, defaultdict[bytes, int]] = {rcode: defaultdict(int) for rcode in range(24)}
        self.sizes = [0] * ((MAX_TCP_OCTETS >> SIZE_SHIFT) + 1)

    def respond(self, request: bytes) -> bytes | Query | None:
        """The response; None for what gets none; a Query for what this layer does not decide."""
        form = self._forms.get(request[2:12])
        if form is None:
            return self._unusual(request)
        end = request.find(0, 12) + 1
        behind = request[end + 2 :]
        tail = form[1].get(behind)
        if tail is None:
            if len(behind) == _COOKIE_TAIL_OCTETS and form[0] & WITH_OPT:
                tail = self._cookie_tails.get(behind[:-8])
            if tail is None:
                return self._unusual(request)
        qtype = request[end : end + 2]
        name = request[12:end].lower()
        zones = self._zones
        zone = zones.get(name)
        if zone is None:
            if len(name) > names.MAX_NAME_OCTETS:  # or the walk would cost the square of what a TCP message holds
                return self._unusual(request)
            position = 0
            while True:
                length = name[position]
                if not length:
                    break
                if length > 63:
                    return self._unusual(request)
                position += length + 1
                if position >= len(name):
                    return self._unusual(request)  # a label holds a zero octet, and the name does not end here
                zone = zones.get(name[position:])
                if zone is not None:
                    break
        elif qtype == _DS:
            zone = self._table.find(name, Type.DS) or zone  # at an apex: the parent's to answer
        if qtype in _UNUSUAL_TYPES:
            return self._unusual(request)
        if zone is None:
            plan = self._refused
        else:
            if tail.dnssec_ok:
                zone = zone.with_dnssec
            plans = zone.at.get(name) or zone.plans(name)
            plan = plans.get(qtype) or plans[OTHER_KEY]
            if plan.direct:
                assert isinstance(zone, ServedZone)
                plan = zone.direct(plans, name, int.from_bytes(qtype, "big"))
        return self._response(request, end, len(name), qtype, plan, form[0], tail)

    def _response(
        self, request: bytes, end: int, name_octets: int, qtype: bytes, plan: Plan, form: int, tail: _Tail
    ) -> bytes:
        """The plan with the question put in; `end` is behind the question's name. Cut where it must be."""
        question = request[12 : end + 4]
        body = plan.wire
        if body is None:
            body = plan.body(name_octets)
        opt = tail.opt
        if end + 4 + plan.octets + len(opt) <= tail.limit:
            response = request[:2] + plan.heads[form] + question + body + opt
        else:
            stop = plan.stop(tail.limit - end - 4 - len(opt))
            words = heads(plan.rcode, plan.authoritative, stop.truncated, stop.counts)
            response = request[:2] + words[form] + question + body[: stop.octets] + opt
        self.tally[plan.rcode][qtype if qtype in NAMED_TYPES else OTHER_KEY] += 1
        self.sizes[len(response) >> SIZE_SHIFT] += 1
        return response

    def _unusual(self, request: bytes) -> bytes | Query | None:
        """The whole ladder, one rung after the other."""
        if not is_request(request):
            return None
        try:
            query = parse_query(request)
        except Malformed as error:
            return self._error(request, error.question, Rcode.FORMERR, error.edns)
        if query.edns is not None and query.edns.version != 0:  # first of all: what else it says, only it knows
            return self._error(request, query.question, Rcode.BADVERS, query.edns)  # RFC 6891 §6.1.3
        if query.opcode not in (Opcode.QUERY, Opcode.NOTIFY):
            return self._error(request, query.question, Rcode.NOTIMP, query.edns)
        if query.tsig is not None:
            return self._unknown_key(request, query, query.tsig)
        if query.opcode == Opcode.NOTIFY:  # no zone has a primary elsewhere (RFC 1996 §3.11 leaves the rcode open)
            return self._error(request, query.question, Rcode.NOTAUTH, query.edns)
        if query.qclass == Class.CH:
            return self._chaos_response(request, query)
        if query.qclass != Class.IN:
            return self._error(request, query.question, Rcode.REFUSED, query.edns)
        if query.qtype in (Type.AXFR, Type.IXFR):
            return query
        if query.qtype in _REFUSED_TYPES:
            return self._error(request, query.question, _REFUSED_TYPES[query.qtype], query.edns)
        return self._ordinary(request, query)

    def _unknown_key(self, request: bytes, query: Query, tsig: Tsig) -> bytes:
        """No key is known, so none can be verified (RFC 8945 §5.2.1). Names of hundreds of octets may leave no room
        for TSIG; then TC sends the client to TCP."""
        refusal = tsig_refusal(tsig, Rcode.BADKEY)
        tail = self._tail(query)
        if HEADER_OCTETS + len(query.question) + len(tail.opt) + len(refusal) <= tail.limit:
            return self._error(request, query.question, Rcode.NOTAUTH, query.edns, refusal)
        plain = self._error(request, query.question, Rcode.NOTAUTH, query.edns)
        return plain[:2] + bytes((plain[2] | Flag.TC >> 8,)) + plain[3:]

    def _ordinary(self, request: bytes, query: Query) -> bytes:
        zone = self._table.find(query.qname, query.qtype)
        qtype = query.qtype.to_bytes(2, "big")
        form = _form(query)
        tail = self._tail(query)
        if zone is None:
            plan = self._refused
        else:
            plan = (zone.with_dnssec if tail.dnssec_ok else zone).plan(query.qname, query.qtype)
        end = HEADER_OCTETS + len(query.qname)
        cookie = query.edns is not None and _is_client_cookie(query.edns.options)
        if cookie or (query.edns is not None and query.edns.options in (b"", _ASKING_NSID)):
            kept = self._cookie_tails if cookie else self._kept_tails
            if len(kept) >= _MAX_KEPT_TAILS:
                kept.clear()  # the usual ones are back at once; kept out they would be slow for good
            behind = request[end + 2 :]
            kept[behind[:-8] if cookie else behind] = tail
        return self._response(request, end, len(query.qname), qtype, plan, form, tail)

    def _tail(self, query: Query) -> _Tail:
        edns = query.edns
        if edns is None:
            return _Tail(MAX_TCP_OCTETS if self._tcp else PLAIN_UDP_OCTETS, b"")
        limit = MAX_TCP_OCTETS if self._tcp else min(edns.payload, self._payload)
        return _Tail(limit, opt_record(self._payload, 0, edns.dnssec_ok, self._options(edns)), edns.dnssec_ok)

    def _options(self, edns: Edns) -> bytes:
        """Of the response. NSID to who asks for it, in a version that we know (RFC 5001 §2.2); no other as yet."""
        return self._nsid if self._nsid and edns.version == 0 and edns.has_option(_NSID) else b""

    def _chaos_response(self, request: bytes, query: Query) -> bytes:
        text = self._chaos.text(query.qname) if query.qtype in (Type.TXT, Type.ANY) else None
        if text is None:
            return self._error(request, query.question, Rcode.REFUSED, query.edns)
        encoder = Encoder(query.qname)
        octets = text.encode()[:255]
        encoder.rrset(QUESTION, Type.TXT, 0, (bytes((len(octets),)) + octets,))
        record = bytes(encoder.wire)
        record = record[:4] + Class.CH.to_bytes(2, "big") + record[6:]  # pointer, type, class
        plain = self._error(request, query.question, Rcode.NOERROR, query.edns)
        end = HEADER_OCTETS + len(query.question)
        aa = plain[2] | Flag.AA >> 8
        return plain[:2] + bytes((aa,)) + plain[3:6] + b"\0\1" + plain[8:end] + record + plain[end:]

    def _error(self, request: bytes, question: bytes, rcode: Rcode, edns: Edns | None, tsig: bytes = b"") -> bytes:
        options = b"" if edns is None else self._options(edns)
        response = simple_response(request, question, rcode, edns, self._payload, tsig, options)
        qtype = question[-4:-2]
        self.tally[rcode][qtype if qtype in NAMED_TYPES else OTHER_KEY] += 1
        self.sizes[len(response) >> SIZE_SHIFT] += 1
        return response

    def server_failure(self, request: bytes) -> bytes | None:
        """What is sent when `respond` raised: the barrier at the outermost loop counts, logs and calls this."""
        if not is_request(request):
            return None
        return self._error(request, b"", Rcode.SERVFAIL, None)

    def refuse(self, request: bytes, query: Query, rcode: Rcode) -> bytes:
        """The refusal of a request that `respond` handed back."""
        return self._error(request, query.question, rcode, query.edns)

    def soa_alone(self, request: bytes, query: Query) -> bytes:
        """The answer to an IXFR query whose asker is up to date, or that came by UDP (RFC 1995 §2, §4)."""
        qtype = Type.SOA.to_bytes(2, "big")
        zone = self._table.by_apex[query.qname]
        form = _form(query)
        end = HEADER_OCTETS + len(query.qname)
        plan = zone.plan(query.qname, Type.SOA)
        return self._response(request, end, len(query.qname), qtype, plan, form, self._tail(query))


def _is_client_cookie(options: bytes) -> bool:
    """A lone COOKIE option with a client cookie only (RFC 7873 §4): what many resolvers send with every query."""
    return len(options) == 12 and options.startswith(b"\0\x0a\0\x08")


def _form(query: Query) -> int:
    """Which of the eight headers a plan is sent with."""
    form = (query.flags & Flag.RD and WITH_RD) | (query.flags & Flag.CD and WITH_CD)
    return form | (query.edns is not None and WITH_OPT)
