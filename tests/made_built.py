"""A small built set for the tests of its page, card and checks: all that a build can hold."""

import numpy as np

from hoag.data.building import build

from .made_sources import jpeg, make_folder, png, rows_of, write_parquet


def make_built(folder):
    """Two campaigns that share ten galaxies, unlabelled ones of two kinds, bad rows and a task."""
    sources = folder / "sources"
    sources.mkdir(parents=True)
    write_parquet(sources / "gz2.parquet", list(rows_of(range(60), "gz2", survey="SDSS")))
    write_parquet(sources / "dr5.parquet", list(rows_of(range(50, 80), "dr5", survey="DECaLS")))
    more = list(rows_of(range(100, 140), survey="SDSS | old"))
    more[3]["image"] = b""
    more[4]["image"] = jpeg(104)[:500]
    more[5]["image"] = png(np.zeros((64, 64, 3), np.uint8))
    # The picture of J00110 under another name and without a place, at another quality.
    more.append({"id_str": "twin", "image": jpeg(110, 64, 60), "survey": "SDSS | old"})
    write_parquet(sources / "more.parquet", more)
    make_folder(sources / "cutouts", range(200, 230))
    (sources / "cutouts" / "images" / "J00207.jpg").unlink()
    rings = [{**row, "ring": n % 2} for n, row in enumerate(rows_of(range(40, 48)))]
    rings += [{**row, "ring": n % 2} for n, row in enumerate(rows_of(range(300, 330)))]
    write_parquet(sources / "rings.parquet", rings)
    out = folder / "evo"
    build(
        out, campaigns={"gz2": sources / "gz2.parquet", "dr5": sources / "dr5.parquet"},
        unlabelled=[sources / "more.parquet", sources / "cutouts"],
        downstream={"rings": sources / "rings.parquet"}, size=64, workers=1,
    )  # fmt: skip
    return out
