"""Serial number arithmetic (RFC 1982) for SOA serials of 32 bits."""

_HALF = 1 << 31
_MASK = (1 << 32) - 1


def is_newer(candidate: int, than: int) -> bool:
    """True if `candidate` is ahead of `than`. The undefined difference of 2^31 (RFC 1982 §3.2) is not newer."""
    return 0 < ((candidate - than) & _MASK) < _HALF


def risen(last: int, to: int) -> int:
    """A serial ahead of `last`: `to` if that is, else the next one."""
    return to & _MASK if is_newer(to, last) else (last + 1) & _MASK
