"""What the servers are asked to run: one worker or many, written out as projects that wrangler and Holm both read.

Every JavaScript peer runs the same `index.js` files; only what is around them differs (see `peers.py`).
"""

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

WORKERS = Path(__file__).parent / "workers"
COMPATIBILITY_DATE = "2026-01-01"


class Routing(Enum):
    """How a request finds its worker."""

    ONE = "one worker gets every request"
    BY_HOST = "many workers, found by the Host header; all of them may run from the start"
    ON_DEMAND = "many workers, found by the Host header; none runs before it is asked"


@dataclass(frozen=True)
class Worker:
    name: str
    source: str

    @property
    def host(self) -> str:
        return f"{self.name}.example"


@dataclass(frozen=True)
class Site:
    routing: Routing
    workers: tuple[Worker, ...]

    def write(self, directory: Path):
        for worker in self.workers:
            project = directory / worker.name
            project.mkdir(parents=True, exist_ok=True)
            (project / "index.js").write_text(worker.source)
            settings = {
                "name": worker.name,
                "main": "index.js",
                "compatibility_date": COMPATIBILITY_DATE,
            }
            (project / "wrangler.jsonc").write_text(json.dumps(settings, indent=2) + "\n")


def one(source_file: str, upstream: str = "") -> Site:
    source = (WORKERS / source_file).read_text().replace("UPSTREAM_URL", upstream)
    return Site(Routing.ONE, (Worker("w0", source),))


def many(count: int, routing: Routing) -> Site:
    template = (WORKERS / "tenant.js").read_text()
    names = [f"w{index}" for index in range(count)]
    return Site(routing, tuple(Worker(name, template.replace("TENANT_NAME", name)) for name in names))
