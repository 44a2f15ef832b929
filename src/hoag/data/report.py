"""The page of a built set: what is in it, beside the paper's, and everything that was not kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hoag.data.built import TABLES, Built, open_built
from hoag.data.card import citations, licences, votes_of
from hoag.data.report_figures import quantiles, sky_figure, volunteers_figure
from hoag.data.report_numbers import (
    MOST_VOTES,
    Numbers,
    class_counts,
    count,
    reasons,
    rounding_and_parents,
)
from hoag.hashes import are_in, hashes_of
from hoag.images import Pixels, encode_jpeg
from hoag.pages import chart, data_uri, render, write_page
from hoag.schema import Schema

TEMPLATE = "data/report.html.j2"
ROWS = 40  # of what was set aside and merged, listed on the page
LARGEST = 128  # pixels across a picture on the page
PAIRS = 24  # of near-duplicates, half of them the least similar
# Walmsley+22, abstract and Sec. 2: the name here, what the paper has, and the campaigns it is of.
PAPER = (
    ("Galaxy Zoo 2", "209,239", ("gz2",)),
    ("Legacy Survey: DECaLS, GZD-1, -2 and -5", "305k", ("dr12", "dr5")),
    ("Legacy Survey: labelled later", "60k", ("dr8",)),
    ("Hubble", "100k", ("hubble",)),
    ("CANDELS", "50k", ("candels",)),
)


def write_data_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write a page on a built set that needs nothing from outside itself.

    Parameters
    ----------
    folder
        A folder that `hoag data build` made.
    out
        The page's path, or the folder for a ``report.html``; None: in the set's folder.

    Returns
    -------
    pathlib.Path
        The page. The same set gives the same bytes.

    Raises
    ------
    HoagError
        If the folder is no built set, or is damaged.
    """
    built = open_built(folder)
    schema = built.roles.source.schema
    numbers = count(built, schema)
    pairs = _pairs(built)
    images = _images(built, numbers, pairs)
    record = built.record
    page = render(
        TEMPLATE,
        record={"hoag": "", "commit": None, "description": "", "held_out": 0, **record},
        galaxies=built.galaxies,
        votes=votes_of(record),
        numbers=numbers,
        paper=_beside_paper(built, numbers, schema),
        campaigns=_campaigns(built, numbers, schema),
        volunteers=chart(volunteers_figure(numbers.volunteers), "votes per galaxy")
        if numbers.volunteers else "",
        most_votes=MOST_VOTES,
        sky=chart(sky_figure(numbers.sky), "sky") if numbers.placed else "",
        surveys=sorted(numbers.surveys.items(), key=lambda item: -sum(item[1].values())),
        tables=[name for name in TABLES if built.shards[name]],
        checks=rounding_and_parents(record),
        sheets=_sheets(numbers, images),
        pairs=[(*pair, images.get(pair[0]), images.get(pair[1])) for pair in pairs],
        tasks=[{**task, "classes": list(class_counts(built, task["name"])),
                "description": built.roles.task(task["name"]).description}
               for task in record["tasks"]],
        aside=_listed(built.set_aside, "reason"),
        merged=_listed(built.merged, "why"),
        licences=list(licences(record)),
        citations=list(citations(record)),
    )  # fmt: skip
    out = built.folder if out is None else Path(out)
    return write_page(out if out.suffix == ".html" else out / "report.html", page)


def _beside_paper(built: Built, numbers: Numbers, schema: Schema) -> list[tuple[str, str, str]]:
    """Rows of the table: what, the paper's, this set's."""
    of = built.record["campaigns"]
    asked = {
        name: about
        for campaign in of.values()
        for name, about in campaign["questions"].items()
        if about["votes"]
    }
    answers = sum(votes > 0 for about in asked.values() for votes in about["answers"].values())
    rows = [
        ("Answers of volunteers", "96.5M", f"{votes_of(built.record):,}"),
        ("Galaxies with votes", "552k", f"{numbers.with_votes:,}"),
        ("Galaxies without", "1.34M", f"{built.galaxies - numbers.with_votes:,}"),
        ("Possible answers", "206", f"{answers:,} given, of {len(schema.columns):,}"),
        ("Questions", "65", f"{len(asked):,} asked, of {len(schema.questions):,}"),
    ]
    known: set[str] = set()
    for name, theirs, campaigns in PAPER:
        known |= set(campaigns)
        ours = sum(of[campaign]["galaxies"] for campaign in campaigns if campaign in of)
        rows.append((f"Galaxies of {name}", theirs, f"{ours:,}" if ours else "–"))
    own = [(name, about) for name, about in of.items() if name not in known]
    rows += [(f"Galaxies of {name}", "–", f"{about['galaxies']:,}") for name, about in own]
    return rows


def _campaigns(built: Built, numbers: Numbers, schema: Schema) -> list[dict[str, Any]]:
    """Lay out each campaign: its questions, the answers with their share of the votes."""
    titles = {about.name: about.title for about in schema.about}
    found = []
    for name, about in built.record["campaigns"].items():
        counts = numbers.volunteers.get(name)
        questions = [
            {
                "name": question.removesuffix(f"-{name}"),
                **of,
                "answers": [
                    (answer.removeprefix("_"), votes, votes / of["votes"] if of["votes"] else 0.0)
                    for answer, votes in of["answers"].items()
                ],
            }
            for question, of in about["questions"].items()
        ]
        found.append(
            {
                "name": name,
                "title": titles.get(name) or name,
                "galaxies": about["galaxies"],
                "votes": about["votes"],
                "questions": questions,
                "volunteers": None if counts is None else quantiles(counts),
            }
        )
    return found


def _pairs(built: Built) -> list[tuple[str, str, float, float]]:
    """Near-duplicates to show: the least similar, then some of the others by chance of hashes."""
    table = built.near_duplicates
    if not table.num_rows:
        return []
    similarity = table["similarity"].to_numpy()
    order = np.argsort(similarity, kind="stable")
    doubtful, rest = order[: PAIRS // 2], order[PAIRS // 2 :]
    hashes = hashes_of(table["id_str_1"].take(rest).to_pylist())
    others = rest[np.argsort(hashes, kind="stable")[: PAIRS - len(doubtful)]]
    rows = [*doubtful.tolist(), *sorted(others.tolist(), key=lambda row: similarity[row])]
    return [
        (row["id_str_1"], row["id_str_2"], row["similarity"], row["zoom"])
        for row in table.take(rows).to_pylist()
    ]


def _images(
    built: Built, numbers: Numbers, pairs: Sequence[tuple[str, str, float, float]]
) -> dict[str, str]:
    """Pictures to show, by id, as data URIs."""
    from hoag.galaxies import open as open_galaxies

    wanted = {id_str for chosen in numbers.chosen.values() for _, id_str in chosen}
    wanted |= {id_str for pair in pairs for id_str in pair[:2]}
    hashes = hashes_of(sorted(wanted))
    pictures: dict[str, str] = {}
    for shards in built.shards.values():
        if not shards:
            continue
        galaxies = open_galaxies(list(shards), schema=built.roles.source.schema)
        for row in np.flatnonzero(are_in(galaxies.keys, hashes)).tolist():
            galaxy = galaxies[row]  # not by pixels(), which would set memory aside for all
            pictures[galaxy.id_str] = data_uri(_small_jpeg(galaxy.image), "image/jpeg")
    return pictures


def _small_jpeg(pixels: Pixels) -> bytes:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return encode_jpeg(np.asarray(image), 85)


def _sheets(
    numbers: Numbers, images: dict[str, str]
) -> list[tuple[str, str, list[tuple[str, str | None]]]]:
    """Contact sheets: kind, name, and the galaxies with their pictures."""
    found = []
    for place in numbers.chosen:
        kind, _, name = place.partition(" ")
        found.append((kind, name, [(id_str, images.get(id_str)) for id_str in numbers.ids(place)]))
    return sorted(found, key=lambda sheet: sheet[0] != "table")


def _listed(table: Any, column: str) -> dict[str, Any]:
    return {
        "total": table.num_rows,
        "reasons": reasons(table, column),
        "rows": table.slice(0, ROWS).to_pylist(),
    }
