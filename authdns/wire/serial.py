"""Serial number arithmetic (RFC 1982) for SOA serials of 32 bits."""

_HALF = 1 << 31
_MASK = (1 << 32) - 1


def is_newer(candidate: int, than: int) -> bool:
    """True if `candidate` is ahead of `than`. The undefined difference of 2^31 (RFC 1982 §3.2) is not newer."""
    return 0 < ((candidate - than) & _MASK) < _HALF
