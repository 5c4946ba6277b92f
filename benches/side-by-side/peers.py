"""The servers side by side: how each is found or installed, and the command line that makes it run a site.

A peer gets as much of a site as it has notions for. What it lacks raises `NotComparable` (a dash in the table); what
it does in another way carries a note. Nothing here measures.
"""

import json
import os
import platform
import random
import shutil
import socket
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from sites import COMPATIBILITY_DATE, Routing, Site

HERE = Path(__file__).parent

# The upstream of the proxy is on this machine, where fetch() may not go unless the server says so.
HOLM_SERVER_SETTINGS = ['egress = "public-and-loopback"']

# Pinned, so that two runs compare the same peers.
NPM_VERSIONS = {"workerd": "1.20261117.1", "deno": "2.9.6", "bun": "1.4.5"}

SHARED_ISOLATE = "one script holds all handlers in a Map: no isolation between them"
NO_ENGINE = "a HashMap of Rust closures: no engine, no isolation"
ROUTER_WORKER = "a router worker with one service binding for each worker: two isolates for each request"
WORKER_LOADER = "a router worker with the experimental worker loader"


class Unavailable(Exception):
    """The peer cannot run on this machine as it is; the message says what to do."""


class NotComparable(Exception):
    """The peer has nothing like what a scenario asks for."""


@dataclass(frozen=True)
class Command:
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    # Where 200 says that the server is ready; without it, a port that accepts connections is.
    health_port: int | None = None


@dataclass(frozen=True)
class Setting:
    """Where and for what a server is started."""

    site: Site
    directory: Path
    port: int
    upstream: str


def free_port() -> int:
    """A port below the range that outgoing connections get theirs from.

    Inside that range, a client that polls a port nobody listens on yet can connect to itself and so take the port away.
    """
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10_000, lowest_outgoing)
        with socket.socket() as probe:
            # As servers do, or a port that a server has just left counts as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def _first_line(argv: list[str]) -> str:
    run = subprocess.run(argv, capture_output=True, text=True)
    if run.returncode != 0:
        raise Unavailable(f"`{' '.join(argv)}` failed: {(run.stderr or run.stdout).strip()[-300:]}")
    return run.stdout.strip().splitlines()[0]


class Peer:
    name: str
    binary: Path
    version: str

    def prepare(self, cache: Path):
        """Finds or installs the binary, and its version. Raises Unavailable."""
        raise NotImplementedError

    def command(self, setting: Setting) -> Command:
        """Writes what the peer reads beside the site's files. Raises NotComparable."""
        raise NotImplementedError

    def note(self, routing: Routing) -> str | None:
        return None


# === Holm ===


class Holm(Peer):
    name = "holm"

    def __init__(self, binary: Path):
        self.binary = binary

    def prepare(self, cache: Path):
        if not self.binary.is_file():
            raise Unavailable(f"no binary at {self.binary}: run `cargo build --release`, or give --holm PATH")
        self.version = _first_line([str(self.binary), "--version"])

    def command(self, setting: Setting) -> Command:
        admin_port = free_port()
        lines = [
            "[server]",
            f'http = "127.0.0.1:{setting.port}"',
            f'admin = "127.0.0.1:{admin_port}"',
            *HOLM_SERVER_SETTINGS,
            "[limits]",
            "cpu_ms = 50",
        ]
        for worker in setting.site.workers:
            lines += ["[[worker]]", f'project = "{worker.name}"', f'hostnames = ["{worker.host}"]']
        config = setting.directory / "holm.toml"
        config.write_text("\n".join(lines) + "\n")
        return Command([str(self.binary), "serve", "--config", str(config)], health_port=admin_port)


# === plain axum ===


class Axum(Peer):
    name = "axum"

    def __init__(self, binary: Path | None, threads: int):
        self.prebuilt = binary
        self.threads = threads

    def prepare(self, cache: Path):
        self.binary = self.prebuilt or self._build(cache / "axum-peer-target")
        lock = tomllib.loads((HERE / "axum-peer" / "Cargo.lock").read_text())
        axum = next(package for package in lock["package"] if package["name"] == "axum")
        _first_line([str(self.binary), "--version"])
        self.version = f"axum {axum['version']}, {self.threads} threads"

    def _build(self, target: Path) -> Path:
        if shutil.which("cargo") is None:
            raise Unavailable("cargo is not installed; it builds axum-peer/")
        # A target directory of its own, so that a build of Holm that is under way neither waits nor is disturbed.
        build = subprocess.run(
            ["cargo", "build", "--release", "--locked", "--quiet"],
            cwd=HERE / "axum-peer",
            env={**os.environ, "CARGO_TARGET_DIR": str(target)},
            capture_output=True,
            text=True,
        )
        if build.returncode != 0:
            raise Unavailable(f"axum-peer/ does not build:\n{build.stderr.strip()[-1500:]}")
        return target / "release" / "axum-peer"

    def command(self, setting: Setting) -> Command:
        if setting.site.routing is Routing.ON_DEMAND:
            raise NotComparable
        argv = [str(self.binary), "--port", str(setting.port), "--threads", str(self.threads)]
        argv += ["--hosts", str(len(setting.site.workers)), "--upstream", setting.upstream]
        return Command(argv)

    def note(self, routing: Routing) -> str | None:
        return NO_ENGINE if routing is Routing.BY_HOST else None


# === peers from npm ===


class NpmPeer(Peer):
    # Where the package for this platform keeps its binary, below node_modules.
    pattern: str

    def prepare(self, cache: Path):
        directory = cache / "npm" / f"{self.name}-{NPM_VERSIONS[self.name]}"
        self.binary = self._installed(directory) or self._install(directory)
        self.version = self._version()

    def _version(self) -> str:
        return _first_line([str(self.binary), "--version"])

    def _installed(self, directory: Path) -> Path | None:
        return next((directory / "node_modules").glob(self.pattern), None)

    def _install(self, directory: Path) -> Path:
        if shutil.which("npm") is None:
            raise Unavailable("npm is not installed; it brings this peer")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "package.json").write_text('{"private": true}\n')
        package = f"{self.name}@{NPM_VERSIONS[self.name]}"
        # Without install scripts, which would move or wrap it, the binary stays in the platform's package.
        argv = ["npm", "install", "--ignore-scripts", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund"]
        install = subprocess.run([*argv, package], cwd=directory, capture_output=True, text=True)
        if install.returncode != 0:
            raise Unavailable(f"`npm install {package}` failed: {install.stderr.strip()[-500:]}")
        binary = self._installed(directory)
        if binary is None:
            machine = f"{platform.system()} {platform.machine()}"
            raise Unavailable(f"the npm package {package} has no binary for {machine}")
        return binary


class Workerd(NpmPeer):
    name = "workerd"
    pattern = "@cloudflare/workerd-*/bin/workerd"

    def command(self, setting: Setting) -> Command:
        site, directory = setting.site, setting.directory
        if site.routing is Routing.ON_DEMAND:
            _write_loader_router(site, directory)
            services = [_workerd_service("entry", "entry.js", '(name = "LOADER", workerLoader = ())')]
        else:
            services = [_workerd_service(worker.name, f"{worker.name}/index.js") for worker in site.workers]
        if site.routing is Routing.BY_HOST:
            (directory / "entry.js").write_text(SERVICE_BINDING_ROUTER)
            bindings = [f'(name = "{worker.name}", service = "{worker.name}")' for worker in site.workers]
            services.append(_workerd_service("entry", "entry.js", ", ".join(bindings)))
        entry = site.workers[0].name if site.routing is Routing.ONE else "entry"
        config = directory / "config.capnp"
        config.write_text(WORKERD_CONFIG.format(services=",\n    ".join(services), port=setting.port, entry=entry))
        return Command([str(self.binary), "serve", "--experimental", str(config)])

    def note(self, routing: Routing) -> str | None:
        return {Routing.BY_HOST: ROUTER_WORKER, Routing.ON_DEMAND: WORKER_LOADER}.get(routing)


WORKERD_CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    {services},
    (name = "internet", network = (allow = ["public", "private"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "{entry}")]
);
"""

SERVICE_BINDING_ROUTER = """\
export default {
  fetch(request, env) {
    const name = request.headers.get("Host").split(".", 1)[0];
    return env[name].fetch(request);
  },
};
"""

LOADER_ROUTER = """\
const sources = SOURCES;

export default {
  fetch(request, env) {
    const name = request.headers.get("Host").split(".", 1)[0];
    const worker = env.LOADER.get(name, () => ({
      compatibilityDate: "COMPATIBILITY_DATE",
      mainModule: "index.js",
      modules: { "index.js": sources[name] },
    }));
    return worker.getEntrypoint().fetch(request);
  },
};
"""


def _workerd_service(name: str, module: str, bindings: str = "") -> str:
    return (
        f'(name = "{name}", worker = (modules = [(name = "{name}", esModule = embed "{module}")], '
        f'compatibilityDate = "{COMPATIBILITY_DATE}", bindings = [{bindings}]))'
    )


def _write_loader_router(site: Site, directory: Path):
    sources = json.dumps({worker.name: worker.source for worker in site.workers})
    router = LOADER_ROUTER.replace("COMPATIBILITY_DATE", COMPATIBILITY_DATE).replace("SOURCES", sources)
    (directory / "entry.js").write_text(router)


def _write_map_router(site: Site, directory: Path):
    """An entry module that gives each request to the worker of its host, all within one script."""
    imports = [f'import {worker.name} from "./{worker.name}/index.js";' for worker in site.workers]
    entries = [f'["{worker.host}", {worker.name}]' for worker in site.workers]
    (directory / "entry.js").write_text(
        "\n".join(imports)
        + f"\nconst workers = new Map([{', '.join(entries)}]);\n"
        + 'export default { fetch: (request) => workers.get(request.headers.get("Host")).fetch(request) };\n'
    )


def _entry_module(site: Site, directory: Path) -> str:
    if site.routing is Routing.ON_DEMAND:
        raise NotComparable
    if site.routing is Routing.ONE:
        return f"{site.workers[0].name}/index.js"
    _write_map_router(site, directory)
    return "entry.js"


class Deno(NpmPeer):
    name = "deno"
    pattern = "@deno/linux-*/deno"

    def command(self, setting: Setting) -> Command:
        entry = _entry_module(setting.site, setting.directory)
        argv = [str(self.binary), "serve", "--no-config", "--allow-net=127.0.0.1"]
        argv += ["--host", "127.0.0.1", "--port", str(setting.port), entry]
        return Command(argv, {"DENO_DIR": str(setting.directory / "deno-dir"), "DENO_NO_UPDATE_CHECK": "1"})

    def note(self, routing: Routing) -> str | None:
        return SHARED_ISOLATE if routing is Routing.BY_HOST else None


class Bun(NpmPeer):
    name = "bun"
    pattern = "@oven/bun-linux-*/bin/bun"

    def _version(self) -> str:
        return f"bun {super()._version()}"

    def command(self, setting: Setting) -> Command:
        entry = _entry_module(setting.site, setting.directory)
        (setting.directory / "serve.js").write_text(
            f'import worker from "./{entry}";\n'
            f'Bun.serve({{ hostname: "127.0.0.1", port: {setting.port}, fetch: worker.fetch }});\n'
        )
        return Command([str(self.binary), "run", "serve.js"], {"DO_NOT_TRACK": "1"})

    def note(self, routing: Routing) -> str | None:
        return SHARED_ISOLATE if routing is Routing.BY_HOST else None
