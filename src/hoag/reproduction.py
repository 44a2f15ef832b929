"""The paper's protocol on a folder of real galaxies, and the table that ends a run."""

from pathlib import Path
from typing import Any

from hoag.protocol import load_protocol, run_protocol
from hoag.provenance import command
from hoag.roles import read_roles


def run_reproduction(
    data: str | Path,
    out: str | Path,
    *,
    roles: str | Path | None = None,
    protocol: str | Path = "small",
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    final: bool = False,
) -> str:
    """Run the protocol on a folder of galaxies; gives the table it found.

    Parameters
    ----------
    data
        Folder of galaxies.
    out
        Folder for runs/, embeddings/, results.json and report.html.
    roles
        File to use in place of ``dataset.toml`` in `data`.
    protocol
        Name of a protocol that ships with hoag, or a TOML file.
    seed, device, resume, final
        As in `hoag.protocol.run_protocol`.
    """
    results = run_protocol(
        read_roles(data, roles), load_protocol(protocol), out, seed=seed, device=device,
        resume=resume, final=final, commands=[command()],
    )  # fmt: skip
    return summary_of(results, Path(out))


def summary_of(results: dict[str, Any], out: Path) -> str:
    """Lay out the accuracies of all arms and tasks as a table for the terminal."""
    blocks = []
    for task in results["tasks"]:
        sizes = sorted({row["size"] for row in task["curve"]})
        cells = {(row["arm"], row["size"]): _cell(row) for row in task["curve"]}
        arms = list(dict.fromkeys(row["arm"] for row in task["curve"]))
        lines = [f"{task['name']}: accuracy (%) with 95 % interval, by number of labels"]
        wide = max(15, *map(len, arms)) + 1
        lines.append(" " * wide + "".join(f"{size:>20,}" for size in sizes))
        for arm in arms:
            lines.append(
                f"{arm:<{wide}}" + "".join(f"{cells.get((arm, n), '-'):>20}" for n in sizes)
            )
        blocks.append("\n".join(lines))
    caveats = "\n".join(f"- {text}" for text in results["caveats"])
    if caveats:
        blocks.append(f"What this can and cannot show:\n{caveats}")
    blocks.append(f"report: {out / 'report.html'}\nnumbers: {out / 'results.json'}")
    return "\n\n".join(blocks)


def _cell(row: dict[str, Any]) -> str:
    middle, low, high = (100 * row[f"accuracy{end}"] for end in ("", "_low", "_high"))
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
