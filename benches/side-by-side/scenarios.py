"""What is measured: each scenario starts one server afresh, checks that it answers rightly, measures, and stops it.

A measurement is one round of one peer. `run.py` interleaves the rounds and takes medians.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sites
from load import Answer, Connection, Load, LoadError, run_wrk, wait_until_listening
from peers import Command, Peer, Setting, free_port
from proc import Process
from sites import Routing, Site

HOSTS = 100
BLOB_BYTES = 1 << 20
FIRST_ANSWER_DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class Options:
    duration: int
    warmup: int
    connections: int
    starts: int
    cold_workers: int


@dataclass(frozen=True)
class Measurement:
    """None stands for what a scenario does not measure."""

    requests_per_second: float | None
    p50_us: float
    p99_us: float
    cpu_us_per_request: float | None
    memory_bytes: float | None
    errors: int = 0


@dataclass(frozen=True)
class Context:
    options: Options
    directory: Path
    upstream: str


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    site: Callable[[Context], Site]
    measure: Callable[["Scenario", Peer, Context], Measurement]
    path: str = "/hello"
    # The arguments of wrk, and what a right answer is.
    load: Callable[[Context], Load] | None = None
    body: bytes | None = None
    expected: Callable[[sites.Worker, Answer], bool] = lambda worker, answer: answer.body == b"Hello, world!"

    def run(self, peer: Peer, context: Context) -> Measurement:
        """Raises NotComparable and LoadError."""
        return self.measure(self, peer, context)


# === starting a server ===


class Server:
    """A peer's process on a port; the time of the start is kept."""

    def __init__(self, peer: Peer, site: Site, context: Context):
        site.write(context.directory)
        self.site = site
        self.port = free_port()
        self.command: Command = peer.command(Setting(site, context.directory, self.port, context.upstream))
        self.started = time.perf_counter()
        log = context.directory / "server.log"
        self.process = Process(self.command.argv, context.directory, self.command.env, log)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind, error, _):
        tail = self.process.log_tail()
        self.process.stop()
        if isinstance(error, LoadError) and tail:
            error.add_note(f"the server's last words:\n{tail}")

    def wait_until_ready(self):
        health = self.command.health_port
        if health is not None:
            wait_until_listening(health, self.process.runs)
            self._wait_for_ok(health, "/healthz", "localhost")
        wait_until_listening(self.port, self.process.runs)

    def wait_for_first_answer(self, path: str) -> float:
        """Seconds from the start of the process to the first byte of its first answer with status 200."""
        wait_until_listening(self.port, self.process.runs)
        return self._wait_for_ok(self.port, path, self.site.workers[0].host)

    def _wait_for_ok(self, port: int, path: str, host: str) -> float:
        deadline = time.monotonic() + FIRST_ANSWER_DEADLINE_SECONDS
        while True:
            with Connection(port) as connection:
                asked = time.perf_counter()
                answer = connection.ask(path, host)
            if answer.status == 200:
                return asked + answer.first_byte_seconds - self.started
            if time.monotonic() > deadline:
                raise LoadError(f"GET {path} still has status {answer.status}: {answer.body[:200]!r}")
            time.sleep(0.001)


def _check(scenario: Scenario, worker: sites.Worker, answer: Answer):
    if answer.status != 200 or not scenario.expected(worker, answer):
        raise LoadError(f"{worker.host} answered {answer.status} {answer.body[:200]!r}")


# === ways to measure ===


def _under_load(scenario: Scenario, peer: Peer, context: Context) -> Measurement:
    options, load = context.options, scenario.load(context)
    with Server(peer, scenario.site(context), context) as server:
        server.wait_until_ready()
        with Connection(server.port) as connection:
            for worker in server.site.workers:
                _check(scenario, worker, connection.ask(scenario.path, worker.host, scenario.body))
        run_wrk(load, server.port, options.warmup, options.connections)
        cpu_before = server.process.cpu_seconds()
        result = run_wrk(load, server.port, options.duration, options.connections)
        cpu_seconds = server.process.cpu_seconds() - cpu_before
        return Measurement(
            requests_per_second=result.requests / result.seconds,
            p50_us=result.p50_us,
            p99_us=result.p99_us,
            cpu_us_per_request=cpu_seconds * 1e6 / result.requests,
            memory_bytes=server.process.peak_memory_bytes(),
            errors=result.errors,
        )


def _process_starts(scenario: Scenario, peer: Peer, context: Context) -> Measurement:
    times, memory = [], 0
    for _ in range(context.options.starts):
        with Server(peer, scenario.site(context), context) as server:
            times.append(server.wait_for_first_answer(scenario.path))
            memory = max(memory, server.process.peak_memory_bytes())
    # One start is shorter than the kernel's clock tick, so its CPU time cannot be read.
    return _of_times(times, None, memory)


def _cold_requests(gap_seconds: float):
    def measure(scenario: Scenario, peer: Peer, context: Context) -> Measurement:
        times = []
        with Server(peer, scenario.site(context), context) as server:
            server.wait_until_ready()
            with Connection(server.port) as connection:
                # The first worker opens the connection and warms the server itself; it is not counted.
                first, *others = server.site.workers
                _check(scenario, first, connection.ask(scenario.path, first.host))
                time.sleep(0.5)
                cpu_before = server.process.cpu_seconds()
                for worker in others:
                    time.sleep(gap_seconds)
                    answer = connection.ask(scenario.path, worker.host)
                    _check(scenario, worker, answer)
                    times.append(answer.first_byte_seconds)
                cpu_seconds = server.process.cpu_seconds() - cpu_before
                return _of_times(times, cpu_seconds, server.process.peak_memory_bytes())

    return measure


def _of_times(times: list[float], cpu_seconds: float | None, memory: int) -> Measurement:
    return Measurement(
        requests_per_second=None,
        p50_us=_percentile(times, 0.50) * 1e6,
        p99_us=_percentile(times, 0.99) * 1e6,
        cpu_us_per_request=None if cpu_seconds is None else cpu_seconds * 1e6 / len(times),
        memory_bytes=memory,
    )


def _percentile(values: list[float], fraction: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[math.ceil(fraction * len(ordered)) - 1]


# === the scenarios ===


def _document() -> bytes:
    """A JSON document of 1,024 bytes: an order with a few nested items, filled up with text."""
    items = [{"sku": f"A-{n:04}", "quantity": n + 1, "price": 1990 + 7 * n, "gift": n % 2 == 0} for n in range(12)]
    order = {"id": 4711, "customer": {"name": "Ada Lovelace", "tags": ["new", "eu"]}, "items": items, "note": ""}
    order["note"] = "x" * (1024 - len(json.dumps(order, separators=(",", ":"))))
    return json.dumps(order, separators=(",", ":")).encode()


DOCUMENT = _document()


def _post_document(context: Context) -> Load:
    file = context.directory / "document.json"
    file.write_bytes(DOCUMENT)
    return Load("/json", "post-json.lua", (str(file),))


def _greets(worker: sites.Worker, answer: Answer) -> bool:
    return answer.body == f"Hello from {worker.name}".encode()


def _cold(name: str, title: str, gap_seconds: float) -> Scenario:
    return Scenario(
        name=name,
        title=title,
        site=lambda context: sites.many(context.options.cold_workers + 1, Routing.ON_DEMAND),
        measure=_cold_requests(gap_seconds),
        path="/host",
        expected=_greets,
    )


ALL = [
    Scenario(
        name="hello",
        title="Hello, world",
        site=lambda context: sites.one("hello.js"),
        measure=_under_load,
        load=lambda context: Load("/hello"),
    ),
    Scenario(
        name="json",
        title="JSON echo of 1 KiB (POST; parse and stringify)",
        site=lambda context: sites.one("json.js"),
        measure=_under_load,
        path="/json",
        load=_post_document,
        body=DOCUMENT,
        expected=lambda worker, answer: json.loads(answer.body) == json.loads(DOCUMENT),
    ),
    Scenario(
        name="proxy",
        title="1 MiB streamed through a proxying worker (`return fetch(upstream)`)",
        site=lambda context: sites.one("proxy.js", context.upstream),
        measure=_under_load,
        path="/proxy",
        load=lambda context: Load("/proxy"),
        expected=lambda worker, answer: answer.body == b"x" * BLOB_BYTES,
    ),
    Scenario(
        name="hosts",
        title=f"{HOSTS} workers, asked in turn by Host",
        site=lambda context: sites.many(HOSTS, Routing.BY_HOST),
        measure=_under_load,
        path="/host",
        load=lambda context: Load("/host", "round-robin-hosts.lua", (str(HOSTS),)),
        expected=_greets,
    ),
    _cold("cold", "First request to a worker never asked before, 20 ms apart (time to first byte)", 0.020),
    _cold("cold-burst", "First request to a worker never asked before, one right after the other", 0.0),
    Scenario(
        name="start",
        title="Start of the process to the first byte of its first answer (one worker)",
        site=lambda context: sites.one("hello.js"),
        measure=_process_starts,
    ),
]
