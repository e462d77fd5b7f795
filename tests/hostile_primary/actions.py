"""What a primary can do to a connection. Octets alone are a message, to be sent behind its length."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Raw:
    """Octets as they are."""

    octets: bytes


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Reset:
    """RST."""


@dataclass(frozen=True)
class Close:
    """FIN."""


Action = bytes | Raw | Wait | Reset | Close
