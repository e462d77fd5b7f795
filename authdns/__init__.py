"""authdns: an authoritative DNS server. ARCHITECTURE.md is the map."""

__version__ = "0.1.0"
