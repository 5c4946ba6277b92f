#!/usr/bin/env python3
"""Holm beside workerd, Deno, Bun and plain axum: the same worker, client and machine for each, and a table of medians.

README.md beside this file says how to run it, what the numbers mean, and what they do not compare.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import load
import scenarios
import table
from peers import Axum, Bun, Deno, Holm, NotComparable, Peer, Setting, Unavailable, Workerd, free_port
from proc import Process
from scenarios import Context, Scenario
from sites import one

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS = ["holm", "axum", "workerd", "deno", "bun"]
# Stands for the upstream in scenarios that fetch nothing.
NOWHERE = "http://127.0.0.1:1/"
LEGEND = (
    "In parentheses: Holm's number divided by this one. Above 1 is good for Holm under requests/s, below 1 in every "
    "other column."
)


def main() -> int:
    arguments = parse_arguments()
    if (wrk := load.wrk_version()) is None:
        print("wrk is not installed: `apt-get install wrk`", file=sys.stderr)
        return 69
    chosen = [scenario for scenario in scenarios.ALL if scenario.name in arguments.only]
    peers, missing = prepare(arguments)
    if not peers:
        print("no peer can run here", file=sys.stderr)
        return 69
    print(machine_facts(arguments, wrk, peers, missing), flush=True)

    results: dict[str, list[table.Row]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="holm-side-by-side-") as directory,
        Upstream(arguments, chosen, Path(directory)) as upstream,
    ):
        for scenario in chosen:
            if scenario.name == "proxy" and upstream.address is None:
                say("skipping proxy: its upstream is axum-peer, which cannot run here")
                continue
            rows = measure(scenario, peers, arguments, Path(directory), upstream.address or NOWHERE)
            results[scenario.name] = rows
            print(table.markdown(scenario.title, rows), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(results), indent=2) + "\n")
    failed = any(row.failure for rows in results.values() for row in rows)
    return 1 if failed else 0


def measure(
    scenario: Scenario, peers: list[Peer], arguments: argparse.Namespace, directory: Path, upstream: str
) -> list[table.Row]:
    """All rounds of one scenario, A B C A B C, so that a slow minute of the machine meets every peer."""
    options = scenarios.Options(
        duration=arguments.duration,
        warmup=arguments.warmup,
        connections=arguments.connections,
        starts=arguments.starts,
        cold_workers=arguments.cold_workers,
    )
    rows = {peer.name: table.Row(peer.name) for peer in peers}
    for number in range(1, arguments.rounds + 1):
        for peer in peers:
            row = rows[peer.name]
            if not row.comparable or row.failure:
                continue
            say(f"{scenario.name}, round {number} of {arguments.rounds}: {peer.name}")
            here = directory / f"{scenario.name}-{peer.name}"
            here.mkdir(exist_ok=True)
            context = Context(options, here, upstream)
            row.note = peer.note(scenario.site(context).routing)
            try:
                row.rounds.append(scenario.run(peer, context))
            except NotComparable:
                row.comparable = False
            except load.LoadError as error:
                row.failure = str(error)
                say("\n".join([f"{peer.name} failed: {error}", *getattr(error, "__notes__", [])]))
    return list(rows.values())


class Upstream:
    """The server behind the proxy scenario: axum-peer in a process of its own, whose costs nobody is charged for."""

    def __init__(self, arguments: argparse.Namespace, chosen: list[Scenario], directory: Path):
        self.arguments = arguments
        self.wanted = any(scenario.name == "proxy" for scenario in chosen)
        self.directory = directory
        self.process: Process | None = None
        self.address: str | None = None

    def __enter__(self) -> "Upstream":
        if not self.wanted:
            return self
        axum = axum_peer(self.arguments)
        try:
            axum.prepare(self.arguments.cache)
        except Unavailable as reason:
            say(str(reason))
            return self
        port = free_port()
        command = axum.command(Setting(one("hello.js"), self.directory, port, NOWHERE))
        self.process = Process(command.argv, self.directory, command.env, self.directory / "upstream.log")
        load.wait_until_listening(port, self.process.runs)
        self.address = f"http://127.0.0.1:{port}/blob"
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.stop()


def prepare(arguments: argparse.Namespace) -> tuple[list[Peer], dict[str, str]]:
    """The peers that can run here, and why the others cannot."""
    arguments.cache.mkdir(parents=True, exist_ok=True)
    available: dict[str, Peer] = {
        "holm": Holm(arguments.holm),
        "axum": axum_peer(arguments),
        "workerd": Workerd(),
        "deno": Deno(),
        "bun": Bun(),
    }
    peers, missing = [], {}
    for name in arguments.peers:
        say(f"preparing {name}")
        try:
            available[name].prepare(arguments.cache)
            peers.append(available[name])
        except Unavailable as reason:
            missing[name] = str(reason)
            say(f"skipping {name}: {reason}")
    return peers, missing


def axum_peer(arguments: argparse.Namespace) -> Axum:
    return Axum(arguments.axum_peer, arguments.axum_threads)


def machine_facts(arguments: argparse.Namespace, wrk: str, peers: list[Peer], missing: dict[str, str]) -> str:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    facts = [
        f"- machine: {os.cpu_count()} cores, {cpu}, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        f"- load average before the first round: {' '.join(f'{value:.2f}' for value in os.getloadavg())}",
        f"- client: {wrk}, 1 thread, {arguments.connections} connections, {arguments.duration} s after "
        f"{arguments.warmup} s of warm-up, median of {arguments.rounds} rounds",
        *(f"- {peer.name}: {peer.version}" for peer in peers),
        *(f"- {name}: skipped, {reason.splitlines()[0]}" for name, reason in missing.items()),
    ]
    return "\n".join(["## Side by side", "", *facts, "", LEGEND, ""])


def as_json(results: dict[str, list[table.Row]]) -> dict:
    return {name: [asdict(row) for row in rows] for name, rows in results.items()}


def say(message: str):
    print(message, file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    names = [scenario.name for scenario in scenarios.ALL]
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=choices(names), default=names, help=f"scenarios: {','.join(names)}")
    parser.add_argument("--peers", type=choices(PEERS), default=PEERS, help=f"servers: {','.join(PEERS)}")
    parser.add_argument("--duration", type=positive, default=5, metavar="S", help="seconds of load in a round (5)")
    parser.add_argument("--warmup", type=positive, default=1, metavar="S", help="seconds of load before it (1)")
    parser.add_argument("--connections", type=positive, default=64, metavar="N", help="open connections (64)")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="rounds to take the median of (3)")
    parser.add_argument("--starts", type=positive, default=10, metavar="N", help="process starts in a round (10)")
    parser.add_argument("--cold-workers", type=positive, default=100, metavar="N", help="cold workers in a round (100)")
    parser.add_argument("--axum-threads", type=positive, default=2, metavar="N", help="threads of the axum peer (2)")
    parser.add_argument(
        "--holm", type=Path, default=REPOSITORY / target / "release" / "holm", help="Holm's binary (release build)"
    )
    parser.add_argument("--axum-peer", type=Path, help="a built axum-peer, instead of building it into the cache")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "holm-bench", help="where peers go")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round's numbers here")
    return parser.parse_args()


def choices(known: list[str]):
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; choose from {', '.join(known)}")
        return [name for name in known if name in chosen]

    return parse


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
