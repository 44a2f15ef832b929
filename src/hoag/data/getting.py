"""Fetching a data set by name, id or URL, with its licence and citation kept beside it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from hoag.campaigns import closest
from hoag.catalogue import list_names
from hoag.citation import reference
from hoag.console import say
from hoag.data.downloads import Fetched, fetch_all, is_current
from hoag.data.hub import HUB_ID, HubRepo, Listing, hub_repo, list_files
from hoag.data.parts import RemoteFile, amount
from hoag.data.patience import GaveUp, Patience
from hoag.data.registry import CatalogueFile, DataSet, find_set, hub_hosts, list_sets
from hoag.data.source import RECORD, SOURCE, Record, read_record, write_source
from hoag.data.streams import Refused
from hoag.errors import HoagError

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def get(
    name: str,
    out: str | Path,
    *,
    files: Sequence[str] | None = None,
    revision: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    sha256: str | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetch a data set into a folder.

    What was interrupted goes on, what is there already is not fetched again, and nothing is put in
    its place before its size and checksum (where one is known) agree. The folder also gets
    SOURCE.md: where it is from, its licence, and whom to cite.

    Parameters
    ----------
    name
        A name of `list_sets`, the id of a data set on the Hugging Face Hub ("user/name"), or the
        URL of one file.
    out
        Folder for it.
    files
        Patterns of the files wanted, such as ``"data/test-*"``; those that the registry names if
        not given, else all.
    revision
        Branch, tag or commit on the Hub; the newest if not given.
    endpoint
        Another Hub (also HF_ENDPOINT).
    token
        Token of the Hub (else that of `hf auth login` or HF_TOKEN).
    sha256
        Checksum of the file at a URL.
    patience
        How often a server is asked again.

    Returns
    -------
    Path
        The folder that `hoag.open` takes, or the one with the tables.

    Raises
    ------
    HoagError
        If it cannot be had: what is missing and what to do.
    """
    patience = patience or Patience()
    wanted = _resolve(name, sha256)
    out = Path(out).expanduser()
    record = read_record(out, wanted)
    patterns = (files,) if isinstance(files, str) else tuple(files or ())
    if wanted.hub:
        place = hub_repo(wanted.hub, endpoint=endpoint, token=token, revision=revision)
        _from_hub(place, wanted, patterns or wanted.files, out, record, patience)
    else:
        for option, value in (("revision", revision), ("endpoint", endpoint), ("token", token)):
            if value is not None:
                raise HoagError(f"{name}: is not on the Hub, so leave out '{option}'")
        remote = [RemoteFile(f.url, f.name, None, f.checksum, wanted.hosts) for f in wanted.urls]
        _fetch(wanted, _choose(remote, patterns, wanted.name), out, record, patience)
    return out / wanted.opens


def _from_hub(
    place: HubRepo, wanted: DataSet, patterns: Sequence[str], out: Path, record: Record,
    patience: Patience,
) -> None:  # fmt: skip
    whole = record.covers(patterns, place.revision) and all(
        _is_there(fetched, out) for fetched in record.files.values()
    )
    try:
        listing = _listing(place, wanted, replace(patience, tries=1) if whole else patience)
    except GaveUp:
        if not whole:
            raise
        say(f"{out}: {wanted.name} is there; the Hub was not asked whether there is a newer one")
        return
    gone = sorted(set(record.files) - {file.path for file in listing.files})
    if gone:
        raise HoagError(
            f"{out}: has {list_names(gone, 3)} of revision {record.revision}, gone from the one "
            "asked for; choose another folder, or ask for that revision"
        )
    # The names of what is kept beside the data are hoag's own.
    free = [file for file in listing.files if file.path not in (RECORD, SOURCE)]
    chosen = _choose(free, patterns, wanted.name, also=record.files.keys())
    wanted = replace(wanted, licence=listing.licence or wanted.licence)
    record = record.at(place.page, listing.commit, patterns)
    try:
        _fetch(wanted, chosen, out, record, patience)
    except Refused as error:
        raise place.refused(error.status, error.code) from None


def _resolve(name: str, sha256: str | None) -> DataSet:
    """Find what a name, an id or a URL stands for."""
    is_url = name.startswith(("https://", "http://"))
    if sha256 is not None and (not is_url or not _SHA256.fullmatch(sha256)):
        raise HoagError(
            f"{name}: sha256 is for a file by URL, 64 hexadecimal digits; not {sha256!r}"
        )
    if found := find_set(name):
        return found
    if is_url:
        return _one_file(name, sha256)
    if HUB_ID.fullmatch(name):
        return DataSet(name=name, hub=name, hosts=hub_hosts())
    hint = closest(name, [one.name for one in list_sets()])
    raise HoagError(
        f"{name}: no data set of that name{hint or '; `hoag data get --list` shows them'} (an id "
        "of the Hub is user/name, an address begins with https://)"
    )


def _one_file(url: str, sha256: str | None) -> DataSet:
    """Make a data set of the file at a URL."""
    file = CatalogueFile(url, f"sha256:{sha256.lower()}" if sha256 else "")
    try:
        host, name = urlsplit(url).hostname, file.name
    except ValueError:
        host, name = None, ""
    if not host or not name:
        raise HoagError(f"{url}: names no file; give the address of one")
    if url.startswith("http:") and not sha256 and host not in _LOCAL:
        raise HoagError(f"{url}: http may be changed on its way; use https, or give its sha256")
    return DataSet(name=name, urls=(file,))


def _listing(place: HubRepo, wanted: DataSet, patience: Patience) -> Listing:
    try:
        return list_files(place, patience, wanted.hosts)
    except Refused as error:
        if wanted.unconfirmed and error.code != "RevisionNotFound":
            raise HoagError(f"{error} ({wanted.unconfirmed})") from None
        raise


def _is_there(fetched: Fetched, out: Path) -> bool:
    path = out / fetched.path
    return path.is_file() and path.stat().st_size == fetched.size


def _choose(
    files: Sequence[RemoteFile], patterns: Sequence[str], name: str, also: Collection[str] = ()
) -> list[RemoteFile]:
    """Pick files by patterns (all if there are none), and those that are there already.

    Each pattern but README.md must match one.
    """
    if not files:
        raise HoagError(f"{name}: has no files yet")
    for pattern in patterns:
        if pattern != "README.md" and not any(fnmatchcase(f.path, pattern) for f in files):
            raise HoagError(
                f"{name}: no file matches '{pattern}'; it has {list_names([f.path for f in files])}"
            )
    return [
        file
        for file in files
        if not patterns or file.path in also or any(fnmatchcase(file.path, p) for p in patterns)
    ]


def _fetch(
    wanted: DataSet, files: list[RemoteFile], out: Path, record: Record, patience: Patience
) -> None:
    """Fetch those files that are not there; keep the record and SOURCE.md in step."""
    known = record.files
    todo = [f for f in files if f.path not in known or not is_current(known[f.path], f, out)]
    for file in todo:
        if file.path in known and (out / file.path).exists():
            say(f"{file.path}: differs from what is wanted; fetched again")
    if not todo:
        say(f"{out}: {wanted.name} is there already, {amount(_size(record, files))}")
    else:
        _announce(wanted, todo, record.source)
        record = replace(record, complete=False)
        for fetched in fetch_all(todo, out, own=known.keys(), patience=patience, what=wanted.name):
            record = replace(record, files=record.files | {fetched.path: fetched})
            record.write(out)
        say(f"{out}: {wanted.name} is there, {amount(_size(record, files))}")
    replace(record, complete=True).write(out)
    write_source(wanted, record, out)


def _size(record: Record, files: Sequence[RemoteFile]) -> int:
    return sum(record.files[file.path].size for file in files)


def _announce(wanted: DataSet, files: Sequence[RemoteFile], source: str) -> None:
    sizes = [file.size for file in files]
    size = "" if None in sizes else f", {amount(sum(s or 0 for s in sizes))}"
    say(f"{wanted.name}: {len(files)} file{'s' * (len(files) > 1)}{size} from {source}")
    say(f"  licence: {wanted.licence or 'not known; see its page'}")
    for cited in wanted.cite:
        say(f"  please cite: {reference(cited)}")
    if wanted.unconfirmed:
        say(f"  not confirmed: {wanted.unconfirmed}")
