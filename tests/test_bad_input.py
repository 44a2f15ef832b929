"""Bad input of each kind, through the command line: one sentence that names what and where."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from .test_cli import TINY_OPTIONS, hoag

VOTE = "smooth-or-featured-gz2_smooth"


def jpeg(seed, size=32):
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def table(n=60, **columns):
    images = columns.pop("image", [jpeg(i) for i in range(n)])
    data = {
        "id_str": [f"g{i:03d}" for i in range(n)],
        "image": [{"bytes": b, "path": None} for b in images],
        VOTE: [10] * n,
        "smooth-or-featured-gz2_featured-or-disk": [5] * n,
    } | columns
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table(
        {k: pa.array(v, kind) if k == "image" else pa.array(v) for k, v in data.items()}
    )


def changed(values, row, value):
    return [*values[:row], value, *values[row + 1 :]]


TENS = [10.0] * 60
BAD_TABLES = {
    "negative votes": (lambda: table(**{VOTE: changed([10] * 60, 7, -3)}), [VOTE, "row 7", "-3"]),
    "fractional votes": (lambda: table(**{VOTE: changed(TENS, 9, 0.5)}), [VOTE, "row 9", "0.5"]),
    "NaN votes": (lambda: table(**{VOTE: changed(TENS, 4, float("nan"))}), [VOTE, "row 4", "NaN"]),
    "infinite votes": (lambda: table(**{VOTE: changed(TENS, 4, float("inf"))}), [VOTE, "row 4"]),
    "votes as text": (lambda: table(**{VOTE: ["many"] * 60}), [VOTE]),
    "a near name": (lambda: table(**{"bar-gz2_YES": [1] * 60}), ["bar-gz2_YES", "bar-gz2_yes"]),
    "an id twice": (lambda: table(id_str=["same"] * 60), ["same", "unique"]),
    "no ids": (lambda: table().drop_columns(["id_str"]), ["id_str"]),
    "an empty table": (lambda: table(0), ["no rows"]),
    "a truncated JPEG": (
        lambda: table(image=[jpeg(i)[:300] for i in range(60)]), ["g0"],
    ),
    "an empty image": (lambda: table(image=[b""] * 60), ["g0"]),
    "no image at all": (lambda: table().drop_columns(["image"]), ["image"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_a_bad_table_is_named(kind, capsys, tmp_path):
    make, words = BAD_TABLES[kind]
    path = tmp_path / "galaxies.parquet"
    pq.write_table(make(), path)
    status, _, err = hoag(
        capsys, "train", "paper/pretrained", path, *TINY_OPTIONS, "--out", tmp_path / "run",
        "--device", "cpu",
    )  # fmt: skip
    last = err.strip().splitlines()[-1]
    assert status == 2, err
    assert last.startswith("hoag: ") and "Traceback" not in err
    for word in ["galaxies.parquet", *words]:
        assert word in last, last


def test_a_missing_image_file_is_named(capsys, tmp_path):
    path = tmp_path / "galaxies.csv"
    path.write_text("id_str,file_loc\n" + "".join(f"g{i},images/{i}.jpg\n" for i in range(60)))
    status, _, err = hoag(
        capsys, "train", "paper/contrastive", path, *TINY_OPTIONS, "--out", tmp_path / "run"
    )
    last = err.strip().splitlines()[-1]
    assert status == 2 and ".jpg" in last and "Traceback" not in err


def test_no_labelled_galaxy_in_a_batch_is_no_trouble(capsys, tmp_path):
    votes = [10] + [0] * 59  # one galaxy of sixty was asked: most batches of 16 have none
    pq.write_table(
        table(**{VOTE: votes, "smooth-or-featured-gz2_featured-or-disk": [0] * 60}),
        tmp_path / "galaxies.parquet",
    )
    import hoag as library

    galaxies = library.open(tmp_path / "galaxies.parquet")
    names = ["train", "val", "test"]
    where = [name for name in names if galaxies.split(name).labelled.any()]
    status, _, err = hoag(
        capsys, "train", "paper/hybrid", tmp_path / "galaxies.parquet", *TINY_OPTIONS, "--out",
        tmp_path / "run", "--device", "cpu",
    )  # fmt: skip
    # Without votes in both splits the arm has nothing to learn from or be judged by, and says so.
    assert len(where) == 1
    assert status == 2 and "learns from votes, and none of the" in err


def test_a_file_that_is_no_table_is_named(capsys, tmp_path):
    for name in ("a.parquet", "a.fits", "a.vot", "a.docx"):
        path = tmp_path / name
        path.write_bytes(b"this is no table at all")
        status, _, err = hoag(capsys, "train", "paper/hybrid", path, "--out", tmp_path / "run")
        last = err.strip().splitlines()[-1]
        assert status == 2 and name in last and "Traceback" not in err, err
