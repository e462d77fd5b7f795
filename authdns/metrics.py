"""Prometheus metrics, made from the counters when they are scraped: the hot path only adds to integers.

A collector instead of prometheus-client's own counter objects, because one `inc()` there costs a third of an answer.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from authdns.figures import Source, TransportFigures

_SIZE_BOUNDS = (64, 128, 256, 512, 1232, 4096, 16384, 65536)


class _Collector(Collector):
    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        yield from self._traffic()
        yield from self._zones()
        for name, number in self._source.counts().items():
            if name == "tcp_connections":
                yield GaugeMetricFamily("authdns_tcp_connections", "Open TCP connections", value=number)
            else:
                yield CounterMetricFamily(f"authdns_{name}", _HELP[name], value=number)
        for name, outcomes in self._source.outcomes().items():
            family = CounterMetricFamily(f"authdns_{name}", _HELP[name], labels=["outcome"])
            for outcome, number in outcomes.items():
                family.add_metric([outcome], number)
            yield family

    def _traffic(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "authdns_responses", "Responses by type, rcode and transport", labels=["type", "rcode", "transport"]
        )
        sizes = HistogramMetricFamily("authdns_response_octets", "Sizes of responses", labels=["transport"])
        for figures in self._source.transports():
            for (rcode, rrtype), number in sorted(figures.answers.items()):
                answers.add_metric([rrtype, rcode, figures.transport], number)
            sizes.add_metric([figures.transport], *_buckets(figures))
        yield answers
        yield sizes

    def _zones(self) -> Iterator[Metric]:
        serial = GaugeMetricFamily("authdns_zone_serial", "Serial that is served", labels=["zone"])
        records = GaugeMetricFamily("authdns_zone_records", "Records in the zone", labels=["zone"])
        loaded = GaugeMetricFamily(
            "authdns_zone_loaded_timestamp_seconds", "When the served version was read", labels=["zone"]
        )
        seconds = GaugeMetricFamily(
            "authdns_zone_load_seconds", "How long the last attempt to read it took", labels=["zone"]
        )
        failed = GaugeMetricFamily("authdns_zone_load_failed", "1 if the last attempt was refused", labels=["zone"])
        failed_at = GaugeMetricFamily(
            "authdns_zone_last_error_timestamp_seconds", "When reading it was last refused", labels=["zone"]
        )
        for zone in self._source.zones():
            if zone.failed_at:
                failed_at.add_metric([zone.name], zone.failed_at)
            if zone.serial is not None:
                serial.add_metric([zone.name], zone.serial)
                loaded.add_metric([zone.name], zone.loaded_at)
            records.add_metric([zone.name], zone.records)
            seconds.add_metric([zone.name], zone.load_seconds)
            failed.add_metric([zone.name], zone.failed)
        yield from (serial, records, loaded, seconds, failed, failed_at)


_HELP = {
    "dropped": "Datagrams and messages that got no answer by rule",
    "unsent": "Responses that the socket would not take",
    "failed": "Requests that raised an error inside the server",
    "declined": "Queries that the native engine handed to Python",
    "declined_lost": "Queries that the native engine declined while Python had too many already",
    "tcp_refused": "TCP connections closed at once because of a limit",
    "tcp_evicted": "Idle TCP connections closed to make room",
    "tcp_over_time": "TCP connections closed because their client took too much of the server's time",
    "transfers": "Zone transfers asked for, by outcome",
    "tls_handshakes": "TLS handshakes, by outcome",
    "notifies": "NOTIFYs sent, by outcome",
    "incoming_transfers": "Attempts to transfer a secondary zone from a primary, by what came of it",
    "incoming_notifies": "NOTIFYs received, by outcome",
    "cookies": "Requests with a DNS cookie: a valid one, a client cookie alone (new), one that is not valid",
    "rate_limited": "Queries over the rate limit: answered with TC (truncated), dropped, or only counted (logged)",
}


def _buckets(figures: TransportFigures) -> tuple[list[tuple[str, float]], float]:
    """Cumulative buckets, and the sum (taken at the middle of each step)."""
    buckets = [(str(bound), float(sum(figures.sizes[: bound // figures.size_step]))) for bound in _SIZE_BOUNDS]
    buckets.append(("+Inf", float(sum(figures.sizes))))
    step = figures.size_step
    return buckets, float(sum(number * (i * step + step // 2) for i, number in enumerate(figures.sizes)))


def serve_metrics(source: Source, address: str, port: int) -> None:
    """Serves /metrics from a thread of its own until the process ends. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(_Collector(source))
    start_http_server(port, addr=address, registry=registry)
