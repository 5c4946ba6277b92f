"""What a server process costs, read from /proc: CPU time and peak memory of a process and all its descendants.

Linux only. `peers.py` starts the processes, `measure.py` reads them before and after a load.
"""

import os
import signal
import subprocess
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process:
    """A server in a session of its own, so that stopping it stops whatever it started, and nothing else."""

    def __init__(self, argv: list[str], cwd: Path, env: dict[str, str], log: Path):
        self.log = log
        with log.open("wb") as output:
            self.child = subprocess.Popen(
                argv,
                cwd=cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_):
        self.stop()

    def runs(self) -> bool:
        return self.child.poll() is None

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        for sig, grace in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if not self.runs():
                return
            try:
                os.killpg(self.child.pid, sig)
                self.child.wait(grace)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    def cpu_seconds(self) -> float:
        """User and system time of every live process of the tree, and of the children they have waited for."""
        return sum(_cpu_ticks(pid) for pid in _tree(self.child.pid)) / TICKS_PER_SECOND

    def peak_memory_bytes(self) -> int:
        """VmHWM, summed over the processes. Pages that two processes share count twice."""
        return sum(_vm_hwm(pid) for pid in _tree(self.child.pid))


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, the name, may hold spaces and parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_ticks(pid: int) -> int:
    # utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
    return sum(int(field) for field in _stat_fields(pid)[11:15])


def _vm_hwm(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat_fields(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found
