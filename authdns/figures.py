"""What the server shows when it is scraped: apart from `metrics`, which is imported when there is an endpoint."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ZoneFigures:
    """One zone as metrics show it. Times in seconds since 1970, 0 for never; `failed`: the last read was refused."""

    name: str
    serial: int | None
    records: int
    loaded_at: float
    load_seconds: float
    failed: bool
    failed_at: float


@dataclass(frozen=True, slots=True)
class TransportFigures:
    """`answers`: (rcode, type) -> number; `sizes`: responses in steps of `size_step` octets."""

    transport: str
    answers: Mapping[tuple[str, str], int]
    sizes: list[int]
    size_step: int


class Source(Protocol):
    """What the server shows when it is scraped. Called from the metrics server's thread."""

    def transports(self) -> Iterable[TransportFigures]: ...

    def zones(self) -> Iterable[ZoneFigures]: ...

    def counts(self) -> Mapping[str, int]: ...

    def outcomes(self) -> Mapping[str, Mapping[str, int]]: ...
