"""Draw the pictures of docs/real-galaxies.md from its numbers and what the run has left.

python runs/pictures.py OUT docs/pictures

They are plots of many galaxies, and one gallery of simulated ones; no image of a real galaxy.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from drawing import agreement, classes, found, searched
from matplotlib.figure import Figure
from PIL import Image
from rankings import SHOWN

import hoag
from hoag.calibration_figures import coverage_figure, pit_figure, reliability_figure
from hoag.catalogue import read_table
from hoag.errors import HoagError
from hoag.figure_style import png_bytes
from hoag.files import read_json, written_whole
from hoag.galleries import gallery_figure
from hoag.goal_heads import Goal
from hoag.goal_scores import confusion_figure
from hoag.map_figure import map_figure, shade_of
from hoag.matrix_figure import matrix_figure
from hoag.splits import split_names

LARGEST = 120_000  # bytes of a picture
SOURCES = {"hart16": "real counts (hart16)", "kaggle": "pseudo-counts (kaggle)"}
ASKED = "smooth-or-featured-gz2"
WIDTHS = {"simulated-rings": 780, "map": 840}  # pixels; 1,000 for the others


def save(figure: Figure, place: Path, width: int = 1000) -> None:
    """Save a figure at a width in pixels, in few colours, and small."""
    with written_whole(place) as temporary:
        temporary.write_bytes(png_bytes(figure, dpi=round(width / figure.get_figwidth())))
        with Image.open(temporary) as picture:
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(temporary, optimize=True)
        size = temporary.stat().st_size
        if size > LARGEST:
            raise HoagError(f"{place}: {size:,} bytes, more than {LARGEST:,}; draw it simpler")
    print(f"{place} {size:,} bytes")


def calibration(out: Path) -> dict[str, Figure]:
    """Draw PIT histograms and reliability of both kinds of votes, and coverage of the real ones."""
    told = {name: read_json(out / f"calibration-{name}" / "calibration.json") for name in SOURCES}
    both = [{"name": title, **told[name]["all"]} for name, title in SOURCES.items()]
    questions = [
        {**group, "label": group["name"].removesuffix("-gz2")}
        for group in told["hart16"]["groups"] if group["by"] == "question"
    ]  # fmt: skip
    labels = [f"{group['label']} ({group['after']['galaxies']:,})" for group in questions]
    goal, least = tuple(told["hart16"]["goal"]["question"]), 50
    return {
        "pit": pit_figure(both, across=2),
        "reliability": reliability_figure(both, across=2),
        "coverage": coverage_figure(questions, goal, least, labels),
    }


def predicted(out: Path) -> Figure:
    """Draw predicted against real fractions of held-out galaxies whose counts are real."""
    answer = f"{ASKED}_featured-or-disk"
    columns = [f"{answer}_{end}" for end in ("fraction", "fraction_low", "fraction_high")]
    table = read_table(out / "votes.fits", ["id_str", "source", *columns])
    votes = read_table(out / "featured.csv")
    truth = dict(zip(votes["id_str"].to_pylist(), votes["featured or disk"].to_pylist(),
                     strict=True))  # fmt: skip
    ids = np.array(table["id_str"].to_pylist())
    shown = (split_names(ids) == "test") & (np.array(table["source"].to_pylist()) == "hart16")
    expected, low, high = (np.asarray(table[name])[shown] for name in columns)
    return agreement(expected, low, high, np.array([truth[name] for name in ids[shown]]))


def gallery(out: Path) -> Figure:
    """Show the simulated galaxies most like five simulated rings."""
    from hoag.catalogue import read_table

    table = read_table(out / "searched" / "simulated-0.parquet").slice(0, SHOWN)
    galaxies = hoag.open(out / "sky" / "rings.parquet")
    rows = {name: row for row, name in enumerate(galaxies.ids)}
    chosen = galaxies.take(np.array([rows[name] for name in table["id_str"].to_pylist()]))
    rings = [value == 1 for value in chosen.select(["ring"])["ring"].to_pylist()]
    return gallery_figure(
        [galaxy.image for galaxy in chosen], table["similarity"].to_pylist(), rings,
        title="Most like five simulated rings",
    )  # fmt: skip


def mapped(out: Path) -> Figure:
    """Draw the map of `hoag map` by the vote fraction, larger letters and no pictures."""
    atlas = read_table(out / "map" / "atlas.parquet")
    places = np.stack([np.asarray(atlas[f"projection_{axis}"]) for axis in "xy"], axis=1)
    name = "featured or disk"
    return map_figure(places, ("UMAP 1", "UMAP 2"), shade_of(atlas[name], name))


def telescopes(told: dict[str, Any]) -> dict[str, Figure]:
    """Draw which telescope a galaxy is taken for, and whose galaxies its neighbours are."""
    probe, near = told["probe"], told["neighbours"]
    return {
        "surveys-probe": matrix_figure(
            probe["confusion"], probe["surveys"], probe["surveys"], rows="from",
            columns="taken for", percent=True,
        ),
        "surveys-neighbours": matrix_figure(
            near["shares"], near["surveys"], near["surveys"], rows="galaxy of",
            columns="neighbours of", percent=True,
        ),
    }  # fmt: skip


def main() -> None:
    out, place = Path(sys.argv[1]), Path(sys.argv[2])
    told = read_json(place / "real-galaxies.json")
    goal = Goal("classes", tuple(told["classes"]["names"]), ("coarse_class",))
    figures = {
        **calibration(out),
        "predicted": predicted(out),
        "found": found(told["find"]),
        "searched": searched(told["search"]),
        "simulated-rings": gallery(out),
        "classes": classes(told["classes"]),
        "confusion": confusion_figure(goal, told["classes"]),
        "map": mapped(out),
        **telescopes(told["surveys"]),
    }
    for name, figure in figures.items():
        save(figure, place / f"{name}.png", WIDTHS.get(name, 1000))


if __name__ == "__main__":
    main()
