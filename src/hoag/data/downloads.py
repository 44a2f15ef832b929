"""Files fetched by URL: resumed, tried again, checked, and put in place only when right.

One way for files on the Hub and elsewhere: huggingface_hub lists the files of a set and finds the
token, but its own downloads without Xet check sizes only, give up at a 503, and follow redirects to
any host.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hoag.console import bar_class, is_first, say
from hoag.data.checksums import digests
from hoag.data.parts import Part, RemoteFile, amount, need_space
from hoag.data.patience import Patience
from hoag.data.streams import client, plain
from hoag.errors import HoagError

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True)
class Fetched:
    """A file in its place: its size, SHA-256 and the checksum it was compared with, if any."""

    path: str
    url: str
    size: int
    sha256: str
    checksum: str


def is_current(fetched: Fetched, file: RemoteFile, folder: Path) -> bool:
    """Tell whether a file that was fetched before is there still and is the one wanted."""
    target = folder / file.path
    same = fetched.checksum == file.checksum if file.checksum else fetched.url == file.url
    right = file.size in (None, fetched.size)
    return same and right and target.is_file() and target.stat().st_size == fetched.size


def fetch_all(
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    own: Collection[str] = (),
    patience: Patience | None = None,
    what: str = "",
) -> Iterator[Fetched]:
    """Fetch files into a folder one after the other; give each as it is in its place.

    Parameters
    ----------
    files
        What to fetch.
    folder
        Where to.
    own
        Paths in the folder that were fetched before and may be replaced.
    patience
        How often a server is asked again.
    what
        Words before the progress bar.

    Raises
    ------
    HoagError
        If one cannot be had: what is wrong and what to do. Files before it stay in their places.
    """
    patience = patience or Patience()
    for file in files:
        _refuse_outside(file)
    need_space(folder, sum(_missing(file, folder) for file in files))
    with _alone(folder), client(patience) as web, _bar(files, what or folder.name) as bar:
        for file in files:
            try:
                yield _fetch(web, file, folder, file.path in own, patience, bar)
            except OSError as error:
                raise _unwritable(error, folder) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time fetch into a folder; two would write into the same parts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        holder = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(error, folder) from None
    try:
        with suppress(OSError):  # some network disks have no locks
            try:
                fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HoagError(
                    f"{folder}: another process is fetching into it; wait until it is done"
                ) from None
        yield
    finally:
        os.close(holder)


def _unwritable(error: OSError, folder: Path) -> HoagError:
    return HoagError(
        f"{error.filename or folder}: cannot be written ({error.strerror}); what arrived is kept, "
        "so mend that and repeat the command"
    )


def _fetch(
    web: httpx2.Client, file: RemoteFile, folder: Path, own: bool, patience: Patience, bar: Any
) -> Fetched:
    target = folder / file.path
    if target.exists() and not own:
        return _taken_as_is(file, target, bar)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Part(target, file)
    resumed = part.have > 0
    if resumed:
        say(f"{file.path}: going on after {amount(part.have)}")
        bar.update(part.have)
    while True:
        part.fill(web, patience, bar)
        wrong, sha256 = _compared(file, part.path)
        if not wrong:
            part.put_in_place()
            return _fetched(file, target, sha256)
        bar.update(-part.have)
        part.discard()
        if not resumed:
            raise HoagError(
                f"{file.path}: {wrong}, so it was deleted; it was damaged on its way, or changed "
                f"at {plain(file.url)}: try again, and if that stays, do not trust it"
            )
        say(f"{file.path}: {wrong} after going on; fetched again from its start")
        resumed = False


def _taken_as_is(file: RemoteFile, target: Path, bar: Any) -> Fetched:
    """Take a file that is there already and is right; never replace one that is not ours."""
    wrong, sha256 = _compared(file, target)
    if wrong or not file.checksum:
        raise HoagError(
            f"{target}: is there already and is not known to be what lies at {plain(file.url)}; "
            "move it away, or choose another folder"
        )
    bar.update(target.stat().st_size)
    return _fetched(file, target, sha256)


def _fetched(file: RemoteFile, target: Path, sha256: str) -> Fetched:
    if not file.checksum:
        say(f"{file.path}: not checked, for no checksum is known; its sha256 is {sha256}")
    return Fetched(file.path, file.url, target.stat().st_size, sha256, file.checksum)


def _compared(file: RemoteFile, path: Path) -> tuple[str, str]:
    """Say in which way a file is not the one wanted ("" if it is), and give its SHA-256."""
    have = path.stat().st_size
    kind, _, wanted = file.checksum.partition(":")
    found = digests(path, "sha256", *filter(None, [kind]))
    if file.size is not None and have != file.size:
        return f"it has {have} bytes, not {file.size}", found["sha256"]
    if wanted and found[kind] != wanted.lower():
        name = "Git checksum" if kind == "git" else kind
        return f"its {name} is {found[kind]}, not {wanted}", found["sha256"]
    return "", found["sha256"]


def _missing(file: RemoteFile, folder: Path) -> int:
    """Bytes that a file will need beyond what is there; 0 if its size is not known."""
    target = folder / file.path
    part = target.with_name(target.name + ".part")
    if file.size is None or (target.is_file() and target.stat().st_size == file.size):
        return 0
    return max(0, file.size - (part.stat().st_size if part.is_file() else 0))


def _refuse_outside(file: RemoteFile) -> None:
    path = PurePosixPath(file.path)
    if path.is_absolute() or not path.name or ".." in path.parts or "\\" in file.path:
        raise HoagError(f"{plain(file.url)}: would be written to '{file.path}'; refused")


def _bar(files: Sequence[RemoteFile], what: str) -> Any:
    sizes = [file.size for file in files]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    return bar_class()(
        desc=what, total=total, unit="B", unit_scale=True, delay=2, mininterval=0.5, leave=False,
        disable=not is_first(),
    )  # fmt: skip
