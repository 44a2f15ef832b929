"""Near-duplicates: processor time a galaxy, and how many planted copies are found.

    python benchmarks/duplicates.py --galaxies 49000 100000

Thumbnails of all galaxies in ../shared/galaxies, then turned and mirrored until there are enough;
copies of 4,000 of them (cropped to 0.54 to 1 of the width, moved, brighter, noisier) as a second
source; and the native cutouts, of which each shows a galaxy of the first, as a third.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from measuring import peak_memory, report
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared" / "galaxies"
TABLES = ("gz2", "gz2-unlabelled", "gz1-classes", "decals-rings", "hst-goods", "gz-examples")
COPIES = 4000

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--galaxies", type=int, nargs="+", default=[49_000])


def real_thumbnails() -> tuple[np.ndarray, list[str]]:
    """Thumbnails (n, 64, 64) of the galaxies in tables, and their ids."""
    from hoag.data.near_duplicates import thumbnail
    from hoag.images import decode

    found, ids = [], []
    for name in TABLES:
        file = pq.ParquetFile(SHARED / f"{name}.parquet")
        named = "id_str" in file.schema_arrow.names
        for batch in file.iter_batches(1000, columns=["image", *(["id_str"] if named else [])]):
            found += [thumbnail(decode(image["bytes"])) for image in batch["image"].to_pylist()]
            names = batch["id_str"].to_pylist() if named else [""] * batch.num_rows
            ids += [str(name).removeprefix("kaggle-") for name in names]
    return np.stack(found), ids


def native_thumbnails() -> tuple[np.ndarray, list[str]]:
    """Thumbnails of the native cutouts, and their ids."""
    from hoag.data.near_duplicates import thumbnail
    from hoag.images import decode

    files = sorted((SHARED / "native" / "images").glob("*.jpg"))
    return np.stack([thumbnail(decode(path)) for path in files]), [path.stem for path in files]


def copy_of(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Crop, move, brighten and spoil a thumbnail; seven of ten are cropped."""
    side = 64 * (np.exp(-random.uniform(0, 0.62)) if random.random() < 0.7 else 1)
    left, top = ((64 - side) / 2 + random.uniform(-1, 1, 2)).clip(0, 64 - side)
    crop = Image.fromarray(picture).resize(
        (64, 64), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    light = np.asarray(crop) * random.uniform(0.85, 1.2) + random.normal(0, 1.5, (64, 64))
    return light.clip(0, 255).astype(np.uint8)


def measure(count: int, real: tuple[np.ndarray, list[str]], native: tuple[np.ndarray, list[str]]
            ) -> dict[str, Any]:  # fmt: skip
    """Search among `count` thumbnails, and count what was planted."""
    from hoag.data.near_duplicates import near_duplicates

    random, (pictures, ids) = np.random.default_rng(7), real
    turned, wanted = [pictures], count - COPIES - len(native[0]) - len(pictures)
    for turn in range(1, 8):
        more = np.rot90(pictures, turn % 4, (1, 2))
        turned.append((more[:, ::-1] if turn >= 4 else more)[: max(0, wanted)])
        wanted -= len(turned[-1])
    rows = random.permutation(len(pictures))[:COPIES]
    copies = np.stack([copy_of(pictures[row], random) for row in rows])
    sources = np.repeat([0, 1, 2], [sum(map(len, turned)), COPIES, len(native[0])])
    thumbnails = np.concatenate([*turned, copies, native[0]])
    started = time.process_time()
    found = near_duplicates(thumbnails, sources)
    spent = time.process_time() - started
    pairs = {(int(a), int(b)) for a, b in found.rows}
    first = int((sources == 0).sum())
    places: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        places.setdefault(name, []).append(row)
    twins = [
        any((row, first + COPIES + k) in pairs for row in places.get(name, []))
        for k, name in enumerate(native[1])
    ]
    planted = sum((int(row), first + k) in pairs for k, row in enumerate(rows))
    return {
        "galaxies": len(thumbnails), "us a galaxy": round(1e6 * spent / len(thumbnails), 1),
        "pairs": len(pairs), "native found": f"{sum(twins)} of {len(twins)}",
        "copies found": f"{planted} of {COPIES}", "memory MB": round(peak_memory() / 1e6),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    options = parser.parse_args(arguments)
    real, native = real_thumbnails(), native_thumbnails()
    report([measure(count, real, native) for count in options.galaxies])


if __name__ == "__main__":
    main()
