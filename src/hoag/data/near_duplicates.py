"""Images that show the same picture although their bytes differ: another zoom, JPEG, size, stretch.

Candidates are pairs whose light in rings is alike (`thumbnail_rings`), found at a work that grows
with the number of images, not its square (`thumbnail_search`). Each is then verified on its fine
detail (`thumbnail_detail`), so that two smooth galaxies on a dark sky are not taken for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryFile

import numpy as np
import numpy.typing as npt

from hoag.data.in_threads import in_threads
from hoag.data.thumbnail_detail import detail_similarity
from hoag.data.thumbnail_rings import (
    NUMBERS,
    SAMPLE,
    STEP,
    ZOOMS,
    describe,
    learn_descriptor,
    ring_numbers,
)
from hoag.data.thumbnail_search import alike_pictures
from hoag.errors import HoagError

THUMB = 64  # pixels a side; 4 KiB an image
# Correlation of the detail from which two images show one picture. Copies reach 0.8 and more, the
# same galaxy by two telescopes often 0.7, two stars with one telescope's spikes 0.6 (measured).
SIMILAR = 0.65
SMALLEST = 0.52  # share of the width; beyond it a smooth core is all that two crops have in common
BLANK = 1.5  # standard deviation of a thumbnail below which it shows nothing to compare
_PAIRS = 2048  # verified at once
_BATCH = 256  # images at once: a few MB, which stay in the processor's cache

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of images that show one picture.

    Attributes
    ----------
    rows
        (k, 2) int64, the first less than the second, sorted.
    similarity
        (k,) float32, 0.65 to 1: normalised correlation of their fine detail at the best zoom and
        shift.
    zoom
        (k,) float32: width of sky in the first over that in the second; 1 for the same frame.
    """

    rows: Rows
    similarity: Floats
    zoom: Floats


def thumbnail(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Make the small grey picture that images are compared by.

    Parameters
    ----------
    pixels
        (height, width, 3) uint8, any size; the centre square is taken.

    Returns
    -------
    array
        (THUMB, THUMB) uint8: 255 times the square root of the light (mean of the three channels
        over each pixel, 0 to 1), which keeps the faint sky apart.
    """
    if pixels.shape[:2] != (2 * THUMB, 2 * THUMB):
        pixels = _resized(pixels)
    rows = np.add(pixels[0::2], pixels[1::2], dtype=np.uint16).ravel()
    # Sums of three neighbours, of which each third is of the three channels of one pixel: all are
    # taken, as whole rows are added much quicker than threes.
    light = rows[:-2] + rows[1:-1]
    light += rows[2:]
    light = light[::3]
    small: npt.NDArray[np.uint8] = _roots().take(light[0::2] + light[1::2])
    return small.reshape(THUMB, THUMB)


def near_duplicates(
    thumbnails: npt.NDArray[np.uint8], sources: npt.NDArray[np.integer] | None = None
) -> NearDuplicates:
    """Find all pairs that show one picture.

    They may differ in JPEG quality, size, brightness and contrast, by a shift of a few pixels, and
    by a crop about the centre to no less than SMALLEST of the width. The result is a pure function
    of the thumbnails.

    Parameters
    ----------
    thumbnails
        (n, THUMB, THUMB) uint8 of `thumbnail`; a memory map will do, and is read in order, then at
        the candidates.
    sources
        (n,) whole numbers: images of one source are framed alike, so that crops are looked for
        between sources alone, which saves most of the work. None: anywhere.

    Raises
    ------
    HoagError
        If the array has another shape or type.
    """
    if thumbnails.ndim != 3 or thumbnails.shape[1:] != (THUMB, THUMB):
        raise HoagError(
            f"thumbnails must be (n, {THUMB}, {THUMB}) uint8, not {thumbnails.shape} "
            f"{thumbnails.dtype}"
        )
    labels = np.arange(len(thumbnails)) if sources is None else np.asarray(sources)
    return _verified(thumbnails, _candidates(thumbnails, labels))


@cache
def _roots() -> npt.NDArray[np.uint8]:
    highest = 12 * 255  # the sum over 2 x 2 pixels of three channels
    return np.rint(255 * np.sqrt(np.arange(highest + 1) / highest)).astype(np.uint8)


def _resized(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    from PIL import Image

    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    image = Image.fromarray(pixels)
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((2 * THUMB, 2 * THUMB), Image.Resampling.BILINEAR, box=box))


def _candidates(thumbnails: npt.NDArray[np.uint8], sources: npt.NDArray[np.integer]) -> Rows:
    """Pairs alike in rings: (k, 3) of inner row, outer row, place in the ladder of zooms."""
    n = len(thumbnails)
    shows = np.empty(n, bool)
    for start in range(0, n, _BATCH):
        light = thumbnails[start : start + _BATCH].reshape(-1, THUMB * THUMB).astype(np.float32)
        light -= light.mean(1, keepdims=True)
        shows[start : start + _BATCH] = np.einsum("ij,ij->i", light, light) > THUMB**2 * BLANK**2
    kept = np.flatnonzero(shows)
    kept = kept[np.argsort(sources[kept], kind="stable")]
    if len(kept) < 2:
        return np.empty((0, 3), np.int64)
    sample = kept[np.linspace(0, len(kept) - 1, min(SAMPLE, len(kept))).astype(np.int64)]
    descriptor = learn_descriptor(thumbnails[sample])
    # 720 bytes an image: on disk, so that two million do not fill the memory.
    zooms = ZOOMS if len(np.unique(sources[kept])) > 1 else 1
    with TemporaryFile() as file:
        numbers = np.memmap(file, np.float16, "w+", shape=(len(kept), zooms, NUMBERS))

        def measure(start: int) -> None:
            rings = ring_numbers(thumbnails[kept[start : start + _BATCH]])
            numbers[start : start + _BATCH] = describe(rings, descriptor, zooms)

        for _ in in_threads(measure, range(0, len(kept), _BATCH)):
            pass
        found = alike_pictures(numbers, sources[kept])
    return np.stack([kept[found.inner], kept[found.outer], found.zoom], axis=1)


def _verified(thumbnails: npt.NDArray[np.uint8], pairs: Rows) -> NearDuplicates:
    """Keep the pairs whose detail is the same, in order."""
    similarity, zoom = np.empty(len(pairs), np.float32), np.empty(len(pairs), np.float32)
    pairs = pairs[np.lexsort(pairs[:, [2, 0, 1]].T[::-1])]

    def verify(start: int) -> None:
        part = slice(start, start + _PAIRS)
        inner, outer, place = pairs[part].T
        similarity[part], zoom[part] = detail_similarity(
            thumbnails[inner], thumbnails[outer], (-STEP * place).astype(np.float32)
        )

    for _ in in_threads(verify, range(0, len(pairs), _PAIRS)):
        pass
    same = (similarity >= SIMILAR) & (zoom >= SMALLEST)
    pairs, similarity, zoom = pairs[same], similarity[same], zoom[same]
    # Width of sky in the first over the second: the inner one shows less.
    backwards = pairs[:, 0] > pairs[:, 1]
    zoom[backwards] = 1 / zoom[backwards]
    rows = np.sort(pairs[:, :2], axis=1)
    order = np.lexsort(rows.T[::-1])
    # Rounded, so that sums taken in another order give the same bytes.
    return NearDuplicates(rows[order], similarity[order].round(3), zoom[order].round(3))
