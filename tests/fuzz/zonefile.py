"""Whatever text as a zone file: reader, builder, checks, compiler and printer.

The text is the main file; behind lines `;;; file` it goes on with the files `1`, `2`, ... for $INCLUDE. Where it has
no SOA, a healthy head stands in front, so that most texts get past the first check.

Checked: nothing is raised; problems have their place and can be printed; a zone is made if and only if there is no
error; it can be served; dnspython can read all of its data; printed, it is read back as the same zone.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

import authdns.zone.reader
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.respond import Responder
from authdns.wire import name as names
from authdns.wire.types import Type
from authdns.zone.printer import print_zone
from authdns.zone.problem import Problems
from authdns.zone.rdata_shape import SHAPES, fits
from authdns.zone.reader import Reading, read_zone
from authdns.zone.zone import Zone
from tests.fuzz.invariants import Violation, check_answer
from tests.fuzz.query import read as read_answer
from tests.unit.answer.packets import opt, query

APEX = names.from_text("example.com.")
HEAD = b"$TTL 300\n@ SOA ns hostmaster 1 7200 3600 1209600 900\n@ NS ns\n@ NS ns.example.net.\nns A 192.0.2.1\n"
NEXT_FILE = b"\n;;; file\n"
MAX_GENERATED = 500  # instead of a million: the fuzzer would do little else
ASKED = 3  # names of each zone that are asked for


@patch.object(authdns.zone.reader, "MAX_GENERATED", MAX_GENERATED)
def check(data: bytes) -> str:
    """Whether it is a zone. Raises Violation, or whatever authdns raises."""
    main, *parts = data.split(NEXT_FILE)
    if b"SOA" not in main.upper():
        main = HEAD + main
    files = {"zone": main} | {str(number): part for number, part in enumerate(parts, 1)}
    reading = read(files)
    check_problems(reading.problems, files)
    if (reading.zone is None) != bool(reading.problems.errors):
        raise Violation(f"a zone in spite of an error, or none without: {reading}")
    if reading.zone is None:
        return "refused"
    check_zone(reading.zone)
    return "a zone"


def read(files: dict[str, bytes]) -> Reading:
    def load(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return files[path]

    return read_zone("zone", APEX, load)


def check_problems(problems: Problems, files: dict[str, bytes]) -> None:
    for problem in problems:
        shown = str(problem)
        if any(not (c.isprintable() or c == "\n") for c in shown) or shown.count("\n") > 2:
            raise Violation(f"not fit to be printed: {shown!r}")
        lines = files.get(problem.place.file, b"").count(b"\n") + 1
        if problem.place.line > lines or (problem.place.column and not problem.place.line):
            raise Violation(f"no such place: {problem}")


def check_zone(zone: Zone) -> None:
    odd = False  # holds what may be there and dnspython refuses
    for owner, rrset in zone.iterate():
        for rdata in rrset.rdatas:
            try:
                dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(rrset.type), rdata, 0, len(rdata))
            except (dns.exception.DNSException, ValueError) as error:
                # dnspython judges values as well, digests of type 0 among them, which is more than other servers do.
                digest = rrset.type in (Type.DS, Type.CDS)
                if not digest and (rrset.type not in SHAPES or not fits(rrset.type, rdata)):
                    raise Violation(f"{names.to_text(owner)} {rrset.type}: {error!r}: {rdata.hex()}") from error
                odd = True
    text = "\n".join(print_zone(zone)) + "\n"
    again = read({"zone": text.encode()})
    if again.zone is None:
        raise Violation("the printed zone is refused:\n" + "\n".join(map(str, again.problems)))
    if meaning(again.zone) != meaning(zone):
        raise Violation(f"the printed zone means something else:\n{text}")
    check_answers(zone, may_read=not odd)


def meaning(zone: Zone) -> dict[str, Any]:
    contents = {o: {(int(r.type), r.ttl, r.rdatas) for r in rrsets} for o, rrsets in zone.names.items()}
    return {
        "contents": contents,
        "spelling": zone.spelling,
        "cuts": zone.cuts,
        "dnames": zone.dnames,
        "records": zone.records,
    }


def check_answers(zone: Zone, *, may_read: bool) -> None:
    served = ServedZone(zone)
    served.compile_all()
    table = ZoneTable()
    table.publish(zone.apex, served)
    responder = Responder(table, tcp=False)
    for owner in list(zone.names)[-ASKED:]:
        for name in (owner, b"\1q" + owner):
            for qtype in (*(rrset.type for rrset in zone.names[owner]), Type.ANY):
                request = query(name, qtype, edns=opt(flags=0x8000))
                answer = responder.respond(request)
                if isinstance(answer, bytes):
                    check_answer(request, answer, tcp=False)
                    if may_read:
                        read_answer(answer, with_dnslib=False)  # which takes text to be UTF-8
