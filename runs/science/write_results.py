"""Write results/README.md and its figures from the JSON of results/science; no number is typed.

python runs/science/write_results.py [OUT]

With OUT, the folder that holds the runs, their short copies are made in results/science first.
The text stands in results.md.j2, the paper's numbers in paper.toml, the parts in parts.toml.
"""

import argparse
import tomllib
from pathlib import Path
from typing import Any

import jinja2
import science_figures
import tables
from collect import collect
from outcomes import encoder_of, losses_of
from paper import paper

from hoag.errors import HoagError
from hoag.figure_style import png_bytes
from hoag.files import read_json, written_whole

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results"
PARTS: dict[str, Any] = tomllib.loads((HERE / "parts.toml").read_text())
EARLIER = ("shared-galaxies", "demo")
DPI = 110


def read_parts(results: Path) -> dict[str, Any]:
    """JSON of each part of results/science, None where there is none."""
    places = {name: results / "science" / f"{name}.json" for name in PARTS}
    return {name: read_json(path) if path.exists() else None for name, path in places.items()}


def rendered(results: Path) -> str:
    """Fill in the page."""
    found = read_parts(results)
    check_verdicts(found)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "accuracies": tables.accuracies, "untrained": tables.untrained,
        "direct_best": tables.direct_best, "differences": tables.differences,
        "claim_rows": tables.claim_rows, "shares": tables.shares, "sweep": tables.sweep,
        "point": tables.point, "percent": lambda value: f"{100 * value:.1f}",
        "thousands": lambda number: f"{number:,.0f}", "encoder": encoder_of,
        "made": made, "counted": counted, "began": lambda text: text[:1].upper() + text[1:],
        "summary": summary, "ranges": tables.percent, "finals": finals,
        "filled": lambda text: environment.from_string(text).render(found=found),
    }  # fmt: skip
    return environment.get_template("results.md.j2").render(
        parts=PARTS,
        found=found,
        paper=paper(),
        shares=by_share(found),
        why=why(),
        missing=[name for name, content in found.items() if content is None],
        drawn=sorted(path.name for path in (results / "science").glob("*.png")),
        earlier=earlier(results),
    )


def check_verdicts(found: dict[str, Any]) -> None:
    """The verdicts must be of the runs that the page shows.

    Raises
    ------
    HoagError
        If a run has been made again since.
    """
    if found["verdicts"] is None:
        return
    for name, judged in zip(("main", "second"), found["verdicts"]["inputs"], strict=False):
        if found[name] and found[name]["stamp"]["time"] != judged["time"]:
            raise HoagError(
                f"verdicts.json is of another run than {name}.json; judge again: "
                "python runs/science/verdicts.py"
            )


def why() -> dict[str, str]:
    """What was found out where a claim is not shown, by the claim's number, in why.toml."""
    place = HERE / "why.toml"
    return tomllib.loads(place.read_text())["claims"] if place.exists() else {}


def summary(claims: list[dict[str, Any]]) -> list[str]:
    """Which claims got which verdict: "shown: 1, 3"."""
    verdicts = ("shown", "contradicted", "not shown", "not tested")
    groups: dict[str, list[str]] = {}
    for verdict in verdicts:
        groups[verdict] = [claim["number"] for claim in claims if claim["verdict"] == verdict]
    return [f"{verdict}: {', '.join(numbers)}" for verdict, numbers in groups.items() if numbers]


def by_share(found: dict[str, Any]) -> dict[str, Any]:
    """What a share of the votes is called -> the first task of the run that had it."""
    runs = {"all": found["main"]}
    runs |= {part["share"]: found[name] for name, part in PARTS.items() if "share" in part}
    runs[tables.NO_VOTES] = found["main"]
    return {share: content["tasks"][0] for share, content in runs.items() if content}


def made(content: dict[str, Any]) -> dict[str, str]:
    """How a part came about: command, commit, seeds, machine, time, hashes of its data."""
    stamp = content["stamp"]
    machine = stamp["machine"]
    arms = content.get("arms", {}).values()
    return {
        "command": "; ".join(content.get("commands") or [stamp["command"]]),
        "commit": (stamp["commit"] or "unknown")[:7],
        "seeds": seeds_of(content),
        "seen": f"{max(arm['galaxies_seen'] for arm in arms):,}" if arms else "",
        "machine": f"{machine['cores']} cores, {machine['processor']}",
        "took": duration(sum(arm["seconds"] for arm in arms)) if arms else "",
        "data": ", ".join(
            f"{name} {digest[:8]}"
            for name, digest in content.get("dataset", {}).get("hashes", {}).items()
        ),
        "time": stamp["time"][:10],
    }


def finals(task: dict[str, Any]) -> str:
    """Accuracies on the test half, where it was looked at."""
    return tables.accuracies({"curve": task["final"]})


def seeds_of(content: dict[str, Any]) -> str:
    """The seed, and how often each arm was pretrained."""
    runs = content.get("settings", {}).get("pretraining_seeds")
    often = "" if runs is None else ", each arm once" if runs == 1 else f", each arm {runs} times"
    return f"{content['stamp']['seed']}{often}"


def duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def counted(task: dict[str, Any]) -> str:
    """The labels of a task by class."""
    return ", ".join(
        f"{count:,} {f'of class {name}' if name.isdigit() else name}"
        for name, count in task["labels by class"].items()
    )


def earlier(results: Path) -> dict[str, Any]:
    """Runs that came before, each with its own folder."""
    places = {name: results / name / "results.json" for name in EARLIER}
    return {name: read_json(path) for name, path in places.items() if path.exists()}


def figures(found: dict[str, Any]) -> dict[str, Any]:
    """Every figure that the parts at hand allow, by name."""
    drawn = {}
    main = found["main"]
    if main:
        known = {row["name"]: row["accuracy"] for row in (found["ceiling"] or {"rows": []})["rows"]}
        drawn["fig1"] = science_figures.label_efficiency(
            main["tasks"][0], paper(), known.get("knows")
        )
        task = main["tasks"][0]["name"]
        panels = {
            encoder_of(content): losses_of(content, task)
            for content in (main, found["second"])
            if content
        }
        drawn["fig2"] = science_figures.losses({k: rows for k, rows in panels.items() if rows})
    if found["sweep"]:
        drawn["sweep"] = science_figures.sweep(found["sweep"]["cells"], found["sweep"]["reference"])
    for name in ("mix", "left-out", "real"):
        if found[name]:
            panels = {task["name"]: task["curve"] for task in found[name]["tasks"]}
            drawn[name] = science_figures.tasks(panels)
    shared = by_share(found)
    if len(shared) > 2:
        drawn["shares"] = science_figures.tasks(share_panels(shared), alike=True)
    return drawn


def share_panels(shared: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """A panel a share of the votes: the arms that learned from it, beside those that need none."""
    none = shared[tables.NO_VOTES]["curve"]
    needless = [row for row in none if row["arm"] in tables.WITHOUT_VOTES]
    return {
        f"Votes: {share}": [r for r in task["curve"] if r["arm"] in tables.WITH_VOTES] + needless
        for share, task in shared.items()
        if share != tables.NO_VOTES
    }


def write(results: Path, out: Path | None = None) -> Path:
    """Collect from `out`, draw and write; gives the page's path."""
    if out is not None:
        for name in collect(out, results / "science", PARTS):
            print(results / "science" / f"{name}.json")
    for name, figure in figures(read_parts(results)).items():
        with written_whole(results / "science" / f"{name}.png") as temporary:
            temporary.write_bytes(png_bytes(figure, dpi=DPI))
    page = results / "README.md"
    with written_whole(page) as temporary:
        temporary.write_text(rendered(results), encoding="utf-8")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", help="folder that holds the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the page")
    given = parser.parse_args()
    print(write(given.results, given.out))


if __name__ == "__main__":
    main()
