"""The table of README.md, written from the JSON of runs."""

from pathlib import Path
from typing import Any

START, END = "<!-- table: python benchmarks/run.py table -->", "<!-- end of table -->"
HEAD = ("case", "hoag", "floor", "peer", "of the floor", "times the peer", "asked", "reached")


def text_of(runs: list[dict[str, Any]]) -> str:
    """The rows of runs as a Markdown table, each run with its command, commit and machine.

    Where several runs have a row, the last one counts and is marked by its number.
    """
    lines = [_line(HEAD), "|" + "---|" * len(HEAD)]
    rows = {row["case"]: (number, row) for number, run in enumerate(runs) for row in run["rows"]}
    for number, row in rows.values():
        case, *cells = _cells(row)
        lines.append(_line([f"{case} [{number + 1}]" if number else case, *cells]))
    lines.append("")
    lines += [_note(number, run) for number, run in enumerate(runs, 1)]
    return "\n".join(lines)


def _note(number: int, run: dict[str, Any]) -> str:
    load = f"{run['load before'][0]:.1f} to {run['load after'][0]:.1f}"
    libraries = ", ".join(f"{name} {version}" for name, version in run["libraries"].items())
    return (
        f"{number}. `{run['command']}`: commit {(run['commit'] or 'unknown')[:7]}, "
        f"{run['machine']['processor']}, {run['machine']['cores']} cores, {libraries}, "
        f"load {load}."
    )


def _cells(row: dict[str, Any]) -> list[str]:
    by = row["by"]
    cells = [row["case"]]
    for side in ("hoag", "floor", "peer"):
        seconds = row.get(f"{side} ms {by}")
        cells.append("" if seconds is None else _milliseconds(seconds))
    for side in ("floor", "peer"):
        ratio = row.get(f"times {side} {by}")
        other = row.get(f"times {side} {'wall' if by == 'processor' else 'processor'}")
        cells.append("" if ratio is None else f"{ratio:.2f} ({other:.2f})")
    asked = [f"{name} {value:g}" for name, value in row["asked"].items()]
    cells.append(", ".join(asked))
    values = [
        f"{name} {'yes' if row['reached'][name] else 'no'}: {value:.3g}"
        for name, value in row["found"].items()
        if name not in ("floor", "peer")
    ]
    judged = [f"{n} {'yes' if row['reached'][n] else 'no'}" for n in row["found"]
              if n in ("floor", "peer")]  # fmt: skip
    noted = [f"{name} {value}" for name, value in row.get("noted", {}).items()]
    cells.append(", ".join(judged + values + noted) or "not measured")
    return cells


def _milliseconds(value: float) -> str:
    return f"{value / 1e3:.3g} s" if value >= 1e4 else f"{value:.3g} ms"


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def write_table(path: Path, runs: list[dict[str, Any]]) -> None:
    """Put the table between its marks."""
    text = path.read_text()
    before, rest = text.split(START)
    _, after = rest.split(END)
    path.write_text(f"{before}{START}\n\n{text_of(runs)}\n\n{END}{after}")


def add_to_table(path: Path, runs: list[dict[str, Any]]) -> None:
    """Put the rows of more runs in the place of older ones, or below; the others stay."""
    before, rest = path.read_text().split(START)
    table, after = rest.split(END)
    lines = table.strip().splitlines()
    notes = [line for line in lines if line[:1].isdigit()]
    rows = {_case(line): line for line in lines if line.startswith("| ")}
    for number, run in enumerate(runs, len(notes) + 1):
        for row in run["rows"]:
            case, *cells = _cells(row)
            rows[case] = _line([f"{case} [{number}]", *cells])
        notes.append(_note(number, run))
    head, *body = rows.values()
    text = "\n".join([head, "|" + "---|" * len(HEAD), *body, "", *notes])
    path.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}")


def _case(line: str) -> str:
    return line.split(" | ")[0].removeprefix("| ").split(" [")[0]
