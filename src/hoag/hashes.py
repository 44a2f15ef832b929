"""The 64-bit hash of an id or a group: the same on every machine, in every run.

It decides splits and seeds each galaxy's randomness, and finds repeated ids among millions.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

_BITS = 20


def hash_of(text: str) -> int:
    """Hash a text to a 64-bit unsigned integer (unsalted blake2b of its UTF-8, big-endian)."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def hashes_of(texts: Iterable[str]) -> Hashes:
    """Hash texts; (n,) uint64."""
    digests = b"".join([blake2b(text.encode(), digest_size=8).digest() for text in texts])
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def are_in(hashes: Hashes, wanted: Hashes) -> npt.NDArray[np.bool_]:
    """Tell which hashes are among those wanted; (n,) bool."""
    if len(wanted) == 0:
        return np.zeros(len(hashes), bool)
    ordered = np.sort(wanted)
    # Most are told by their first bits alone; the search is for the few that are left.
    begin = np.zeros(1 << _BITS, bool)
    begin[ordered >> np.uint64(64 - _BITS)] = True
    found = begin[hashes >> np.uint64(64 - _BITS)]
    rows = np.flatnonzero(found)
    places = np.searchsorted(ordered, hashes[rows])
    places[places == len(ordered)] = 0
    found[rows] = ordered[places] == hashes[rows]
    return found


def first_repeat(
    hashes: Hashes, texts: Callable[[Rows], Sequence[str]]
) -> tuple[int, int, str] | None:
    """Find a text that occurs twice.

    Parameters
    ----------
    hashes
        (n,) hashes of all texts.
    texts
        Gives the texts of some rows, asked for only where two hashes are equal.

    Returns
    -------
    tuple or None
        Row of its first place, of its second (the lowest there is), and the text.
    """
    ordered = np.sort(hashes)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(twice) == 0:
        return None
    rows = np.flatnonzero(are_in(hashes, twice))
    first: dict[str, int] = {}
    for row, text in zip(rows.tolist(), texts(rows), strict=True):
        if first.setdefault(text, row) != row:
            return first[text], row, text
    return None
