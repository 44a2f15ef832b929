"""What is kept beside fetched data: download.json for hoag, SOURCE.md for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from hoag.citation import reference
from hoag.data.downloads import Fetched
from hoag.data.registry import DataSet
from hoag.errors import HoagError
from hoag.files import read_json, write_json, written_whole

RECORD = "download.json"
SOURCE = "SOURCE.md"


@dataclass(frozen=True)
class Record:
    """What was fetched into a folder.

    Attributes
    ----------
    name, source, revision
        The data set, its page, and the commit on the Hub ("" elsewhere).
    patterns
        The files that were asked for, none for all.
    complete
        Whether they all came.
    files
        The files by their path.
    """

    name: str
    source: str
    revision: str = ""
    patterns: tuple[str, ...] = ()
    complete: bool = False
    files: dict[str, Fetched] = field(default_factory=dict)

    def covers(self, patterns: Sequence[str], revision: str | None) -> bool:
        """Tell whether all of what is asked for came before."""
        asked = not self.patterns or (bool(patterns) and set(patterns) <= set(self.patterns))
        return self.complete and asked and revision in (None, self.revision)

    def at(self, source: str, revision: str, patterns: Sequence[str]) -> Record:
        """Give it for a revision, with more files asked for."""
        every = bool(self.files) and not self.patterns
        both = () if every or not patterns else tuple(sorted({*self.patterns, *patterns}))
        return replace(self, source=source, revision=revision, patterns=both)

    def write(self, folder: Path) -> None:
        """Write it to download.json."""
        content = asdict(self)
        content["files"] = [content["files"][path] for path in sorted(self.files)]
        write_json(folder / RECORD, content)


def read_record(folder: Path, wanted: DataSet) -> Record:
    """Read what a folder has of a data set; an empty record if nothing was fetched into it.

    Raises
    ------
    HoagError
        If the folder is a file, or has another data set.
    """
    if folder.exists() and not folder.is_dir():
        raise HoagError(f"{folder}: is a file; choose a folder")
    path = folder / RECORD
    if not path.is_file():
        return Record(wanted.name, wanted.source)
    content = read_json(path)
    try:
        files = {one["path"]: Fetched(**one) for one in content["files"]}
        patterns = tuple(content["patterns"])
        found = Record(**{**content, "files": files, "patterns": patterns})
    except (TypeError, KeyError):
        raise HoagError(f"{path}: not a record of a download; move it away") from None
    if found.name != wanted.name or (wanted.urls and found.source != wanted.source):
        raise HoagError(
            f"{folder}: has '{found.name}' of {found.source}; choose another folder for "
            f"'{wanted.name}' of {wanted.source}"
        )
    return found


def write_source(wanted: DataSet, record: Record, folder: Path) -> None:
    """Write SOURCE.md: where the data are from, under which licence, whom to cite, the files."""
    lines = [f"# {wanted.name}", ""]
    if wanted.title:
        lines += [wanted.title, ""]
    lines += [f"- source: {record.source}"]
    if record.revision:
        lines += [f"- revision: {record.revision}"]
    lines += [f"- licence: {wanted.licence or 'not known; see the source'}"]
    if wanted.unconfirmed:
        lines += [f"- not confirmed: {wanted.unconfirmed}"]
    cited = [f"- {reference(one)}" for one in wanted.cite] or ["- what the source asks for"]
    lines += ["", "## Please cite", "", *cited, "", "## Files", ""]
    lines += ["| file | bytes | sha256 | checked against |", "|---|---|---|---|"]
    for path, file in sorted(record.files.items()):
        checked = file.checksum.partition(":")[0].replace("git", "Git checksum") or "nothing"
        lines.append(f"| {path} | {file.size} | {file.sha256} | {checked} |")
    with written_whole(folder / SOURCE) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
