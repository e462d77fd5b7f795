"""Counts that the sockets keep; metrics.py reads them when it is scraped. Plain integers: an increment is all."""

from dataclasses import dataclass, field

TRANSFER_OUTCOMES = ("started", "completed", "broken off", "refused", "up to date")
HANDSHAKE_OUTCOMES = ("completed", "failed")
NOTIFY_OUTCOMES = ("accepted", "notauth", "refused", "other", "timeout")

INCOMING_OUTCOMES = ("axfr", "ixfr", "up to date", "unreachable", "refused", "distrusted", "content")
NOTIFIED_OUTCOMES = ("accepted", "refused", "notauth")


@dataclass(slots=True)
class Counters:
    """`dropped`: no answer by rule (not a request). `unsent`: the socket would not take it. `failed`: the barrier."""

    dropped: int = 0
    unsent: int = 0
    failed: int = 0
    tcp_connections: int = 0
    tcp_refused: int = 0
    tcp_evicted: int = 0
    tcp_over_time: int = 0
    # Outcome -> number; they begin at 0, or the first failure would be no increase to whoever watches.
    transfers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TRANSFER_OUTCOMES, 0))
    tls_handshakes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HANDSHAKE_OUTCOMES, 0))
    notifies: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NOTIFY_OUTCOMES, 0))
    incoming_transfers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INCOMING_OUTCOMES, 0))
    incoming_notifies: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NOTIFIED_OUTCOMES, 0))

    def incoming(self, outcome: str) -> None:
        """What came of asking a primary."""
        self.incoming_transfers[outcome] += 1

    def transfer(self, outcome: str) -> None:
        self.transfers[outcome] = self.transfers.get(outcome, 0) + 1

    def notify(self, outcome: str) -> None:
        self.notifies[outcome] = self.notifies.get(outcome, 0) + 1
