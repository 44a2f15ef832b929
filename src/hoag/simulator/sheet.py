"""Contact sheets: many galaxies on one PNG, to look at."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from hoag.errors import HoagError
from hoag.files import written_whole

_TITLE = 18


def contact_sheets(
    store: str | Path, out: str | Path, *, rows: int = 6, columns: int = 10
) -> list[Path]:
    """Write one contact sheet a survey, ``OUT/SURVEY.png``, and one of the ring task.

    Parameters
    ----------
    store
        A folder made by `simulate`.
    out
        Folder for the sheets.
    rows, columns
        Galaxies on a sheet; on that of the ring task the upper half are rings.

    Raises
    ------
    HoagError
        If `store` is not a simulation.
    """
    store, out = Path(store), Path(out)
    if not (store / "truth.parquet").exists():
        raise HoagError(f"{store}: not a folder made by hoag simulate (no truth.parquet)")
    want = rows * columns
    found: dict[str, list[bytes]] = {}
    for image, label in _images(store, ["pretraining", "unlabelled"], "survey"):
        found.setdefault(str(label), [])
        if len(found[str(label)]) < want:
            found[str(label)].append(image)
    rings: dict[int, list[bytes]] = {1: [], 0: []}
    for image, label in _images(store, ["rings"], "ring"):
        if len(rings[int(label)]) < want // 2:
            rings[int(label)].append(image)
    found["rings"] = rings[1] + rings[0]
    sheets = []
    for name, images in found.items():
        if images:
            sheets.append(write_sheet([(name, images)], out / f"{name}.png", columns=columns))
    return sheets


def write_sheet(
    groups: Sequence[tuple[str, Sequence[bytes]]],
    out: str | Path,
    *,
    columns: int = 10,
    size: int = 128,
) -> Path:
    """Write groups of encoded images under their titles onto one PNG, each scaled to `size` px."""
    out = Path(out)
    lines = [-(-len(images) // columns) for _, images in groups]
    canvas = Image.new("RGB", (columns * size, sum(lines) * size + _TITLE * len(groups)), "black")
    drawing, top = ImageDraw.Draw(canvas), 0
    for (title, images), count in zip(groups, lines, strict=True):
        drawing.text((4, top + 3), title, fill="white")
        top += _TITLE
        for k, data in enumerate(images):
            with Image.open(io.BytesIO(data)) as image:
                tile = image.convert("RGB").resize((size, size))
            canvas.paste(tile, (k % columns * size, top + k // columns * size))
        top += count * size
    with written_whole(out) as path:
        canvas.save(path)
    return out


def beside_real(
    store: str | Path,
    survey: str,
    real: str | Path,
    out: str | Path,
    *,
    rows: int = 4,
    columns: int = 10,
) -> Path:
    """Write simulated galaxies of a survey ("rings" for the ring task) above real ones of a table.

    Made for looking only: keep the sheet out of any repository.
    """
    store = Path(store)
    tables, label = (
        (["rings"], "ring") if survey == "rings" else (["pretraining", "unlabelled"], "survey")
    )
    want = rows * columns
    made = [b for b, which in _images(store, tables, label) if survey in ("rings", which)][:want]
    pictures = pq.read_table(real, columns=["image"]).column("image")
    chosen = np.random.default_rng(0).permutation(len(pictures))[:want]
    true = [pictures[int(k)].as_py()["bytes"] for k in chosen]
    return write_sheet(
        [(f"simulated {survey}", made), (Path(real).stem, true)], out, columns=columns
    )


def _images(store: Path, tables: Iterable[str], label: str) -> Iterable[tuple[bytes, Any]]:
    for table in tables:
        for path in sorted(store.glob(f"{table}*.parquet")):
            for group in pq.ParquetFile(path).iter_batches(256, columns=["image", label]):
                for row in group.to_pylist():
                    yield row["image"]["bytes"], row[label]
