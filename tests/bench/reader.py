"""`python -m tests.bench.reader [--signed] [records]`: how fast a zone file becomes a Zone, checks included, how large.

The records are of the kinds that fill large zones. With `--signed` they are such zones as signers write them: two or
three records of four are RRSIG, NSEC or NSEC3, with digests for signatures, which nobody verifies here. One process,
the garbage collector off, CPU time and wall time.
"""

import base64
import gc
import hashlib
import sys
import time
import tracemalloc
from collections.abc import Iterator

from authdns.wire import name as names
from authdns.zone.reader import Reading, read_zone

HEAD = """\
$TTL 3600
@ IN SOA ns1 hostmaster 2024010101 7200 3600 1209600 3600
@ IN NS ns1
@ IN NS ns2
ns1 IN A 192.0.2.53
ns2 IN A 192.0.2.54
"""
MAIL_SERVERS = 50
KINDS = {
    "A": "h{i:07d} 3600 IN A 10.{a}.{b}.{c}",
    "A, absolute": "host{i}.example.com. A 10.{a}.{b}.{c}",
    "A, comment": "h{i:07d} 3600 IN A 10.{a}.{b}.{c} ; machine {i}",
    "AAAA": "h{i:07d} 3600 IN AAAA 2001:db8:{a:x}::{b:x}:{c:x}",
    "MX": "h{i:07d} 300 MX 10 mail{mail}.example.com.",
    "CNAME": "h{i:07d} IN CNAME h{i:07d}.example.net.",
    "TXT": 'h{i:07d} 3600 IN TXT "v=spf1 ip4:10.{a}.{b}.{c} -all"',
    "in parentheses": "h{i:07d} 3600 IN A ( 10.{a}.{b}.{c} )",
}
MIX = ("A", "A", "A", "A", "A, absolute", "AAAA", "AAAA", "MX", "CNAME", "TXT")


# One name each, as dnssec-signzone writes it (folded), and as ldns-signzone and kzonesign do (lines).
SIGNATURE = "13 3 3600 20261220145442 20261120145442 15812 example.com. {}{}{}"
FOLDED = """13 3 3600 (
\t\t\t\t\t20261220145442 20261120145442 15812 example.com.
\t\t\t\t\t{}
\t\t\t\t\t{}
\t\t\t\t\t{} )
"""
SIGNED_KINDS = {  # title: records, text
    "NSEC, folded": (
        4,
        "{name}\t3600\tIN A\t10.{a}.{b}.{c}\n"
        "\t\t\t3600\tRRSIG\tA {folded}"
        "\t\t\t3600\tNSEC\t{following} A RRSIG NSEC\n"
        "\t\t\t3600\tRRSIG\tNSEC {folded}",
    ),
    "NSEC3, folded": (
        4,
        "{name}\t3600\tIN A\t10.{a}.{b}.{c}\n"
        "\t\t\t3600\tRRSIG\tA {folded}"
        "{hash}.example.com. 3600 IN NSEC3 1 0 0 - (\n\t\t\t\t\t{hash}\n\t\t\t\t\tA RRSIG )\n"
        "\t\t\t3600\tRRSIG\tNSEC3 {folded}",
    ),
    "NSEC, lines": (
        4,
        "{name}\t3600\tIN\tA\t10.{a}.{b}.{c}\n"
        "{name}\t3600\tIN\tRRSIG\tA {signature}\n"
        "{name}\t3600\tIN\tNSEC\t{following} A RRSIG NSEC \n"
        "{name}\t3600\tIN\tRRSIG\tNSEC {signature}\n",
    ),
    "NSEC3, lines": (
        4,
        "{name}\t3600\tIN\tA\t10.{a}.{b}.{c}\n"
        "{name}\t3600\tIN\tRRSIG\tA {signature}\n"
        "{hash}.example.com.\t3600\tIN\tNSEC3\t1 0 0 -  {hash} A RRSIG \n"
        "{hash}.example.com.\t3600\tIN\tRRSIG\tNSEC3 {signature}\n",
    ),
    "delegations": (
        5,
        "{name}\t3600\tIN NS\tns.{name}\n"
        "ns.{name}\t3600\tIN A\t10.{a}.{b}.{c}\n"
        "{name}\t3600\tIN DS\t60485 13 2 {digest}\n"
        "{name}\t3600\tIN RRSIG\tDS {signature}\n"
        "{hash}.example.com. 3600 IN NSEC3 1 1 0 - {hash} NS DS RRSIG\n",
    ),
}


def signed_lines(count: int, kinds: tuple[str, ...]) -> Iterator[str]:
    """About `count` records."""
    written = i = 0
    while written < count:
        records, text = SIGNED_KINDS[kinds[i % len(kinds)]]
        octets = hashlib.sha512(b"%d" % i).digest()
        signature = base64.b64encode(octets).decode()
        pieces = signature[:36], signature[36:72], signature[72:]
        yield text.format(
            name=f"h{i:07d}.example.com.",
            following=f"h{i + 1:07d}.example.com.",
            signature=SIGNATURE.format(*pieces),
            folded=FOLDED.format(*pieces),
            hash=base64.b32hexencode(octets[:20]).decode(),
            digest=octets[:32].hex(),
            a=i >> 16 & 255,
            b=i >> 8 & 255,
            c=i & 255,
        )
        written += records
        i += 1


def lines(count: int, kinds: tuple[str, ...]) -> Iterator[str]:
    for i in range(MAIL_SERVERS):
        yield f"mail{i} A 192.0.2.{i}\n"
    for i in range(count):
        kind = KINDS[kinds[i % len(kinds)]]
        address = {"a": i >> 16 & 255, "b": i >> 8 & 255, "c": i & 255}

        yield kind.format(i=i, mail=i % MAIL_SERVERS, **address) + "\n"


def read(content: bytes) -> Reading:
    return read_zone("zone", names.from_text("example.com."), lambda path: content)


def measure(title: str, text: Iterator[str]) -> None:
    content = (HEAD + "".join(text)).encode()
    cpu, wall = time.process_time(), time.perf_counter()
    reading = read(content)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert reading.zone is not None, "\n".join(map(str, reading.problems))
    count = reading.zone.records
    print(f"{title:16} {count / cpu:10,.0f} records/s of CPU time {count / wall:10,.0f}/s of wall time", flush=True)


def weigh(text: Iterator[str]) -> None:
    content = (HEAD + "".join(text)).encode()
    tracemalloc.start()
    reading = read(content)
    gc.collect()
    octets = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert reading.zone is not None
    print(f"{'memory':16} {octets / reading.zone.records:10,.0f} octets/record of the mix", flush=True)


def main() -> None:
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    count = numbers[0] if numbers else 1_000_000
    signed = "--signed" in sys.argv
    made = signed_lines if signed else lines
    kinds = tuple(SIGNED_KINDS if signed else KINDS)
    mix = kinds if signed else MIX
    gc.disable()
    measure("mix", made(count, mix))
    for kind in kinds:
        measure(kind, made(count // 5, (kind,)))
    weigh(made(count // 5, mix))


if __name__ == "__main__":
    main()
