"""What others may watch: `/healthz` for whoever restarts the node, `/metrics` for Prometheus.

The port answers whoever reaches it, so nothing here is secret.
It listens where the configuration says, by default nowhere.
"""

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from ..errors import ConfigError

PREFIX = "market_node"


class Meters:
    """Figures about a running node. Without prometheus_client they are kept for `/healthz` alone."""

    def __init__(self, interval: float) -> None:
        self.late = 60 + 10 * interval
        """Seconds without a good look after which the node is not well."""
        self.last_look = time.time()
        self.head = 0
        self._registry: Any = None
        self._steps: Any = None
        self._gas: Any = None
        self._gauges: dict[str, Any] = {}

    def expose(self) -> None:
        """Makes the metrics.

        Raises:
            ConfigError: prometheus_client is not installed.
        """
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
        except ModuleNotFoundError:
            raise ConfigError("[run] 'listen' needs prometheus_client: pip install 'market-node[run]'") from None
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._steps = Counter(f"{PREFIX}_steps", "Steps taken.", ["step", "outcome"], registry=self._registry)
        self._gas = Counter(f"{PREFIX}_gas", "Gas used by the node's transactions.", ["step"], registry=self._registry)
        for name, help in {
            "head_block": "The latest block that the node has seen.",
            "last_look_timestamp_seconds": "When the node last saw the chain.",
            "clock_ahead_seconds": "By how much the chain's clock is ahead of the machine's.",
            "rounds_followed": "Rounds in which something may still become due.",
            "available_tokens": "What the account can withdraw, or lock in a round.",
        }.items():
            self._gauges[name] = Gauge(f"{PREFIX}_{name}", help, registry=self._registry)

    def looked(self, head: int) -> None:
        """The node has seen the chain."""
        self.last_look, self.head = time.time(), head
        self.set("head_block", head)
        self.set("last_look_timestamp_seconds", self.last_look)

    def set(self, name: str, value: float) -> None:
        """Sets a gauge."""
        if gauge := self._gauges.get(name):
            gauge.set(value)

    def step(self, kind: str, outcome: str, gas: int = 0) -> None:
        """Counts a step; its outcome is "done" or "failed"."""
        if self._steps is not None:
            self._steps.labels(kind, outcome).inc()
            if gas:
                self._gas.labels(kind).inc(gas)

    def health(self) -> dict[str, Any]:
        """What `/healthz` says."""
        age = time.time() - self.last_look
        return {"ok": age < self.late, "seconds_since_last_look": round(age, 1), "head_block": self.head}

    def metrics(self) -> bytes:
        """What `/metrics` says, in Prometheus' text format."""
        from prometheus_client import generate_latest

        return bytes(generate_latest(self._registry))


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        meters = cast("Watch", self.server).meters
        if self.path == "/healthz":
            health = meters.health()
            self._answer(200 if health["ok"] else 503, "application/json", json.dumps(health).encode() + b"\n")
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", meters.metrics())
        else:
            self._answer(404, "text/plain; charset=utf-8", b"there are /healthz and /metrics\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Silent."""


class Watch(ThreadingHTTPServer):
    """Serves a node's meters from a thread of its own, until closed."""

    daemon_threads = True

    def __init__(self, meters: Meters, host: str, port: int) -> None:
        meters.expose()
        self.meters = meters
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's error."""

    def close(self) -> None:
        """Stops serving."""
        self.shutdown()
        self.server_close()
