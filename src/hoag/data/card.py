"""The card of a built set: the README.md that the Hub shows and `datasets` finds tables by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hoag.data.built import CARD, TABLES, Built, open_built, open_shard
from hoag.files import written_whole
from hoag.splits import TRAIN, VALIDATION

TEMPLATE = "card.md.j2"
_ABOUT = {
    "labelled": "training, with the votes of volunteers",
    "unlabelled": "training without votes",
    "downstream": "tasks alone, and galaxies that a task is tested on",
}
_MEANINGS = {
    "image": "JPEG or PNG, RGB, north and scale as in the source",
    "id_str": "unique over all tables",
    "ra": "right ascension in degrees, null where unknown",
    "dec": "declination in degrees, null where unknown",
    "survey": "survey that the image is from",
    "group": "key that decides the split; shared by images of one object",
    "hoag_campaigns": "campaigns that saw it, joined by `+`",
    "hoag_sources": "sources it came from, joined by `+`",
}
_SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6),
          ("1M<n<10M", 10**7), ("10M<n<100M", 10**8))  # fmt: skip


def write_card(folder: str | Path) -> Path:
    """Write the card of a built set, a function of its content alone.

    Parameters
    ----------
    folder
        The built set.

    Returns
    -------
    pathlib.Path
        Its README.md.

    Raises
    ------
    HoagError
        If the folder is no built set.
    """
    import jinja2

    built = open_built(folder)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
        autoescape=False,
    )  # fmt: skip
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["cell"] = lambda text: " ".join(str(text).replace("|", r"\|").split())
    tables = [(name, _ABOUT[name]) for name in TABLES if built.shards[name]]
    record = built.record
    text = environment.get_template(TEMPLATE).render(
        front=_front_matter(built),
        record={"commit": None, "hoag": "", **record},
        name=record["name"],
        description=record.get("description") or "Images of galaxies for Galaxy Zoo Evo training.",
        galaxies=built.galaxies,
        votes=votes_of(record),
        tables=tables,
        first=tables[0][0] if tables else "labelled",
        place=f"USER/{record['name']}",
        columns=list(_columns(built)),
        edges=(TRAIN, TRAIN + VALIDATION),
        licences=list(licences(record)),
        citations=list(citations(record)),
    )
    path = built.folder / CARD
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def votes_of(record: Mapping[str, Any]) -> int:
    """Answers of volunteers in all campaigns of a record."""
    return sum(campaign["votes"] for campaign in record["campaigns"].values())


def licences(record: Mapping[str, Any]) -> Iterator[str]:
    """Say of each source under which licence it is published, or that none is known."""
    for source in record["sources"]:
        about = source.get("map") or {}
        licence = about.get("licence")
        title = about.get("title") or source["name"]
        if licence:
            yield f"{title}: {licence}"
        else:
            yield f"{title}: no licence is on record; ask its authors before you share it"


def citations(record: Mapping[str, Any]) -> Iterator[str]:
    """Give the papers of the campaigns and sources of a record, each once, in plain words."""
    from hoag.citation import reference
    from hoag.schema import load_schema

    keys: dict[str, None] = {}
    for source in record["sources"]:
        keys |= dict.fromkeys((source.get("map") or {}).get("cite") or ())
    for about in load_schema("gz-evo").about:
        if about.name in record["campaigns"]:
            keys |= dict.fromkeys(about.cite)
    keys["walmsley2022foundation"] = None
    yield from dict.fromkeys(reference(key) for key in keys)


def _front_matter(built: Built) -> str:
    """YAML of the Hub, whose texts are quoted as JSON, which YAML takes."""
    record = built.record
    known = {(s.get("map") or {}).get("licence") for s in record["sources"]}
    same = known.pop() if len(known) == 1 and None not in known and "" not in known else None
    n = built.galaxies
    size = next((name for name, limit in _SIZES if n < limit), "100M<n<1B")
    configs = [name for name in TABLES if built.shards[name]]
    lines = ["license: other", f"license_name: {json.dumps(str(same or 'see-below'))}"]
    lines += [f"pretty_name: {json.dumps(record['name'])}", "task_categories:"]
    lines += ["- image-classification", "- image-feature-extraction"]
    lines += ["size_categories:", f"- {size}", "tags:"]
    lines += [f"- {tag}" for tag in ("astronomy", "galaxies", "galaxy-zoo", "hoag")]
    lines += ["configs:"] if configs else []
    for number, name in enumerate(configs):
        lines += [f"- config_name: {name}", "  data_files:", "  - split: train"]
        lines += [f"    path: {json.dumps(f'data/{name}-*.parquet')}"]
        lines += ["  default: true"] if number == 0 else []
    return "\n".join(lines)


def _columns(built: Built) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each column; the answers of a campaign are one line."""
    first = next((shards[0] for shards in built.shards.values() if shards), None)
    if first is None:
        return
    with open_shard(first) as file:
        fields = list(file.schema_arrow)
    questions = {name: campaign for campaign, of in built.record["campaigns"].items()
                 for name in of["questions"]}  # fmt: skip
    told: set[str] = set()
    for field in fields:
        question = field.name.rpartition("_")[0]
        while question and question not in questions:
            question = question.rpartition("_")[0]
        if not question:
            kind = "image" if field.name == "image" else str(field.type)
            yield field.name, kind, _MEANINGS.get(field.name, "as in the sources")
        elif questions[question] not in told:
            campaign = questions[question]
            told.add(campaign)
            yield f"…-{campaign}_…", str(field.type), f"votes of campaign {campaign}"
