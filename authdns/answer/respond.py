"""From the bytes of a request to the bytes of its response: the ladder.

Nearly every query is an ordinary question with nothing or a bare OPT behind it. For those `respond` does as little as
Python allows: the header words and the tail behind the question are looked up whole, the name is cut out and folded by
two C calls, and what it finds in the zone proves that the name is well-formed (a name that walks label by label to the
apex of a zone of ours is a name). Everything else climbs the ladder: header, form, TSIG, EDNS version, cookie, opcode,
class, type, zone. Requests that need to know who asks (transfers, NOTIFY) are handed back as a Query, with the `signer`
that proves the key, if there is one; this layer knows no permissions. Two guards stand in front of the lookup, where
they are there: `cookies` reads and answers COOKIE, and `limiter` says whether who asks may have a response.

Whatever answers a request whose TSIG was right is signed, and room for that is kept: `_signed` is the last step.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from authdns.answer.compiler import OTHER_KEY, WITH_CD, WITH_OPT, WITH_RD, Plan, failure, heads, truncated
from authdns.answer.cookies import CLIENT_COOKIE_OCTETS, Cookies, CookieState
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.limiter import Limited, Limiter
from authdns.wire import name as names
from authdns.wire.message import (
    COOKIE,
    COOKIE_OCTETS,
    EXPIRE,
    MAX_NSID_OCTETS,
    PADDING,
    QUESTION,
    Encoder,
    answering_options,
    opt_record,
    simple_response,
)
from authdns.wire.query import HEADER_OCTETS, Edns, Malformed, NoQuestion, Query, is_request, parse_query
from authdns.wire.tsig import Fault, Key, Tsig, unsigned_refusal, verify, with_record
from authdns.wire.types import Class, Flag, Opcode, Rcode, Type, named_types

MAX_TCP_OCTETS = 65535
PLAIN_UDP_OCTETS = 512  # RFC 1035 §4.2.1
_MAX_KEPT_TAILS = 4096  # forms of OPT remembered; there are 65,536 payload sizes
PADDING_BLOCK_OCTETS = 468  # RFC 8467 §4.1
SIZE_SHIFT = 6  # sizes are counted in steps of 64 octets

NANOSECONDS = 1_000_000_000

_NSID = 3  # an option (RFC 5001)
_ASKING_NSID = b"\0\3\0\0"
# A lone COOKIE option: the first cookie to a server, and every later one. In front of what it holds stand the class,
# OPT, code and length; that is how far tails with cookies are remembered.
_LONE_COOKIES = (bytes((0, COOKIE, 0, CLIENT_COOKIE_OCTETS)), bytes((0, COOKIE, 0, COOKIE_OCTETS)))
_COOKIE_AT = 2 + 11 + 4

_OPT = b"\0\0\x29"  # its owner and type
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
_TELLING_EXPIRY = (Type.SOA, Type.AXFR, Type.IXFR)  # RFC 7314 §3
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
    opt: bytes  # the OPT to send back, or b""; where `cookie`, without what COOKIE holds, which is at its end
    dnssec_ok: bool = False
    cookie: bool = False


class Responder:
    """Answers requests of one transport; one instance each for UDP, TCP and TLS, over the same table of zones. With
    `pads`, who sends the Padding option gets it back (RFC 7830 §4; never without encryption, §6).

    `keys` are those of TSIG, by name; they may be replaced at any time. `expiry` says in how many seconds a zone
    expires, from its apex and what its SOA says. `distrusted` is told of each request whose TSIG
    is not right: the client's address, the request, what is wrong. `tally` counts responses: rcode -> type (two octets,
    those without a name as OTHER_KEY) -> number; `sizes` counts them in steps of 64 octets.
    """

    def __init__(
        self,
        table: ZoneTable,
        *,
        tcp: bool,
        payload: int = 1232,
        chaos: Chaos | None = None,
        cookies: Cookies | None = None,
        limiter: Limiter | None = None,
        pads: bool = False,
    ) -> None:
        self._zones = table.by_apex
        self._pads = pads
        self._table = table
        self._tcp = tcp
        self._payload = payload
        self._chaos = chaos or Chaos()
        self._nsid = self._chaos.nsid
        self._cookies = cookies
        self._limiter = limiter
        self.keys: Mapping[bytes, Key] = {}
        self.expiry: Callable[[bytes, int], int] = lambda apex, expire: expire
        self.distrusted: Callable[[str, Query, Fault], None] = lambda host, query, fault: None
        self._refused = failure(Rcode.REFUSED)
        self._truncated = truncated()
        plain = {_IN: _Tail(MAX_TCP_OCTETS if tcp else PLAIN_UDP_OCTETS, b"")}
        with_opt: dict[bytes, _Tail] = {}
        # Octets of such a tail -> tails without what the cookie holds.
        self._cookie_tails: dict[int, dict[bytes, _Tail]] = {_COOKIE_AT + lone[3]: {} for lone in _LONE_COOKIES}
        # Octets 2-12 of a request -> (form of the header to answer with, known tails, those with a cookie). QUERY with
        # RD, AD, CD in any combination; AD in a query asks for AD in the answer (RFC 6840 §5.7), which an authority
        # never sets.
        self._forms: dict[bytes, tuple[int, dict[bytes, _Tail], dict[int, dict[bytes, _Tail]]]] = {}
        for bits in range(8):
            flags = (bits & 1 and Flag.RD) | (bits & 2 and Flag.CD) | (bits & 4 and Flag.AD)
            form = (bits & 1 and WITH_RD) | (bits & 2 and WITH_CD)
            words = flags.to_bytes(2, "big") + b"\0\1\0\0\0\0\0"
            self._forms[words + b"\0"] = (form, plain, {})
            self._forms[words + b"\1"] = (form | WITH_OPT, with_opt, self._cookie_tails)
        self._kept_tails = with_opt
        self.tally: dict[int, defaultdict[bytes, int]] = {rcode: defaultdict(int) for rcode in range(24)}
        self.sizes = [0] * ((MAX_TCP_OCTETS >> SIZE_SHIFT) + 1)

    def respond(self, request: bytes, host: str = "", now: int = 0) -> bytes | Query | None:
        """The response; None for what gets none; a Query for what this layer does not decide. `host` is the client's
        address, `now` in nanoseconds since 1970; without guards nobody asks for them."""
        form = self._forms.get(request[2:12])
        if form is None:
            return self._unusual(request, host, now)
        end = request.find(0, 12) + 1
        behind = request[end + 2 :]
        tail = form[1].get(behind)
        if tail is None:
            with_cookie = form[2].get(len(behind))
            if with_cookie is not None:
                tail = with_cookie.get(behind[:_COOKIE_AT])
            if tail is None:
                return self._unusual(request, host, now)
        qtype = request[end : end + 2]
        name = request[12:end].lower()
        zones = self._zones
        zone = zones.get(name)
        if zone is None:
            if len(name) > names.MAX_NAME_OCTETS:  # or the walk would cost the square of what a TCP message holds
                return self._unusual(request, host, now)
            position = 0
            while True:
                length = name[position]
                if not length:
                    break
                if length > 63:
                    return self._unusual(request, host, now)
                position += length + 1
                if position >= len(name):
                    # A label holds a zero octet, and the name does not end here.
                    return self._unusual(request, host, now)
                zone = zones.get(name[position:])
                if zone is not None:
                    break
        elif qtype == _DS:
            zone = self._table.find(name, Type.DS) or zone  # at an apex: the parent's to answer
        if qtype in _UNUSUAL_TYPES:
            return self._unusual(request, host, now)
        opt = tail.opt
        limiter = self._limiter
        if tail.cookie:
            assert self._cookies is not None
            cookie, state = self._cookies.answer(behind[_COOKIE_AT:], host, now // NANOSECONDS)
            opt += cookie
            if state is CookieState.VALID:
                limiter = None
        cut = False
        if limiter is not None and limiter.is_over(host, now):
            limited = limiter.limited(host)
            if limited is Limited.DROPPED:
                return None
            cut = limited is Limited.TRUNCATED
        if zone is None:
            plan = self._refused
        elif cut:
            plan = self._truncated
        else:
            if tail.dnssec_ok:
                zone = zone.with_dnssec
            plans = zone.at.get(name) or zone.plans(name)
            plan = plans.get(qtype) or plans[OTHER_KEY]
            if plan.direct:
                assert isinstance(zone, ServedZone)
                plan = zone.direct(plans, name, int.from_bytes(qtype, "big"))
        return self._response(request, end, len(name), qtype, plan, form[0], tail.limit, opt)

    def _response(
        self,
        request: bytes,
        end: int,
        name_octets: int,
        qtype: bytes,
        plan: Plan,
        form: int,
        limit: int,
        opt: bytes,
    ) -> bytes:
        """The plan with the question put in; `end` is behind the question's name. Cut where it must be."""
        question = request[12 : end + 4]
        body = plan.wire
        if body is None:
            body = plan.body(name_octets)
        if end + 4 + plan.octets + len(opt) <= limit:
            response = request[:2] + plan.heads[form] + question + body + opt
        else:
            stop = plan.stop(limit - end - 4 - len(opt))
            words = heads(plan.rcode, plan.authoritative, stop.truncated, stop.counts)
            response = request[:2] + words[form] + question + body[: stop.octets] + opt
        self.tally[plan.rcode][qtype if qtype in NAMED_TYPES else OTHER_KEY] += 1
        self.sizes[len(response) >> SIZE_SHIFT] += 1
        return response

    def _unusual(self, request: bytes, host: str, now: int) -> bytes | Query | None:
        """The long way: reading, the guards, and the ladder."""
        if not is_request(request):
            return None
        query = None
        only_question_missing = False
        try:
            query = parse_query(request)
            question, edns = query.question, query.edns
        except Malformed as error:  # not kept, or it and this frame would hold each other
            question, edns = error.question, error.edns
            only_question_missing = isinstance(error, NoQuestion)
        state = None
        if self._cookies is not None and edns is not None and edns.version == 0:
            asked = edns.option(COOKIE)  # the first one, if there are several (RFC 7873 §5.2)
            if asked is not None:
                cookie, state = self._cookies.answer(asked, host, now // NANOSECONDS)
                edns = replace(edns, cookie=cookie)
        limited = None
        if self._limiter is not None and state is not CookieState.VALID and self._limiter.is_over(host, now):
            limited = self._limiter.limited(host)
            if limited is Limited.DROPPED:
                return None
        if query is not None:
            query = query if edns is query.edns else replace(query, edns=edns)
            if query.tsig is not None:
                return self._with_tsig(request, query, query.tsig, state, limited is Limited.TRUNCATED, host, now)
            query, response = self._ladder(request, query, state, limited is Limited.TRUNCATED)
            return query if response is None else self._padded(query, response)
        rcode = Rcode.FORMERR
        if only_question_missing and state not in (None, CookieState.MALFORMED):  # RFC 7873 §5.4
            rcode = Rcode.BADCOOKIE if state is CookieState.INVALID else Rcode.NOERROR
        return self._error(request, question, rcode, edns)

    def _ladder(
        self, request: bytes, query: Query, cookie: CookieState | None, cut: bool
    ) -> tuple[Query, bytes | None]:
        """One rung after the other: the query, with what it is to be told besides, and the response, None if another
        layer has to decide. `cut`: what would get records gets TC."""
        if query.opcode == Opcode.QUERY and query.qclass == Class.IN and cookie is not CookieState.MALFORMED:
            query = self._with_expiry(query)
        return query, self._rungs(request, query, cookie, cut)

    def _rungs(self, request: bytes, query: Query, cookie: CookieState | None, cut: bool) -> bytes | None:
        if query.edns is not None and query.edns.version != 0:  # first of all: what else it says, only it knows
            return self._error(request, query.question, Rcode.BADVERS, query.edns)  # RFC 6891 §6.1.3
        if cookie is CookieState.MALFORMED:  # RFC 7873 §5.2.2
            return self._error(request, query.question, Rcode.FORMERR, query.edns)
        if query.opcode not in (Opcode.QUERY, Opcode.NOTIFY):
            return self._error(request, query.question, Rcode.NOTIMP, query.edns)
        if query.opcode == Opcode.NOTIFY:
            if query.qclass != Class.IN or query.qtype != Type.SOA:  # RFC 1996 §3.7: nothing else is announced
                return self._error(request, query.question, Rcode.NOTAUTH, query.edns)
            return None
        if query.qclass == Class.CH:
            return self._chaos_response(request, query, cut)
        if query.qclass != Class.IN:
            return self._error(request, query.question, Rcode.REFUSED, query.edns)
        if query.qtype in (Type.AXFR, Type.IXFR):
            return self._sent(request, query, self._truncated) if cut else None
        if query.qtype in _REFUSED_TYPES:
            return self._error(request, query.question, _REFUSED_TYPES[query.qtype], query.edns)
        return self._ordinary(request, query, cut)

    def _with_expiry(self, query: Query) -> Query:
        """EXPIRE goes to who asks for it (RFC 7314 §3)."""
        zone, edns = self._zones.get(query.qname), query.edns
        if query.qtype not in _TELLING_EXPIRY or not isinstance(zone, ServedZone):
            return query
        if edns is None or edns.version != 0 or edns.option(EXPIRE) is None:
            return query
        seconds = max(0, self.expiry(query.qname, zone.zone.soa.expire))
        return replace(query, edns=replace(edns, expire=seconds))

    def _with_tsig(
        self,
        request: bytes,
        query: Query,
        tsig: Tsig,
        cookie: CookieState | None,
        cut: bool,
        host: str,
        now: int,
    ) -> bytes | Query:
        """TSIG comes before every other decision (RFC 8945 §5.2); what follows is signed."""
        found = verify(self.keys, request, tsig, now // NANOSECONDS)
        if isinstance(found, Fault):
            self.distrusted(host, query, found)
            if query.edns is not None and query.edns.version != 0:  # as BIND and Knot: RFC 6891 §6.1.3 has no exception
                return self._error(request, query.question, Rcode.BADVERS, query.edns)
            return self._distrusted_response(request, query, tsig, found)
        query = replace(query, signer=found)
        query, response = self._ladder(request, query, cookie, cut)
        return query if response is None else self._signed(request, query, response)

    def _distrusted_response(self, request: bytes, query: Query, tsig: Tsig, fault: Fault) -> bytes:
        """Says what is wrong with TSIG. Names of hundreds of octets may leave no room for that; then TC sends the
        client to TCP."""
        plain = self._error(request, query.question, fault.rcode, query.edns)
        if not fault.error:
            return plain
        if fault.signer is not None:
            whole = fault.signer.refuse(plain, tsig, fault.error)
        else:
            whole = with_record(plain, unsigned_refusal(tsig, fault.error))
        if len(whole) > self._limit(query):
            return _with_tc(plain)
        self._recount(plain, whole)
        return whole

    def _signed(self, request: bytes, query: Query, response: bytes) -> bytes:
        """With TSIG, if the request had one that was right. If there is no room for all of it, there is the question
        and TSIG, with TC and NOERROR (RFC 8945 §5.3); if not even for that, TC alone."""
        signer = query.signer
        if signer is None:
            return self._padded(query, response)
        limit = self._limit(query)
        whole = response
        if response[2] & Flag.TC >> 8 or len(response) + signer.octets > limit:
            options = b"" if query.edns is None else self._options(query.edns)
            bare = simple_response(request, query.question, Rcode.NOERROR, query.edns, self._payload, options)
            whole = _with_tc(bare)
        if len(whole) + signer.octets <= limit:
            whole = signer.sign(self._padded(query, whole, signer.octets), signer.verified_at)
        self._recount(response, whole)
        return whole

    def _padded(self, query: Query, response: bytes, more: int = 0) -> bytes:
        """With the Padding option behind the other options, if it was asked for and there is an OPT to hold it. `more`
        octets will come behind it."""
        edns = query.edns
        if not self._pads or edns is None or edns.version != 0 or edns.option(PADDING) is None:
            return response
        options = self._options(edns)
        behind_opt = len(response) - len(options)
        padding = -(len(response) + 4 + more) % PADDING_BLOCK_OCTETS
        if response[behind_opt - 11 : behind_opt - 8] != _OPT or len(response) + 4 + padding + more > MAX_TCP_OCTETS:
            return response
        length = (len(options) + 4 + padding).to_bytes(2, "big")
        option = PADDING.to_bytes(2, "big") + padding.to_bytes(2, "big") + bytes(padding)
        padded = response[: behind_opt - 2] + length + options + option
        if not more:
            self._recount(response, padded)
        return padded

    def _recount(self, plain: bytes, signed: bytes) -> None:
        """The response was counted before it was padded and signed."""
        self.sizes[len(plain) >> SIZE_SHIFT] -= 1
        self.sizes[len(signed) >> SIZE_SHIFT] += 1

    def _ordinary(self, request: bytes, query: Query, cut: bool) -> bytes:
        zone = self._table.find(query.qname, query.qtype)
        tail = self._tail(query)
        if zone is None:
            plan = self._refused
        elif cut:
            plan = self._truncated
        else:
            plan = (zone.with_dnssec if tail.dnssec_ok else zone).plan(query.qname, query.qtype)
        if query.tsig is None:
            self._keep_tail(request, query, tail)
        return self._sent(request, query, plan, tail)

    def _keep_tail(self, request: bytes, query: Query, tail: _Tail) -> None:
        """For the short way."""
        behind = request[HEADER_OCTETS + len(query.qname) + 2 :]
        options = None if query.edns is None else query.edns.options
        if options in (b"", _ASKING_NSID):
            _keep(self._kept_tails, behind, tail)
        elif options is not None and options[:4] in _LONE_COOKIES and len(options) - 4 == options[3]:
            _keep(self._cookie_tails[len(behind)], behind[:_COOKIE_AT], tail)

    def _sent(self, request: bytes, query: Query, plan: Plan, tail: _Tail | None = None) -> bytes:
        """The plan as the response to a query that was read."""
        if tail is None:
            tail = self._tail(query)
        opt = tail.opt if query.edns is None else tail.opt + query.edns.cookie
        qtype = query.qtype.to_bytes(2, "big")
        end = HEADER_OCTETS + len(query.qname)
        limit = tail.limit
        if query.signer is not None:  # cut so that TSIG has room; where nothing can be cut, `_signed` sees to it
            room = limit - query.signer.octets
            if any(end + 4 + stop.octets + len(opt) <= room for stop in plan.stops):
                limit = room
        return self._response(request, end, len(query.qname), qtype, plan, _form(query), limit, opt)

    def _limit(self, query: Query) -> int:
        """The octets of a response to it."""
        if self._tcp:
            return MAX_TCP_OCTETS
        return PLAIN_UDP_OCTETS if query.edns is None else min(query.edns.payload, self._payload)

    def _tail(self, query: Query) -> _Tail:
        edns = query.edns
        if edns is None:
            return _Tail(self._limit(query), b"")
        opt = opt_record(self._payload, 0, edns.dnssec_ok, self._options(edns))
        return _Tail(self._limit(query), opt[: len(opt) - len(edns.cookie)], edns.dnssec_ok, bool(edns.cookie))

    def _options(self, edns: Edns) -> bytes:
        """Of the response. NSID to who asks for it, in a version that we know (RFC 5001 §2.2), and COOKIE."""
        options = self._nsid if self._nsid and edns.version == 0 and edns.option(_NSID) is not None else b""
        return options + answering_options(edns)

    def _chaos_response(self, request: bytes, query: Query, cut: bool) -> bytes:
        text = self._chaos.text(query.qname) if query.qtype in (Type.TXT, Type.ANY) else None
        if text is None:
            return self._error(request, query.question, Rcode.REFUSED, query.edns)
        if cut:
            return self._sent(request, query, self._truncated)
        encoder = Encoder(query.qname)
        octets = text.encode()[:255]
        encoder.rrset(QUESTION, Type.TXT, 0, (bytes((len(octets),)) + octets,))
        record = bytes(encoder.wire)
        record = record[:4] + Class.CH.to_bytes(2, "big") + record[6:]  # pointer, type, class
        plain = self._error(request, query.question, Rcode.NOERROR, query.edns)
        end = HEADER_OCTETS + len(query.question)
        aa = plain[2] | Flag.AA >> 8
        return plain[:2] + bytes((aa,)) + plain[3:6] + b"\0\1" + plain[8:end] + record + plain[end:]

    def _error(self, request: bytes, question: bytes, rcode: Rcode, edns: Edns | None) -> bytes:
        options = b"" if edns is None else self._options(edns)
        response = simple_response(request, question, rcode, edns, self._payload, options)
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
        return self._signed(request, query, self._error(request, query.question, rcode, query.edns))

    def accept(self, request: bytes, query: Query) -> bytes:
        """The answer to a NOTIFY that was taken: the question, with AA (RFC 1996 §3.8)."""
        plain = self._error(request, query.question, Rcode.NOERROR, query.edns)
        return self._signed(request, query, plain[:2] + bytes((plain[2] | Flag.AA >> 8,)) + plain[3:])

    def soa_alone(self, request: bytes, query: Query) -> bytes:
        """The answer to an IXFR query whose asker is up to date, or that came by UDP (RFC 1995 §2, §4)."""
        plan = self._table.by_apex[query.qname].plan(query.qname, Type.SOA)
        return self._signed(request, query, self._sent(request, replace(query, qtype=Type.SOA), plan))


def _keep(kept: dict[bytes, _Tail], behind: bytes, tail: _Tail) -> None:
    if len(kept) >= _MAX_KEPT_TAILS:
        kept.clear()  # the usual ones are back at once; kept out they would be slow for good
    kept[behind] = tail


def _with_tc(response: bytes) -> bytes:
    return response[:2] + bytes((response[2] | Flag.TC >> 8,)) + response[3:]


def _form(query: Query) -> int:
    """Which of the eight headers a plan is sent with."""
    form = (query.flags & Flag.RD and WITH_RD) | (query.flags & Flag.CD and WITH_CD)
    return form | (query.edns is not None and WITH_OPT)
