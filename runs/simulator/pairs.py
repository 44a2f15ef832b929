"""Simulated galaxies and the real ones they stand for, read in exactly the same way."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

# Name of the pair: kind of simulated galaxy ("rings": the ring task), tables of real ones.
PAIRS = {
    "sdss": ("sdss", ("gz2", "gz2-unlabelled")),
    "decals": ("decals", ("decals-rings",)),
    "ring task": ("rings", ("decals-rings",)),
    "hst-hubble": ("hst-hubble", ("hst-goods",)),
}
STORED = 128  # the real cutouts are 128 px JPEG, so the simulated ones are read at 128 px too
SIZE = 64
# hst-goods is a whole catalogue of the sky; Galaxy Zoo: Hubble showed galaxies brighter than 23.5.
_SHOWN = [("class_star", "<", 0.8), ("mag_z", "<", 23.5), ("mag_z", ">", 0.0)]


def encoded_pair(
    sky: Path, shared: Path, name: str, count: int, seed: int = 0
) -> tuple[list[bytes], list[bytes]]:
    """Give up to `count` simulated and real JPEGs of a pair; the real ones drawn by the seed."""
    kind, tables = PAIRS[name]
    made = _simulated(sky, kind, count)
    real = []
    for table in tables:
        shown = _SHOWN if table == "hst-goods" else None
        rows = pq.read_table(shared / f"{table}.parquet", columns=["image"], filters=shown)
        column = rows.column("image")
        chosen = np.random.default_rng(seed).permutation(len(column))[: -(-count // len(tables))]
        real += [column[int(k)].as_py()["bytes"] for k in chosen]
    return made[:count], real[:count]


def images(encoded: list[bytes], size: int = SIZE) -> NDArray[np.float32]:
    """Decode to (galaxies, size, size, 3) float32 levels, pixels averaged in blocks."""
    decoded = []
    for data in encoded:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert("RGB"), np.float32)
        if pixels.shape != (STORED, STORED, 3):
            raise ValueError(f"an image of {pixels.shape}: all have to be {STORED} px")
        block = STORED // size
        decoded.append(pixels.reshape(size, block, size, block, 3).mean((1, 3)))
    return np.stack(decoded)


def simulator_of(sky: Path) -> dict[str, Any]:
    """Give what the folder's tables say about their making: version, fingerprint, commit, seed."""
    table = next(path for path in sorted(sky.glob("truth*.parquet")))
    return json.loads(pq.read_schema(table).metadata[b"hoag"])


def hashes(sky: Path, shared: Path) -> dict[str, str]:
    """Name every table that was read by its content."""
    real = sorted({table for _, tables in PAIRS.values() for table in tables})
    paths = [*sorted(sky.glob("*.parquet")), *(shared / f"{table}.parquet" for table in real)]
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in paths}


def _simulated(sky: Path, kind: str, count: int) -> list[bytes]:
    tables, column = (
        (["rings"], "ring") if kind == "rings" else (["pretraining", "unlabelled"], "survey")
    )
    found: list[bytes] = []
    for table in tables:
        for path in sorted(sky.glob(f"{table}*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(256, columns=["image", column]):
                for row in batch.to_pylist():
                    if kind in ("rings", row[column]):
                        found.append(row["image"]["bytes"])
                if len(found) >= count:
                    return found
    return found
