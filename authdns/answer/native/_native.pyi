from collections.abc import Collection
from typing import TypedDict, final

from authdns.zone.zone import RRset

DECLINED: int
DROPPED: int

def checksum(data: bytes | memoryview) -> int:
    """64 bits, against damage."""

class Counts(TypedDict):
    """`answered`: (rcode, type, number); the type is 0 for all without a name, 65536 without a question. `sizes`: of
    responses, in steps of 64 octets. `declined` was handed to Python, `lost` would have been, but it had too many.
    `cookies` that came: valid, new, invalid. `limited`: truncated, dropped (which is in `dropped` as well), logged."""

    answered: list[tuple[int, int, int]]
    sizes: list[int]
    cookies: tuple[int, int, int]
    limited: tuple[int, int, int]
    dropped: int
    unsent: int
    declined: int
    lost: int

@final
class Image:
    """The compiled answers of one zone, and its names with their records as instances of `rrset`. Raises ValueError
    with the reason why it cannot be used."""

    def __new__(cls, data: bytes | memoryview, seed: int, rrset: type[RRset]) -> Image: ...
    def __contains__(self, name: object) -> bool: ...
    def __len__(self) -> int: ...
    def get(self, name: bytes) -> tuple[RRset, ...] | None:
        """The RRsets of a name (lower case), or None if it does not exist."""

    def after(self, name: bytes | None, most: int) -> list[tuple[bytes, tuple[RRset, ...]]]:
        """The names behind that one (None: from the first on), in the order of the image. Raises KeyError."""

    def names_after(self, name: bytes | None, most: int) -> list[bytes]:
        """The same names alone. Raises KeyError."""

    def with_changes(self, names: Collection[bytes]) -> Image:
        """The same answers from the same memory, but queries for these names (lower case) and for names below them are
        declined; of the apex, only those for itself. Names that `self` declines already are not among them unless given
        again. Raises ValueError."""

@final
class Engine:
    """The zones that are answered without Python. `seed` (64 bits) keeps strangers from choosing names that collide;
    images must have been loaded with the same one."""

    def __new__(cls, seed: int) -> Engine: ...
    def publish(self, apex: bytes, image: Image | None) -> None:
        """What is served at an apex (lower case) from now on; with None, Python is asked."""

    def withdraw(self, apex: bytes) -> None:
        """The zone is no more: its names are refused, or belong to a zone above."""

    def respond(
        self,
        request: bytes,
        payload: int = 1232,
        tcp: bool = False,
        nsid: bytes = b"",
        address: bytes = ...,
        now: int = 0,
    ) -> bytes | int:
        """The response; or DECLINED, or DROPPED. `nsid` is the whole option, `address` the client's (4 or 16 octets),
        `now` in nanoseconds since 1970."""

    def use_secrets(self, secrets: list[bytes] | None) -> None:
        """Of cookies: the first makes them, each verifies; None: there are none. Raises ValueError."""

    def use_limiter(
        self,
        seed: int,
        window: int,
        prefixes: tuple[list[tuple[int, int]], list[tuple[int, int]]],
        exempt: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]],
        slip: int,
        log_only: bool,
    ) -> None:
        """Limits responses, beginning with an empty table. Pairs are for IPv4 and IPv6; `seed` (64 bits) keeps
        strangers from choosing prefixes that share a counter. See limiter.RateLimit. Raises ValueError."""

    def limited(self) -> tuple[tuple[int, int, int], bytes | None]:
        """(how many queries were limited, as in Counts; the address of one since the last call)."""

    def start(self, socket: int, handed: int, wildcard: bool, payload: int, nsid: bytes = b"") -> None:
        """A thread that answers what comes in by `socket` (blocking, a file descriptor). What it declines it writes to
        `handed` (a socket that keeps messages apart), until its buffer is full. Raises OSError."""

    def stop(self) -> None:
        """Ends all threads."""

    def counts(self) -> Counts:
        """What the threads have done, in sum."""

    def reclaim(self) -> bool:
        """Frees what was replaced and no thread looks at any more; False if there is some left."""
