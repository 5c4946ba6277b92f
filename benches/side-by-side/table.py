"""Medians over the rounds, and the Markdown that `run.py` prints. Pure: no clock, no process."""

from dataclasses import dataclass, field
from statistics import median

from scenarios import Measurement

HEADER = "| server | requests/s | p50 ms | p99 ms | CPU µs/request | peak memory MiB |"
RULE = "|---|---:|---:|---:|---:|---:|"
DASH = "–"
REFERENCE = "holm"


@dataclass
class Row:
    """One peer in one scenario."""

    peer: str
    note: str | None = None
    rounds: list[Measurement] = field(default_factory=list)
    comparable: bool = True
    failure: str | None = None

    def median(self, metric: str) -> float | None:
        values = [getattr(measurement, metric) for measurement in self.rounds]
        if not values or None in values:
            return None
        return median(values)

    def spread(self) -> str:
        """The lowest and highest round of the metric that the scenario is about."""
        for metric, scale, digits in (("requests_per_second", 1, 0), ("p50_us", 1e-3, 2)):
            if self.median(metric) is not None:
                values = [getattr(measurement, metric) * scale for measurement in self.rounds]
                return f"{min(values):,.{digits}f}–{max(values):,.{digits}f}"
        return DASH


METRICS = [
    # (field, factor to the unit of the header, digits)
    ("requests_per_second", 1, 0),
    ("p50_us", 1e-3, 2),
    ("p99_us", 1e-3, 2),
    ("cpu_us_per_request", 1, 1),
    ("memory_bytes", 1 / (1 << 20), 0),
]


def markdown(title: str, rows: list[Row]) -> str:
    holm = next((row for row in rows if row.peer == REFERENCE and row.rounds), None)
    notes: list[str] = []
    lines = [f"### {title}", "", HEADER, RULE]
    for row in rows:
        mark = ""
        if row.note and row.rounds:
            if row.note not in notes:
                notes.append(row.note)
            mark = f" [{notes.index(row.note) + 1}]"
        cells = [_cell(row, holm, metric, factor, digits) for metric, factor, digits in METRICS]
        lines.append(f"| {row.peer}{mark} | {' | '.join(cells)} |")
    lines.append("")
    remarks = [f"[{number}] {note}." for number, note in enumerate(notes, 1)]
    remarks += [*_spreads(rows), *_problems(rows)]
    return "\n".join(lines + [f"- {remark}" for remark in remarks]) + "\n"


def _cell(row: Row, holm: Row | None, metric: str, factor: float, digits: int) -> str:
    value = row.median(metric)
    if value is None:
        return "failed" if row.failure and not row.rounds else DASH
    cell = f"{value * factor:,.{digits}f}"
    reference = holm.median(metric) if holm and holm is not row else None
    return f"{cell} ({reference / value:.2f}×)" if reference is not None and value else cell


def _spreads(rows: list[Row]) -> list[str]:
    measured = [row for row in rows if len(row.rounds) > 1]
    if not measured:
        return []
    unit = "requests/s" if measured[0].median("requests_per_second") is not None else "p50 in ms"
    return [f"Rounds, {unit}: " + "; ".join(f"{row.peer} {row.spread()}" for row in measured) + "."]


def _problems(rows: list[Row]) -> list[str]:
    problems = []
    for row in rows:
        errors = sum(measurement.errors for measurement in row.rounds)
        if errors:
            problems.append(f"**{row.peer}: {errors} requests failed under load** (status, socket or time-out).")
        if row.failure:
            problems.append(f"**{row.peer} failed**: {row.failure.splitlines()[0]}")
    return problems
