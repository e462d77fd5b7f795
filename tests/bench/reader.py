"""`python -m tests.bench.reader [records]`: how fast a zone file becomes a Zone, checks included, and how large it is.

The records are of the kinds that fill large zones. One process, the garbage collector off, CPU time and wall time.
"""

import gc
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


def lines(count: int, kinds: tuple[str, ...]) -> Iterator[str]:
    for i in range(MAIL_SERVERS):
        yield f"mail{i} A 192.0.2.{i}\n"
    for i in range(count):
        kind = KINDS[kinds[i % len(kinds)]]
        address = {"a": i >> 16 & 255, "b": i >> 8 & 255, "c": i & 255}

        yield kind.format(i=i, mail=i % MAIL_SERVERS, **address) + "\n"


def read(content: bytes) -> Reading:
    return read_zone("zone", names.from_text("example.com."), lambda path: content)


def measure(title: str, count: int, kinds: tuple[str, ...]) -> None:
    content = (HEAD + "".join(lines(count, kinds))).encode()
    cpu, wall = time.process_time(), time.perf_counter()
    reading = read(content)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert reading.zone is not None, "\n".join(map(str, reading.problems))
    print(f"{title:16} {count / cpu:10,.0f} records/s of CPU time {count / wall:10,.0f}/s of wall time", flush=True)


def weigh(count: int) -> None:
    content = (HEAD + "".join(lines(count, MIX))).encode()
    tracemalloc.start()
    reading = read(content)
    gc.collect()
    print(f"{'memory':16} {tracemalloc.get_traced_memory()[0] / count:10,.0f} octets/record of the mix", flush=True)
    tracemalloc.stop()
    del reading


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    gc.disable()
    measure("mix", count, MIX)
    for kind in KINDS:
        measure(kind, count // 5, (kind,))
    weigh(count // 5)


if __name__ == "__main__":
    main()
