"""Clients: wrk for load, and a single keep-alive connection that takes the time to the first byte."""

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WRK_SCRIPTS = Path(__file__).parent / "wrk"


class LoadError(Exception):
    """A peer did not answer as it must; the message says what it did instead."""


@dataclass(frozen=True)
class Load:
    """What wrk is told beside address, duration and connections."""

    path: str
    script: str = "get.lua"
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadResult:
    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    errors: int


def wrk_version() -> str | None:
    """None where wrk is not installed."""
    if shutil.which("wrk") is None:
        return None
    output = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout
    return " ".join(output.split()[:2])


def run_wrk(load: Load, port: int, seconds: int, connections: int) -> LoadResult:
    argv = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    # The host of the first worker; a script that asks several hosts puts its own in place.
    argv += ["--header", "Host: w0.example"]
    argv += ["--timeout", "10s", "--script", load.script, f"http://127.0.0.1:{port}{load.path}"]
    argv += ["--", *load.arguments]
    run = subprocess.run(argv, cwd=WRK_SCRIPTS, capture_output=True, text=True)
    report = next((line for line in run.stdout.splitlines() if line.startswith("{")), None)
    if run.returncode != 0 or report is None:
        raise LoadError(f"wrk failed: {(run.stderr or run.stdout).strip()[-500:]}")
    report = json.loads(report)
    if report["requests"] == 0:
        raise LoadError("no request was answered while wrk ran")
    return LoadResult(
        requests=report["requests"],
        seconds=report["duration_us"] / 1e6,
        p50_us=report["p50_us"],
        p99_us=report["p99_us"],
        errors=report["status_errors"] + report["socket_errors"] + report["timeouts"],
    )


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    first_byte_seconds: float


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int, timeout: float = 15):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self.http.connect()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_):
        self.http.close()

    def ask(self, path: str, host: str, body: bytes | None = None) -> Answer:
        try:
            return self._exchange(path, host, body)
        except (OSError, http.client.HTTPException) as error:
            raise LoadError(f"no answer for {host}{path}: {error!r}") from error

    def _exchange(self, path: str, host: str, body: bytes | None) -> Answer:
        self.http.putrequest("GET" if body is None else "POST", path, skip_host=True, skip_accept_encoding=True)
        self.http.putheader("Host", host)
        if body is not None:
            self.http.putheader("Content-Type", "application/json")
            self.http.putheader("Content-Length", str(len(body)))
        sent = time.perf_counter()
        self.http.endheaders(body)
        # Returns with the first byte of the answer and leaves it for the parser.
        self.http.sock.recv(1, socket.MSG_PEEK)
        first_byte = time.perf_counter() - sent
        response = self.http.getresponse()
        return Answer(response.status, response.read(), first_byte)


def wait_until_listening(port: int, still_runs: Callable[[], bool], deadline_seconds: float = 60):
    """Polls without a pause worth measuring, because the start of a process is timed with it."""
    deadline = time.monotonic() + deadline_seconds
    while still_runs():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise LoadError(f"nothing listens on port {port} after {deadline_seconds:.0f} s")
        time.sleep(0.0003)
    raise LoadError("the process ended before it listened")
