"""What to cite and whom to thank, for hoag and for the campaigns that were used."""

import textwrap
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from hoag._version import __version__
from hoag.errors import HoagError
from hoag.schema import load_schema

_HOAG = {
    "type": "software",
    "author": "{The hoag developers}",
    "title": "hoag: galaxy foundation models from images and volunteer votes",
    "version": __version__,
}


def cite(campaigns: str | Path | Sequence[str | Path] | None = None, style: str = "bibtex") -> str:
    """Give the references and the acknowledgement that a publication using hoag should carry.

    Parameters
    ----------
    campaigns
        The campaigns whose votes were used: names ("gz2"), campaign files of your own, or None for
        all of GZ-Evo.
    style
        "bibtex", with the acknowledgement as comments at the end, or "text", for reading.

    Returns
    -------
    str
        hoag, the method's papers and each campaign's papers once, in that order; lines of text
        without a line break at the end.

    Raises
    ------
    HoagError
        If a campaign or the style is not known.
    """
    if style not in ("bibtex", "text"):
        raise HoagError(f"citations come as 'bibtex' or 'text', not as {style!r}")
    schema = load_schema("gz-evo" if campaigns is None else campaigns)
    known = _references()
    papers = known["paper"]
    wanted = dict.fromkeys(known["always"]["papers"])
    wanted.update(dict.fromkeys(key for campaign in schema.about for key in campaign.cite))
    # A campaign file of one's own may give a reference in plain words instead of a key.
    entries = {"hoag": _HOAG, **{key: papers[key] for key in wanted if key in papers}}
    others = [words for words in wanted if words not in papers]
    thanks = list(known["acknowledgement"].values())
    return (_bibtex if style == "bibtex" else _text)(entries, others, thanks)


def reference(key: str) -> str:
    """Give a reference in one line, by its key in citations.toml; other words stay as they are."""
    entry = _references()["paper"].get(key)
    return key if entry is None else _sentence(entry)


@cache
def _references() -> dict[str, Any]:
    return tomllib.loads((files("hoag") / "citations.toml").read_text(encoding="utf-8"))


def _bibtex(entries: dict[str, dict[str, str]], others: list[str], thanks: list[str]) -> str:
    blocks = []
    for key, entry in entries.items():
        facts = {name: text for name, text in entry.items() if name != "type"}
        lines = [f"  {name} = {{{text}}}," for name, text in facts.items()]
        blocks.append("\n".join([f"@{entry['type']}{{{key},", *lines, "}"]))
    notes = [*(f"Also cite: {words}" for words in others), *thanks]
    blocks += [
        textwrap.fill(note, 98, initial_indent="% ", subsequent_indent="% ") for note in notes
    ]
    return "\n\n".join(blocks)


def _text(entries: dict[str, dict[str, str]], others: list[str], thanks: list[str]) -> str:
    references = [_sentence(entry) for entry in entries.values()] + others
    blocks = ["Please cite", *map(_indented, references)]
    return "\n\n".join([*blocks, "and acknowledge", *map(_indented, thanks)])


def _indented(text: str) -> str:
    return textwrap.fill(
        text, 90, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )


def _sentence(entry: dict[str, str]) -> str:
    names = entry["author"].split(" and ")
    authors = names[0] + (" et al." if len(names) > 1 else "")
    where = [entry.get("journal") or entry.get("booktitle", "")]
    where += [entry[key] for key in ("volume", "pages") if key in entry]
    parts = [
        f"{authors} ({entry['year']})" if "year" in entry else authors,
        entry["title"] + (f", version {entry['version']}" if "version" in entry else ""),
        ", ".join(filter(None, where)),
        f"doi:{entry['doi']}" if "doi" in entry else "",
        f"arXiv:{entry['eprint']}" if "eprint" in entry else "",
    ]
    plain = ". ".join(filter(None, parts))
    return plain.replace("{", "").replace("}", "").replace("--", "–")
