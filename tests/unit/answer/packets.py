"""Packets as strangers send them, usual and unusual, and what a response says of itself in one line.

The table is used twice: `test_respond.py` holds authdns to it, `tests/interop/test_header_table.py` sends the same
packets to its peers.
"""

from typing import NamedTuple

import dns.flags
import dns.message
import dns.rcode
import dns.rdtypes.ANY.TSIG

from authdns.wire import name as names
from authdns.wire.types import Class, Flag, Opcode, Type, type_from_text

ZONE = """\
$ORIGIN example.com.
$TTL 300
@       IN SOA   ns1 hostmaster 7 86400 43200 2419200 300
        IN NS    ns1
        IN NS    ns2
        IN TXT   "apex"
ns1     IN A     192.0.2.1
ns2     IN A     192.0.2.2
www     IN A     192.0.2.80
big     IN TXT   "{filler}" "1"
        IN TXT   "{filler}" "2"
        IN TXT   "{filler}" "3"
        IN TXT   "{filler}" "4"
huge    IN TXT   "{filler}" "1"
        IN TXT   "{filler}" "2"
        IN TXT   "{filler}" "3"
        IN TXT   "{filler}" "4"
        IN TXT   "{filler}" "5"
        IN TXT   "{filler}" "6"
        IN TXT   "{filler}" "7"
""".replace("{filler}", "x" * 200)

WWW = names.from_text("www.example.com.")
APEX = names.from_text("example.com.")
IDENT = b"\x12\x34"


def header(flags: int = 0, counts: tuple[int, int, int, int] = (1, 0, 0, 0), opcode: int = 0) -> bytes:
    words = (flags | opcode << 11, *counts)
    return IDENT + b"".join(word.to_bytes(2, "big") for word in words)


def question(name: bytes = WWW, qtype: int = Type.A, qclass: int = Class.IN) -> bytes:
    return name + qtype.to_bytes(2, "big") + qclass.to_bytes(2, "big")


def record(owner: bytes, rrtype: int, rrclass: int, ttl: int, rdata: bytes) -> bytes:
    fixed = rrtype.to_bytes(2, "big") + rrclass.to_bytes(2, "big") + ttl.to_bytes(4, "big")
    return owner + fixed + len(rdata).to_bytes(2, "big") + rdata


def opt(
    payload: int = 1232, version: int = 0, flags: int = 0, options: bytes = b"", owner: bytes = b"\0", rcode: int = 0
) -> bytes:
    return record(owner, Type.OPT, payload, rcode << 24 | version << 16 | flags, options)


def option(code: int, data: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def tsig(
    owner: bytes = b"\x03key\0",
    algorithm: bytes = b"\x0bhmac-sha256\0",
    mac: bytes = b"\x55" * 32,
    other: bytes = b"",
    rrclass: int = Class.ANY,
    ttl: int = 0,
) -> bytes:
    rdata = algorithm + (1_700_000_000).to_bytes(6, "big") + b"\x01\x2c" + len(mac).to_bytes(2, "big") + mac
    rdata += IDENT + b"\0\0" + len(other).to_bytes(2, "big") + other
    return record(owner, Type.TSIG, rrclass, ttl, rdata)


def soa_record(owner: bytes = APEX, serial: int = 6) -> bytes:
    return record(owner, Type.SOA, Class.IN, 0, b"\0\0" + serial.to_bytes(4, "big") + bytes(16))


def query(
    name: bytes = WWW, qtype: int = Type.A, qclass: int = Class.IN, *, flags: int = 0, edns: bytes = b"", more: int = 0
) -> bytes:
    """A query; `edns` is an OPT record (or anything else: `more` further records are in it) behind the question."""
    return header(flags, (1, 0, 0, bool(edns) + more)) + question(name, qtype, qclass) + edns


class Case(NamedTuple):
    """`expected` is what `seen` says of the response of authdns by UDP, and by TCP if `tcp` does not say otherwise;
    with cookies it is `with_cookies`, if that says something."""

    name: str
    packet: bytes
    expected: str
    tcp: str | None = None
    with_cookies: str | None = None


NO_RESPONSE = "no response"
HANDED_BACK = "handed back"


def seen(request: bytes, response: bytes | None) -> str:
    """`RCODE flags [question] answer/authority/additional [opt] [tsig]`, OPT and TSIG not counted in the numbers."""
    if response is None:
        return NO_RESPONSE
    if len(response) < 12:
        return f"{len(response)} octets"
    message = dns.message.from_wire(response, keyring=False, one_rr_per_rrset=True)
    words = [dns.rcode.to_text(message.rcode())]
    words += [
        flag.name.lower() for flag in (Flag.AA, Flag.TC, Flag.RD, Flag.RA, Flag.AD, Flag.CD) if message.flags & flag
    ]
    if message.flags & 0x0040:
        words.append("z")
    if message.question:
        wire = response[12 : 12 + len(question_of(response))]
        words.append("question" if request[12:].startswith(wire) else "another-question")
    words.append(f"{len(message.answer)}/{len(message.authority)}/{len(message.additional)}")
    if message.edns >= 0:
        words.append(f"opt{message.edns}:{message.payload}")
        words += ["do"] if message.ednsflags & dns.flags.DO else []
        words += [f"ednsflags:{message.ednsflags & 0x7FFF:x}"] if message.ednsflags & 0x7FFF else []
        words += [f"option{each.otype}" for each in message.options]
    if message.tsig is not None:
        rdata = message.tsig[0]
        assert isinstance(rdata, dns.rdtypes.ANY.TSIG.TSIG)
        words.append(f"tsig:{dns.rcode.to_text(dns.rcode.Rcode(rdata.error))}" + (":signed" if rdata.mac else ""))
    if message.opcode() != request[2] >> 3 & 15:
        words.append("another-opcode")
    if message.id != int.from_bytes(request[:2], "big"):
        words.append("another-id")
    if not message.flags & Flag.QR:
        words.append("not-a-response")
    return " ".join(words)


def question_of(message: bytes) -> bytes:
    """The bytes of the first question."""
    end = 12
    while message[end]:
        end += message[end] + 1
    return message[12 : end + 5]


def _cases() -> list[Case]:
    ok, ok_opt = "NOERROR aa question 1/0/0", "NOERROR aa question 1/0/0 opt0:1232"
    nodata_opt = "NOERROR aa question 0/1/0 opt0:1232"
    formerr, formerr_q, formerr_q_opt = "FORMERR 0/0/0", "FORMERR question 0/0/0", "FORMERR question 0/0/0 opt0:1232"
    notimp, refused = "NOTIMP question 0/0/0", "REFUSED question 0/0/0"
    plain = query()
    cases = [
        # The header
        Case("a plain query", plain, ok),
        Case("RD", query(flags=Flag.RD), "NOERROR aa rd question 1/0/0"),
        Case("CD", query(flags=Flag.CD), "NOERROR aa cd question 1/0/0"),
        Case("AD", query(flags=Flag.AD), ok),
        Case("RD, AD and CD", query(flags=0x0130), "NOERROR aa rd cd question 1/0/0"),
        Case("Z", query(flags=0x0040), ok),
        Case("TC", query(flags=Flag.TC), ok),
        Case("AA", query(flags=Flag.AA), ok),
        Case("RA", query(flags=Flag.RA), ok),
        Case("an rcode in a query", query(flags=5), ok),
        Case("every flag", query(flags=0x07FF), "NOERROR aa rd cd question 1/0/0"),
        Case("a response", query(flags=0x8000), NO_RESPONSE),
        Case("a response with opcode 15", query(flags=0xF800), NO_RESPONSE),
        Case("a response with EDNS", query(flags=0x8000, edns=opt()), NO_RESPONSE),
        Case("a response with EDNS 1", query(flags=0x8000, edns=opt(version=1)), NO_RESPONSE),
        Case("the question's spelling", query(b"\x03wWw\x07ExAmPlE\x03CoM\0"), ok),
        # EDNS
        Case("EDNS", query(edns=opt()), ok_opt),
        Case("EDNS, DO", query(edns=opt(flags=0x8000)), ok_opt + " do"),
        Case("EDNS, CO (draft)", query(edns=opt(flags=0x4000)), ok_opt),
        Case("EDNS, an unknown flag", query(edns=opt(flags=0x0001)), ok_opt),
        Case("EDNS, every flag", query(edns=opt(flags=0xFFFF)), ok_opt + " do"),
        Case("EDNS, an extended rcode in a query", query(edns=opt(rcode=1)), ok_opt),
        Case("EDNS 1", query(edns=opt(version=1)), "BADVERS question 0/0/0 opt0:1232"),
        Case("EDNS 255, DO", query(edns=opt(version=255, flags=0x8000)), "BADVERS question 0/0/0 opt0:1232 do"),
        Case(
            "EDNS 1 with an option", query(edns=opt(version=1, options=option(100))), "BADVERS question 0/0/0 opt0:1232"
        ),
        Case(
            "EDNS 1 for a zone that is not here", query(b"\0", edns=opt(version=1)), "BADVERS question 0/0/0 opt0:1232"
        ),
        Case(
            "EDNS, RD, a name that does not exist",
            query(b"\2nx" + APEX, flags=Flag.RD, edns=opt()),
            "NXDOMAIN aa rd question 0/1/0 opt0:1232",
        ),
        Case("EDNS of 0 octets", query(edns=opt(payload=0)), ok_opt),
        Case("EDNS of 511 octets", query(edns=opt(payload=511)), ok_opt),
        Case("EDNS of 65535 octets", query(edns=opt(payload=65535)), ok_opt),
        Case("an unknown option", query(edns=opt(options=option(65001, b"\0\xff"))), ok_opt),
        Case("an empty unknown option", query(edns=opt(options=option(65001))), ok_opt),
        Case("NSID", query(edns=opt(options=option(3))), ok_opt),
        Case("client subnet", query(edns=opt(options=option(8, b"\0\1\x18\0\xc0\0\2"))), ok_opt),
        Case(
            "a client cookie",
            query(edns=opt(options=option(10, b"12345678"))),
            ok_opt,
            with_cookies=ok_opt + " option10",
        ),
        Case(
            "a cookie of 7 octets",
            query(edns=opt(options=option(10, b"1234567"))),
            ok_opt,
            with_cookies=formerr_q_opt,
        ),
        Case(
            "a cookie of 41 octets",
            query(edns=opt(options=option(10, bytes(41)))),
            ok_opt,
            with_cookies=formerr_q_opt,
        ),
        Case(
            "a cookie of another server",
            query(edns=opt(options=option(10, bytes(40)))),
            ok_opt,
            with_cookies=ok_opt + " option10",
        ),
        Case(
            "a cookie for a zone that is not here",
            query(b"\3org\0", edns=opt(options=option(10, bytes(8)))),
            refused + " opt0:1232",
            with_cookies=refused + " opt0:1232 option10",
        ),
        Case(
            "EXPIRE", query(APEX, Type.SOA, edns=opt(options=option(9))), "NOERROR aa question 1/0/0 opt0:1232 option9"
        ),
        Case("keepalive", query(edns=opt(options=option(11))), ok_opt),
        Case("padding", query(edns=opt(options=option(12, bytes(64)))), ok_opt),
        Case("sixteen options", query(edns=opt(options=option(65001, b"x") * 16)), ok_opt),
        Case("an option that is cut off", query(edns=opt(options=option(65001, b"abc")[:-1])), formerr_q_opt),
        Case("an option's header cut off", query(edns=opt(options=b"\0\3\0")), formerr_q_opt),
        Case("two OPTs", query(edns=opt() + opt(), more=1), formerr_q_opt),
        Case("two OPTs, EDNS 1", query(edns=opt(version=1) + opt(), more=1), formerr_q_opt),
        Case("three OPTs", query(edns=opt() * 3, more=2), formerr_q),
        Case("OPT not at the root", query(edns=opt(owner=b"\1a\0")), formerr_q),
        Case("OPT at the name in question", query(edns=opt(owner=b"\xc0\x0c")), formerr_q),
        Case("OPT not at the root, EDNS 1", query(edns=opt(owner=b"\1a\0", version=1)), formerr_q),
        Case("OPT at a pointer to the root", query(edns=opt(owner=b"\xc0\x1c")), formerr_q),
        Case("OPT in the answer section", header(counts=(1, 1, 0, 0)) + question() + opt(), formerr_q),
        Case("OPT in the authority section", header(counts=(1, 0, 1, 0)) + question() + opt(), formerr_q),
        # Sizes
        Case(
            "more than 512 octets",
            query(b"\3big" + APEX, Type.TXT),
            "NOERROR aa tc question 0/0/0",
            "NOERROR aa question 4/0/0",
        ),
        Case(
            "more than 512 octets with EDNS",
            query(b"\3big" + APEX, Type.TXT, edns=opt()),
            "NOERROR aa question 4/0/0 opt0:1232",
        ),
        Case(
            "more than 512 octets with EDNS of 512",
            query(b"\3big" + APEX, Type.TXT, edns=opt(payload=512)),
            "NOERROR aa tc question 0/0/0 opt0:1232",
            "NOERROR aa question 4/0/0 opt0:1232",
        ),
        Case(
            "more than 1,232 octets, EDNS of 4,096",
            query(b"\4huge" + APEX, Type.TXT, edns=opt(payload=4096)),
            "NOERROR aa tc question 0/0/0 opt0:1232",
            "NOERROR aa question 7/0/0 opt0:1232",
        ),
        # Opcodes
        *(Case(f"opcode {code}", header(opcode=code) + question(), notimp) for code in (1, 2, 3, 7, 15)),
        Case("opcode 15 with EDNS", header(counts=(1, 0, 0, 1), opcode=15) + question() + opt(), notimp + " opt0:1232"),
        Case(
            "opcode 15 with EDNS 1",
            header(counts=(1, 0, 0, 1), opcode=15) + question() + opt(version=1),
            "BADVERS question 0/0/0 opt0:1232",
        ),
        Case("opcode 15 without a question", header(counts=(0, 0, 0, 0), opcode=15), "NOTIMP 0/0/0"),
        Case("DSO keepalive", header(counts=(0, 0, 0, 0), opcode=6) + b"\0\1\0\x08" + bytes(8), "NOTIMP 0/0/0"),
        Case("opcode 15, RD and CD", header(0x0110, opcode=15) + question(), notimp),
        Case("NOTIFY", header(Flag.AA, opcode=Opcode.NOTIFY) + question(APEX, Type.SOA), "NOTAUTH question 0/0/0"),
        Case(
            "NOTIFY with the SOA",
            header(Flag.AA, (1, 1, 0, 0), Opcode.NOTIFY) + question(APEX, Type.SOA) + soa_record(),
            "NOTAUTH question 0/0/0",
        ),
        Case(
            "NOTIFY with EDNS",
            header(Flag.AA, (1, 0, 0, 1), Opcode.NOTIFY) + question(APEX, Type.SOA) + opt(),
            "NOTAUTH question 0/0/0 opt0:1232",
        ),
        Case(
            "NOTIFY for a zone that is not here",
            header(opcode=Opcode.NOTIFY) + question(b"\3org\0", Type.SOA),
            "NOTAUTH question 0/0/0",
        ),
        Case(
            "UPDATE",
            header(counts=(1, 0, 1, 0), opcode=Opcode.UPDATE)
            + question(APEX, Type.SOA)
            + record(WWW, Type.A, Class.ANY, 0, b""),
            notimp,
        ),
        Case(
            "UPDATE with EDNS",
            header(counts=(1, 0, 0, 1), opcode=Opcode.UPDATE) + question(APEX, Type.SOA) + opt(),
            notimp + " opt0:1232",
        ),
        # The sections
        Case("no question", header(counts=(0, 0, 0, 0)), formerr),
        Case("no question, EDNS", header(counts=(0, 0, 0, 1)) + opt(), "FORMERR 0/0/0 opt0:1232"),
        Case(
            "no question, a cookie",
            header(counts=(0, 0, 0, 1)) + opt(options=option(10, b"12345678")),
            "FORMERR 0/0/0 opt0:1232",
            with_cookies="NOERROR 0/0/0 opt0:1232 option10",
        ),
        Case(
            "no question, a cookie of another server",
            header(counts=(0, 0, 0, 1)) + opt(options=option(10, bytes(24))),
            "FORMERR 0/0/0 opt0:1232",
            with_cookies="BADCOOKIE 0/0/0 opt0:1232 option10",
        ),
        Case("two questions", header(counts=(2, 0, 0, 0)) + question() + question(APEX), formerr),
        Case("the same question twice", header(counts=(2, 0, 0, 0)) + question() * 2, formerr),
        Case("two questions, EDNS", header(counts=(2, 0, 0, 1)) + question() + question(APEX) + opt(), formerr),
        Case("two questions, one there", header(counts=(2, 0, 0, 0)) + question(), formerr),
        Case("65,535 questions", header(counts=(65535, 0, 0, 0)) + question(), formerr),
        Case("a question behind a pointer", query(b"\3www\xc0\x10"), formerr),
        Case("a question that points at itself", query(b"\xc0\x0c"), formerr),
        Case("a question that points at the header", query(b"\xc0\x00"), formerr),
        Case("a label of type 01", query(b"\x41a\0"), formerr),
        Case("a label of 64 octets", query(b"\x40" + b"a" * 64 + APEX), formerr),
        Case("a label of 64 octets, not ours", query(b"\x40" + b"a" * 64 + b"\3org\0", edns=opt()), formerr),
        Case("a label of type 10", query(b"\x81a\0"), formerr),
        Case("a header alone", header(), formerr),
        Case("a header alone, opcode 15", header(opcode=15), formerr),
        Case("a question without its class", plain[:-2], formerr),
        Case("a name that is cut off", header() + b"\3ww", formerr),
        Case("an octet behind the question", plain + b"\0", formerr_q),
        Case("an OPT behind the question that is not counted", plain + opt(), formerr_q),
        Case("an octet behind OPT", query(edns=opt()) + b"\0", formerr_q_opt),
        Case("a kilobyte behind OPT", query(edns=opt()) + bytes(1000), formerr_q_opt),
        Case("OPT counted and not there", header(counts=(1, 0, 0, 1)) + question(), formerr_q),
        Case("OPT cut off", query(edns=opt())[:-1], formerr_q),
        Case("an answer counted and not there", header(counts=(1, 1, 0, 0)) + question(), formerr_q),
        Case(
            "an answer in the query",
            header(counts=(1, 1, 0, 0)) + question() + record(WWW, Type.A, Class.IN, 1, b"abcd"),
            formerr_q,
        ),
        Case("authority in the query", header(counts=(1, 0, 1, 0)) + question() + soa_record(), formerr_q),
        Case(
            "an A record behind the question",
            header(counts=(1, 0, 0, 1)) + question() + record(WWW, Type.A, Class.IN, 1, b"abcd"),
            formerr_q,
        ),
        Case(
            "an A record and OPT",
            header(counts=(1, 0, 0, 2)) + question() + record(WWW, Type.A, Class.IN, 1, b"abcd") + opt(),
            formerr_q,
        ),
        Case(
            "OPT and an A record",
            header(counts=(1, 0, 0, 2)) + question() + opt() + record(WWW, Type.A, Class.IN, 1, b"abcd"),
            formerr_q_opt,
        ),
        # Names
        Case("the root", query(b"\0", Type.NS), refused),
        Case("a zone that is not here", query(b"\3www\3org\0"), refused),
        Case(
            "a zone that is not here, RD, EDNS",
            query(b"\3www\3org\0", flags=Flag.RD, edns=opt()),
            "REFUSED rd question 0/0/0 opt0:1232",
        ),
        Case("a zone above ours", query(b"\3com\0", Type.NS), refused),
        Case("a name that only ends like ours", query(b"\x08wexample\3com\0"), refused),
        Case("a label with a zero octet", query(b"\3a\0b" + APEX), "NXDOMAIN aa question 0/1/0"),
        Case(
            "a label with what looks like a name's end", query(b"\x06a\0\0\1\0\1" + APEX), "NXDOMAIN aa question 0/1/0"
        ),
        Case(
            "a label of 63 zero octets, EDNS",
            query(b"\x3f" + bytes(63) + APEX, edns=opt()),
            "NXDOMAIN aa question 0/1/0 opt0:1232",
        ),
        Case("a label that spells our apex", query(b"\x0c\7example\3com" + b"\0"), refused),
        Case("a label of 63 octets", query(b"\x3f" + b"a" * 63 + APEX), "NXDOMAIN aa question 0/1/0"),
        Case("a name of 255 octets", query(below_apex(255)), "NXDOMAIN aa question 0/1/0"),
        Case("a name of 256 octets", query(below_apex(256)), formerr),
        Case("a name of 127 labels", query(b"\1a" * 121 + APEX), "NXDOMAIN aa question 0/1/0"),
        Case("a name of 128 labels", query(b"\1a" * 122 + APEX), formerr),
        Case("a name of 255 octets not ours", query(b"\1a" * 127 + b"\0"), refused),
        Case("a name of 257 octets not ours", query(b"\1a" * 128 + b"\0"), formerr),
        # Classes
        Case("class ANY", query(qclass=Class.ANY), refused),
        Case("class NONE", query(qclass=Class.NONE), refused),
        Case("class 0", query(qclass=0), refused),
        Case("class HS", query(qclass=4), refused),
        Case("class 65535, EDNS", query(qclass=65535, edns=opt()), refused + " opt0:1232"),
        Case("class CH, our zone", query(qclass=Class.CH), refused),
        Case("class CH, EDNS, DO", query(qclass=Class.CH, edns=opt(flags=0x8000)), refused + " opt0:1232 do"),
        Case("class ANY, EDNS", query(qclass=Class.ANY, edns=opt()), refused + " opt0:1232"),
        Case("an unknown name in class CH", query(b"\7unknown\4bind\0", Type.TXT, Class.CH), refused),
        # Types
        Case("type 0", query(qtype=0), "NOERROR aa question 0/1/0"),
        Case("OPT as a question", query(qtype=Type.OPT), formerr_q),
        *(
            Case(f"type {number}, which is a meta type", query(qtype=number, edns=opt()), nodata_opt)
            for number in (128, 200, 248)
        ),
        Case("TKEY as a question", query(qtype=Type.TKEY), notimp),
        Case("TSIG as a question", query(qtype=Type.TSIG), formerr_q),
        Case("MAILA", query(qtype=Type.MAILA), notimp),
        Case("MAILB", query(qtype=Type.MAILB), notimp),
        Case("ANY", query(qtype=Type.ANY), ok),
        Case("type 65535", query(qtype=65535), "NOERROR aa question 0/1/0"),
        Case("RRSIG in a zone without signatures", query(qtype=Type.RRSIG), "NOERROR aa question 0/1/0"),
        # TSIG
        Case("TSIG by an unknown key", query(edns=tsig()), "NOTAUTH question 0/0/0 tsig:BADKEY"),
        Case("TSIG behind EDNS", query(edns=opt() + tsig(), more=1), "NOTAUTH question 0/0/0 opt0:1232 tsig:BADKEY"),
        Case("TSIG, EDNS 1", query(edns=opt(version=1) + tsig(), more=1), "BADVERS question 0/0/0 opt0:1232"),
        Case(
            "TSIG, a key at a pointer", query(edns=tsig(owner=b"\3key\xc0\x10")), "NOTAUTH question 0/0/0 tsig:BADKEY"
        ),
        Case(
            "TSIG, an unknown algorithm", query(edns=tsig(algorithm=b"\3foo\0")), "NOTAUTH question 0/0/0 tsig:BADKEY"
        ),
        Case("TSIG, EDNS behind it", query(edns=tsig() + opt(), more=1), formerr_q),
        Case("two TSIGs", query(edns=tsig() + tsig(), more=1), formerr_q),
        Case("TSIG of class IN", query(edns=tsig(rrclass=Class.IN)), formerr_q),
        Case("TSIG of TTL 1", query(edns=tsig(ttl=1)), formerr_q),
        Case("TSIG without its last octet", query(edns=tsig())[:-1], formerr_q),
        Case("TSIG in the answer section", header(counts=(1, 1, 0, 0)) + question() + tsig(), formerr_q),
        Case("TSIG of nothing", query(edns=record(b"\3key\0", Type.TSIG, Class.ANY, 0, b"")), formerr_q),
    ]
    cases += _compliance_cases()
    cases += [Case(f"the first {octets} octets of a query", plain[:octets], NO_RESPONSE) for octets in range(12)]
    return cases


# The types of the test's option -t, in its order; what they are asked for is the apex.
_COMPLIANCE_TYPES = """\
A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP NSAP-PTR SIG KEY PX GPOS
AAAA LOC NXT SRV NAPTR KX CERT A6 DNAME APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID NSEC3 NSEC3PARAM TLSA
SMIMEA HIP CDS CDNSKEY OPENPGPKEY SPF NID L32 L64 LP EUI48 EUI64 URI CAA AVC DOA DLV TYPE1000
"""


def _compliance_cases() -> list[Case]:
    """Cell by cell what the EDNS compliance test sends (ISC's genreport, https://ednscomp.isc.org), by its names. What
    it checks: rcode and version; OPT back to OPT and to nothing else; no option echoed that means nothing; DO and
    CD kept, no other bit of EDNS; AA, RD, AD, CD in QUERY alone, the last three only if they were asked for; Z never;
    the SOA in the answer, but not with BADVERS; no answer longer than it may be. (`tcp`: all cases are sent by TCP.)
    """
    client_cookie = option(10, bytes(range(1, 9)))
    everybody = option(8, b"\0\1\0\0")  # client subnet 0.0.0.0/0
    every_option = option(3) + everybody + option(9) + client_cookie
    options = {"opt": option(100), "nsid": option(3), "cookie": client_cookie, "expire": option(9), "subnet": everybody}
    ok, nodata, badvers = "NOERROR aa question 1/0/0", "NOERROR aa question 0/1/0", "BADVERS question 0/0/0 opt0:1232"

    def case(name: str, expected: str, flags: int = 0, edns: bytes = b"", qtype: int = Type.SOA) -> Case:
        answered = client_cookie in edns and "BADVERS" not in expected
        with_cookies = expected + " option10" if answered else None
        return Case(f"ednscomp: {name}", query(APEX, qtype, flags=flags, edns=edns), expected, None, with_cookies)

    def edns(version: int = 0, flags: int = 0, options: bytes = b"", payload: int = 4096) -> bytes:
        return opt(payload, version, flags, options)

    cases = [
        case("dns", ok),
        case("aa", ok, Flag.AA),
        case("ad", ok, Flag.AD),
        case("cd", "NOERROR aa cd question 1/0/0", Flag.CD),
        case("ra", ok, Flag.RA),
        case("rd", "NOERROR aa rd question 1/0/0", Flag.RD),
        case("tc", ok, Flag.TC),
        case("zflag", ok, 0x0040),
        Case("ednscomp: opcode", header(0, (0, 0, 0, 0), 15), "NOTIMP 0/0/0"),
        Case("ednscomp: opcodeflg", header(0x07F0, (0, 0, 0, 0), 15), "NOTIMP 0/0/0"),
        case("type666", nodata, qtype=666),
        case("edns", ok + " opt0:1232", edns=edns()),
        case("edns1", badvers, edns=edns(1)),
        case("edns@512", nodata + " opt0:1232", edns=edns(payload=512), qtype=Type.DNSKEY),
        case("do", ok + " opt0:1232 do", edns=edns(flags=0x8000)),
        case("docd", "NOERROR aa cd question 1/0/0 opt0:1232 do", Flag.CD, edns(flags=0x8000)),
        case("edns1do", badvers + " do", edns=edns(1, 0x8000)),
        case("ednsflags", ok + " opt0:1232", edns=edns(flags=0x0080)),
        case("optlist", ok + " opt0:1232 option9", edns=edns(options=every_option)),
        *(
            case(f"edns{name}", ok + " opt0:1232" + " option9" * (name == "expire"), edns=edns(options=each))
            for name, each in options.items()
        ),
        *(case(f"edns1{name}", badvers, edns=edns(1, options=each)) for name, each in options.items()),
        case("ednstcp", nodata + " opt0:1232 do", edns=edns(0, 0x8000, payload=512), qtype=Type.DNSKEY),
        case("bind11", ok + " opt0:1232 do", edns=edns(0, 0x8000, client_cookie)),
        case("dig11", "NOERROR aa rd question 1/0/0 opt0:1232", Flag.RD | Flag.AD, edns(options=client_cookie)),
        case("dnswkk", "NOTAUTH question 0/0/0 tsig:BADKEY", edns=tsig(owner=b"\0")),
    ]
    answers = {"NS": "NOERROR aa question 2/0/2", "SOA": ok, "TXT": ok}
    types = ((name, type_from_text(name)) for name in _COMPLIANCE_TYPES.split())
    return cases + [case(f"type {name}", answers.get(name, nodata), qtype=number) for name, number in types]


def below_apex(octets: int) -> bytes:
    """A name of so many octets below the apex, in few labels."""
    room = octets - len(APEX)
    labels = b""
    while room:
        length = min(63, room - 1)
        if room - length - 1 == 1:
            length -= 1
        labels += bytes((length,)) + b"n" * length
        room -= length + 1
    return labels + APEX


CASES = _cases()
