"""A file that is being fetched: its bytes so far, beside its place, and how it goes on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.data.patience import PassingFault, Patience, wait_before
from hoag.data.streams import Stream, open_stream, plain
from hoag.errors import HoagError
from hoag.files import read_json, write_json

if TYPE_CHECKING:
    import httpx2

MARGIN = 1.02  # of the disk space that files need
SPARE = 64 * 2**20  # bytes left free on the disk


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch.

    Attributes
    ----------
    url
        Where it lies.
    path
        Where it is put, relative to the folder.
    size
        Bytes, None if not known before.
    checksum
        "sha256:...", "md5:..." or "git:..." (SHA-1 of a Git blob); "" if none is known.
    hosts
        Other hosts that a redirect may lead to.
    headers
        Sent to the host of `url` only, not after a redirect to another.
    """

    url: str
    path: str
    size: int | None = None
    checksum: str = ""
    hosts: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class Part:
    """The bytes of a file that arrived so far, beside its place, with a note of whose they are."""

    def __init__(self, target: Path, file: RemoteFile) -> None:
        self.target, self.file = target, file
        self.path = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")
        self.validator = ""
        if not self._goes_on():
            self.discard()

    @property
    def have(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def _goes_on(self) -> bool:
        """Tell whether the bytes are of this file, and a mix of two versions would be noticed."""
        if not (self.note.is_file() and self.path.is_file()):
            return False
        note = read_json(self.note)
        self.validator = note.get("validator", "")
        if self.file.checksum:
            return bool(note.get("checksum") == self.file.checksum)
        return bool(self.validator and note.get("url") == plain(self.file.url))

    def fill(self, web: httpx2.Client, patience: Patience, bar: Any) -> None:
        """Fetch what is missing, trying again while the server and the network may recover."""
        attempt, most = 0, self.have
        while True:
            try:
                self._continue(web, bar)
                return
            except PassingFault as fault:
                attempt = 1 if self.have > most else attempt + 1
                most = max(most, self.have)
                wait_before(attempt, fault, patience, self.file.path)
                if fault.anew or not self._goes_on():
                    bar.update(-self.have)
                    self.discard()

    def _continue(self, web: httpx2.Client, bar: Any) -> None:
        file, start = self.file, self.have
        with open_stream(
            web, file.url, start=start, validator=self.validator, hosts=file.hosts,
            headers=file.headers,
        ) as stream:  # fmt: skip
            if stream.start == 0:
                bar.update(-start)
                self._begin(stream)
            total = file.size if stream.total is None else stream.total
            with self.path.open("ab") as out:
                for chunk in stream.chunks:
                    out.write(chunk)
                    bar.update(len(chunk))
        if total is not None and self.have != total:
            raise PassingFault(
                f"the answer ended after {self.have} of {total} bytes", anew=self.have > total
            )

    def _begin(self, stream: Stream) -> None:
        """Start anew: refuse a wrong size and a full disk before anything is written."""
        file = self.file
        if file.size is not None and stream.total not in (None, file.size):
            raise HoagError(
                f"{file.path}: has {stream.total} bytes at {plain(file.url)}, not {file.size} as "
                "announced; it was changed there, so try again later"
            )
        self.path.write_bytes(b"")
        need_space(self.path.parent, stream.total or 0)
        self.validator = stream.validator
        note = {"url": plain(file.url), "checksum": file.checksum, "validator": self.validator}
        write_json(self.note, note)

    def discard(self) -> None:
        """Delete what arrived."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.validator = ""

    def put_in_place(self) -> None:
        """Make it the file."""
        self.path.replace(self.target)
        self.note.unlink(missing_ok=True)


def amount(count: int) -> str:
    """Say a number of bytes: "3.2 GB"."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def need_space(folder: Path, count: int) -> None:
    """Refuse to begin what the disk has no room for.

    Raises
    ------
    HoagError
        If less is free than `count` bytes, 2 % and 64 MiB.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    if count and count * MARGIN + SPARE > free:
        raise HoagError(
            f"{folder}: {amount(count)} are to come and only {amount(free)} are free on that disk; "
            "make room, or choose a folder on another disk"
        )
