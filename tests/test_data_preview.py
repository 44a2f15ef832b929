"""The page of previews: every file under every stretch, or the reason in its place."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from hoag.data.preview import preview
from hoag.errors import HoagError


def made(folder: Path, name: str, unit: str = "") -> Path:
    y, x = np.mgrid[:64, :64]
    rng = np.random.default_rng(0)
    data = np.exp(-np.hypot(x - 32, y - 32) / 6) + rng.normal(0, 0.01, (3, 64, 64))
    hdu = fits.PrimaryHDU(data.astype("f4"))
    hdu.header["BUNIT"] = unit
    hdu.writeto(folder / name)
    return folder / name


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


def test_a_row_a_file_and_a_column_a_stretch(tmp_path: Path) -> None:
    files = [made(tmp_path, "a.fits"), made(tmp_path, "b.fits", "counts")]
    one = size(preview(files[:1], tmp_path / "one.png", ["auto"]))
    two = size(preview(files, tmp_path / "two.png", ["auto", "linear"]))
    everything = size(preview(files, tmp_path / "all.png"))
    assert one[0] < two[0] < everything[0] and one[1] < two[1] == everything[1]


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    files = [made(tmp_path, "a.fits")]
    first = preview(files, tmp_path / "1.png", ["auto", "asinh"]).read_bytes()
    assert first == preview(files, tmp_path / "2.png", ["auto", "asinh"]).read_bytes()


def test_a_stretch_that_does_not_suit_says_why_in_its_place(tmp_path: Path) -> None:
    path = preview([made(tmp_path, "a.fits", "counts")], tmp_path / "p.svg", ["auto", "legacy"])
    text = path.read_text()
    assert "counts" in text and "legacy" in text
    with pytest.raises(HoagError, match="its unit is 'counts'"):
        preview([tmp_path / "a.fits"], tmp_path / "q.png", ["legacy"])
    assert not (tmp_path / "q.png").exists()


def test_jpegs_are_shown_as_they_are(tmp_path: Path) -> None:
    memory = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(memory, "JPEG")
    (tmp_path / "g.jpg").write_bytes(memory.getvalue())
    wide = size(preview([tmp_path / "g.jpg", made(tmp_path, "a.fits")], tmp_path / "p.png"))
    narrow = size(preview([tmp_path / "g.jpg"], tmp_path / "n.png"))
    assert narrow[0] < wide[0]


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HoagError, match="1 to 40 files, not 0"):
        preview([], tmp_path / "p.png")
    with pytest.raises(HoagError, match="no stretch 'ato'; did you mean 'auto'"):
        preview([made(tmp_path, "a.fits")], tmp_path / "p.png", ["ato"])
    with pytest.raises(HoagError, match="cannot be read"):
        preview([tmp_path / "none.fits"], tmp_path / "p.png")
    with pytest.raises(HoagError, match="saved as"):
        preview([tmp_path / "a.fits"], tmp_path / "p.gif", ["auto"])
