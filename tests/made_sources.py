"""Small sources of galaxies for the tests of `hoag data build`: images, votes and places."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from hoag.catalogue import write_table
from hoag.images import encode_jpeg


def picture(n, size=64, noise=12):
    """A galaxy that n alone decides, with its companions and noise; (size, size, 3) uint8."""
    random = np.random.default_rng([7, n])
    y, x = np.mgrid[:size, :size] / size - 0.5
    light = np.zeros((size, size))
    for k in range(4):
        dx, dy = (0, 0) if k == 0 else random.uniform(-0.4, 0.4, 2)
        width, tilt = random.uniform(0.03, 0.16 if k == 0 else 0.05), random.uniform(0, np.pi)
        u = (x - dx) * np.cos(tilt) + (y - dy) * np.sin(tilt)
        v = (y - dy) * np.cos(tilt) - (x - dx) * np.sin(tilt)
        light += random.uniform(60, 200) * np.exp(-(u**2 + (v / 0.6) ** 2) / (2 * width**2))
    colour = np.array([1.0, random.uniform(0.6, 1), random.uniform(0.4, 1)])
    pixels = light[..., None] * colour + random.normal(20, noise, (size, size, 1))
    return pixels.clip(0, 255).astype(np.uint8)


def jpeg(n, size=64, quality=90):
    return encode_jpeg(picture(n, size), quality)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def votes_of(n, campaign="gz2"):
    """Votes that the tree allows: the children's sums are within their parents' counts."""
    featured = 10 + n % 20
    if campaign == "gz2":
        first = {"smooth-or-featured-gz2_smooth": 40 - featured,
                 "smooth-or-featured-gz2_featured-or-disk": featured,
                 "smooth-or-featured-gz2_artifact": n % 3}  # fmt: skip
        return first | {"disk-edge-on-gz2_yes": featured // 3,
                        "disk-edge-on-gz2_no": featured - featured // 3,
                        "bar-gz2_yes": 2, "bar-gz2_no": 3}  # fmt: skip
    first = {"smooth": 12, "featured-or-disk": 20, "artifact": 1}
    bars = {"strong": n % 4, "weak": 2, "no": 5}
    return {f"smooth-or-featured-{campaign}_{name}": votes for name, votes in first.items()} | {
        f"bar-{campaign}_{name}": votes for name, votes in bars.items()
    }


def write_parquet(path, rows, row_group=64):
    """Rows with `image` as bytes, in the layout of the Hub."""
    images = [{"bytes": row["image"], "path": f"{row['id_str']}.jpg"} for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row if name != "image"))
    columns = {name: [row.get(name) for row in rows] for name in names}
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({**columns, "image": pa.array(images, kind)})
    pq.write_table(table, path, row_group_size=row_group)
    return path


def rows_of(numbers, campaign=None, **more):
    """Rows of some galaxies, with places on the sky a degree apart."""
    for n in numbers:
        votes = votes_of(n, campaign) if campaign else {}
        place = {"ra": float(n % 360), "dec": float(n // 360) - 30}
        yield {"id_str": f"J{n:05d}", "image": jpeg(n), **place, **votes, **more}


def make_folder(folder, numbers, suffix=".csv"):
    """A table with file_loc and its JPEG files."""
    (folder / "images").mkdir(parents=True)
    for n in numbers:
        (folder / "images" / f"J{n:05d}.jpg").write_bytes(jpeg(n, 80))
    ids = [f"J{n:05d}" for n in numbers]
    write_table(
        pa.table({"id_str": ids, "file_loc": [f"images/{i}.jpg" for i in ids]}),
        folder / f"catalogue{suffix}",
    )
    return folder


def files_of(folder):
    """Every file below a folder and its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
