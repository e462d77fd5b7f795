"""`python -m tests.bench.guards`: what cookies and the rate limit cost for each query, in the engine and in Python.

The engine's part is compiled as the engine is and measured alone (guards.c); of Python the whole answer is measured,
with the guards and without. CPU time of one thread; the best of several runs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from authdns.answer.cookies import Cookies
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.limiter import MAX_PER_SECOND, Limiter, RateLimit
from authdns.answer.respond import NANOSECONDS, Responder
from tests.unit.answer.packets import WWW, opt, option, query
from tests.unit.answer.zones import zone_from_text

ENGINE = Path(__file__).resolve().parents[2] / "authdns" / "answer" / "native"
FLAGS = ("-std=gnu11", "-O2", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", f"-I{ENGINE}")
RUNS = 7
QUERIES = 40_000
NOW = 1_795_000_000 * NANOSECONDS
STEP = 1_000_000
SECRETS = (bytes(16),)
HOSTS_V4 = [f"192.0.{i}.{i}" for i in range(256)]
HOSTS_V6 = [f"2001:db8:{i}::1" for i in range(256)]


def engine() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "guards"
        sources = [Path(__file__).with_suffix(".c"), ENGINE / "cookie.c", ENGINE / "limiter.c"]
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *FLAGS, "-o", str(program), *map(str, sources)], check=True)
        subprocess.run([program], check=True)


def python() -> None:
    zone = zone_from_text("www.example.com. 60 A 192.0.2.1")
    table = ZoneTable()
    table.publish(zone.apex, ServedZone(zone))
    bare = Responder(table, tcp=False)
    limit = RateLimit(per_second=MAX_PER_SECOND)
    guarded = Responder(table, tcp=False, cookies=Cookies(SECRETS), limiter=Limiter(limit))
    plain = [query(WWW, edns=opt())]
    clients = [bytes((number,)) * 8 for number in range(256)]
    client_cookies = [query(WWW, edns=opt(options=option(10, client))) for client in clients]
    server = Cookies(SECRETS)
    answers = [
        server.answer(client, host, NOW // NANOSECONDS)[0] for client, host in zip(clients, HOSTS_V4, strict=True)
    ]
    valid = [query(WWW, edns=opt(options=option(10, answer))) for answer in answers]
    new = [query(WWW, edns=opt(options=option(10, number.to_bytes(8, "big")))) for number in range(QUERIES)]
    rows: list[tuple[str, Sequence[bytes], Sequence[str]]] = [
        ("a query with OPT, IPv4", plain, HOSTS_V4),
        ("a query with OPT, IPv6", plain, HOSTS_V6),
        ("client cookies that are known", client_cookies, HOSTS_V4),
        ("client cookies, each another", new, HOSTS_V4),
        ("valid cookies", valid, HOSTS_V4),
    ]
    for name, packets, hosts in rows:
        before, now = (microseconds(to, packets, hosts) for to in (bare, guarded))
        print(f"{before:6.2f} us without, {now:6.2f} us with  {name}")


def microseconds(to: Responder, packets: Sequence[bytes], hosts: Sequence[str]) -> float:
    best = float("inf")
    for _ in range(RUNS):
        begun = time.thread_time()
        for number in range(QUERIES):
            to.respond(packets[number % len(packets)], hosts[number % len(hosts)], NOW + number * STEP)
        best = min(best, time.thread_time() - begun)
    return best / QUERIES * 1e6


def main() -> None:
    engine()
    python()


if __name__ == "__main__":
    main()
