"""What a server counts, for Prometheus. No label holds anything that a client sent."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384)


class Meters:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # the time a counter began: nobody asks
        self._all = CollectorRegistry()
        self._requests = Counter(
            "careledger_requests", "Requests answered", ["path", "status"], registry=self._all
        )
        self._seconds = Histogram(
            "careledger_request_seconds",
            "From the end of the headers to the end of the answer",
            ["path"],
            buckets=_SECONDS,
            registry=self._all,
        )
        self._rows = Counter("careledger_rows", "Records or images predicted", registry=self._all)
        self._rejected = Counter(
            "careledger_rejected_rows", "Records or images without a prediction", registry=self._all
        )
        self._together = Histogram(
            "careledger_batch_rows", "Rows of one prediction", buckets=_ROWS, registry=self._all
        )
        self.under_way = Gauge(
            "careledger_requests_under_way", "Requests under way", registry=self._all
        )
        self._model = Gauge(
            "careledger_model_info",
            "1 for the version that answers",
            ["model", "version"],
            registry=self._all,
        )
        self.swaps = Counter("careledger_swaps", "Times the version changed", registry=self._all)
        self.load_failures = Counter(
            "careledger_load_failures", "Versions that could not be loaded", registry=self._all
        )
        self.registry_up = Gauge(
            "careledger_registry_up", "1 while the registry answers", registry=self._all
        )
        self.swaps.inc(0)
        self.load_failures.inc(0)
        self.registry_up.set(1)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request. `path` is one of the server's own, or `other`."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def predicted(self, rows: int, rejected: int) -> None:
        """Count the rows of one prediction."""
        self._together.observe(rows)
        self._rows.inc(rows)
        self._rejected.inc(rejected)

    def serves(self, model: str, version: str) -> None:
        """Name the version that answers."""
        self._model.clear()
        self._model.labels(model, version).set(1)

    def text(self) -> bytes:
        """As Prometheus reads it, format 0.0.4."""
        return generate_latest(self._all)
