"""Addresses of clients as octets."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

MAX_KEPT_ADDRESSES = 8192  # reading one costs microseconds, and one request may need it several times


@lru_cache(MAX_KEPT_ADDRESSES)
def address_octets(host: str) -> bytes:
    """The 4 or 16 octets of an address in text; IPv4 mapped to IPv6 is IPv4, and the interface behind a `%` is not part
    of the address. Raises ValueError."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.packed
