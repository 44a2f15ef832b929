"""Small pictures of galaxies, found by id, for galleries and maps."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hoag.console import progress, say
from hoag.errors import HoagError
from hoag.hashes import hashes_of
from hoag.images import Pixels, encode_jpeg
from hoag.pages import data_uri

if TYPE_CHECKING:
    from hoag.galaxies import Galaxies

GivenGalaxies: TypeAlias = "str | Path | Galaxies"
_BLOCK = 256


def opened(galaxies: GivenGalaxies) -> Galaxies:
    """Open galaxies given by a name, or pass them on."""
    from hoag.galaxies import open as open_galaxies

    return open_galaxies(galaxies) if isinstance(galaxies, str | Path) else galaxies


def pictures_of(galaxies: GivenGalaxies, ids: Sequence[str], size: int) -> dict[str, Pixels]:
    """Pictures of some galaxies by id, (size, size, 3) uint8, without those that are not there.

    Raises
    ------
    HoagError
        If none of them is there.
    """
    store = opened(galaxies)
    wanted = dict.fromkeys(ids)
    rows = np.flatnonzero(np.isin(store.keys, hashes_of(wanted)))
    found: dict[str, Pixels] = {}
    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    for block in progress(blocks, "reading images", unit="blocks"):
        images = store.pixels(block, size).transpose(0, 2, 3, 1)
        found |= dict(zip(store.ids_of(block), images, strict=True))
    if wanted and not found:
        raise HoagError(
            f"none of the {len(wanted):,} galaxies to show is among the images given; their ids "
            f"look like '{ids[0]}' here and '{store.ids_of([0])[0]}' there"
        )
    if len(found) < len(wanted):
        say(f"{len(wanted) - len(found):,} of {len(wanted):,} galaxies to show have no image there")
    return found


def jpeg_uris(pictures: Mapping[str, Pixels], quality: int = 85) -> dict[str, str]:
    """Pictures by id as JPEG data URIs."""
    return {
        name: data_uri(encode_jpeg(np.ascontiguousarray(pixels), quality), "image/jpeg")
        for name, pixels in pictures.items()
    }


def strip(items: Sequence[Mapping[str, Any]], size: int = 96) -> str:
    """Lay out pictures with captions as HTML that needs no style sheet, for notebooks.

    Parameters
    ----------
    items
        Each with `id`, `image` (a data URI or None) and `note`.
    size
        Side of a picture in CSS pixels.
    """
    cells = []
    for item in items:
        name, note = html.escape(str(item["id"])), html.escape(str(item["note"]))
        box = f"width:{size}px;height:{size}px;border-radius:3px;display:block"
        picture = (
            f'<img alt="{name}" title="{name}" src="{item["image"]}" style="{box}">'
            if item["image"]
            else f'<div style="{box};border:1px solid #8885;overflow-wrap:anywhere">{name}</div>'
        )
        cells.append(
            f'<figure style="margin:0;width:{size}px;font:11px/1.3 system-ui,sans-serif">{picture}'
            f"<figcaption>{note}</figcaption></figure>"
        )
    return f'<div style="display:flex;flex-wrap:wrap;gap:6px">{"".join(cells)}</div>'
