"""Small stores and folders of made-up galaxies for the tests."""

import numpy as np
import pyarrow as pa

from hoag.catalogue import write_table
from hoag.images import encode_jpeg


def image(n, size=48):
    """A blob whose place and colour depend on n, (size, size, 3) uint8."""
    y, x = np.mgrid[:size, :size]
    blob = np.exp(-((x - 10 - n % 20) ** 2 + (y - 20) ** 2) / 60)
    return (blob[..., None] * [200, 50 + 10 * (n % 15), 90]).astype(np.uint8)


def rows(start=0, stop=12, **more):
    for n in range(start, stop):
        votes = {"bar-gz2_yes": n % 5, "bar-gz2_no": 3 if n % 5 else 0}
        yield {"id_str": f"{n:04d}", "image": image(n), **votes, **more}


def make_folder(folder, suffix=".csv", n=6):
    """A table with file_loc and its JPEG files, as a user's own folder looks like."""
    (folder / "images").mkdir(parents=True)
    for row in rows(0, n):
        (folder / "images" / f"{row['id_str']}.jpg").write_bytes(encode_jpeg(row["image"]))
    ids = [f"{k:04d}" for k in range(n)]
    table = pa.table(
        {"id_str": ids, "file_loc": [f"images/{i}.jpg" for i in ids], "ring": range(n)}
    )
    write_table(table, folder / f"catalogue{suffix}")
    return folder / f"catalogue{suffix}"


def read_only(path):
    """Move a store to a folder nobody may write to; root obeys the permissions as well."""
    folder = path.parent / "locked"
    folder.mkdir()
    moved = path.rename(folder / path.name)
    folder.chmod(0o555)
    return moved
