"""Damaged, odd and hostile image files: each gives one sentence that names it and says what to do.

Images are taken as a build takes them: what begins like FITS through `fits_to_rgb`, all else
through `hoag.images.decode`. Warnings are errors in these tests, so none may leak.
"""

import bz2
import gzip
import io
import pickle
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from hoag.data.fits_images import FitsSettings, fits_to_rgb, is_fits
from hoag.errors import HoagError
from hoag.images import decode

GALAXY = (
    100 + 50 * np.exp(-np.hypot(*np.mgrid[-30:30, -30:30]) / 5)
    + np.random.default_rng(0).normal(0, 0.5, (60, 60))
).astype("f4")  # fmt: skip
PLAIN = FitsSettings()


def loaded(content: bytes, settings: FitsSettings = PLAIN, where: str = "g1.fits") -> np.ndarray:
    """Decode as a build does; a name that ends in .fits does not make it FITS."""
    return (
        fits_to_rgb(content, settings, where) if is_fits(content) else decode(content, 128, where)
    )


def written(*hdus: Any) -> bytes:
    memory = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(memory, output_verify="ignore")
    return memory.getvalue()


def image(data: Any = GALAXY, **cards: Any) -> bytes:
    hdu = fits.PrimaryHDU(data)
    hdu.header.update(cards)
    return written(hdu)


def edited(content: bytes, card: str, value: str) -> bytes:
    """Overwrite one card of the first header that has it."""
    start = content.index(card.ljust(8).encode() + b"=")
    new = f"{card:8}= {value:>20}".ljust(80).encode()
    return content[:start] + new + content[start + 80 :]


def picture(form: str, mode: str = "RGB", **options: Any) -> bytes:
    memory = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(memory, form, **options)
    return memory.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, body: bytes = b"", end: bool = True) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", header), png_chunk(b"IDAT", body)]
    return b"".join(parts + ([png_chunk(b"IEND", b"")] if end else []))


FITS = image()
FZ = written(fits.PrimaryHDU(), fits.CompImageHDU(np.round(GALAXY * 10).astype("i4"), name="SCI"))
JPEG, PNG = picture("JPEG", quality=90), picture("PNG")
HTML = b"<!DOCTYPE html><html><head><title>503</title></head><body>Busy</body></html>"


def cut_short() -> Iterator[tuple[str, bytes]]:
    for size in (10, 79, 80, 400, 2000, 2879, 2880, 2881, 5000, 9000, len(FITS) - 2880):
        yield f"fits cut at {size}", FITS[:size]
    for size in (2880, 2900, 5760, 6000, len(FZ) // 2, len(FZ) - 2880, len(FZ) - 5760):
        yield f"fz cut at {size}", FZ[:size]
    packed = gzip.compress(FITS)
    for size in (60, len(packed) // 4, len(packed) // 2, len(packed) - 9, len(packed) - 1):
        yield f"fits.gz cut at {size}", packed[:size]
    for size in (1, 2, 3, 20, 150, 400, 700, len(JPEG) // 2, len(JPEG) - 100, len(JPEG) - 2):
        yield f"jpeg cut at {size}", JPEG[:size]
    for size in (4, 8, 20, 33, 45, 1000, len(PNG) // 2, len(PNG) - 30, len(PNG) - 12, len(PNG) - 3):
        yield f"png cut at {size}", PNG[:size]


def bad_headers() -> Iterator[tuple[str, bytes]]:
    for card, values in {
        "BITPIX": ("7", "0", "-33", "128", "'text'", "1.5"),
        "NAXIS": ("-1", "1", "7", "1000", "'two'"),
        "NAXIS1": ("-60", "0", "1000000", "99999999999", "'wide'", "60.5", "61"),
        "NAXIS2": ("-1", "0", "70000", "2147483648"),
        "SIMPLE": ("X",),
    }.items():
        for value in values:
            yield f"{card} = {value}", edited(FITS, card, value)
    yield "no END", FITS[:2880].replace(b"END     ", b"        ") + FITS[2880:]
    yield "no NAXIS1", FITS.replace(b"NAXIS1  =", b"NAXISX  =", 1)
    yield "no BITPIX", FITS.replace(b"BITPIX  =", b"BITPIZ  =", 1)
    yield "header of zeros", b"SIMPLE  =" + bytes(2871) + FITS[2880:]
    yield "header not ASCII", FITS[:80] + bytes([200, 201, 255] * 26 + [10, 10]) + FITS[160:]
    for card, value in (("ZNAXIS1", "999999"), ("ZNAXIS1", "-5"), ("ZBITPIX", "13"),
                        ("ZCMPTYPE", "'NOSUCH'"), ("ZTILE1", "0"), ("TFIELDS", "9"),
                        ("PCOUNT", "-9"), ("NAXIS2", "1")):  # fmt: skip
        yield f"fz {card} = {value}", edited(FZ, card, value)
    for place in range(9):
        damaged = bytearray(FZ)
        damaged[-4000 + 40 * place] ^= 0xFF
        if place % 3 == 0:
            damaged[8640 + 8 * place : 8640 + 8 * place + 4] = b"\xff\xff\xff\xff"
        yield (
            f"fz corrupt {place}",
            bytes(damaged[: 8640 + 12]) + b"\xff" * 480 + bytes(damaged[8640 + 492 :]),
        )


def no_picture() -> Iterator[tuple[str, bytes]]:
    table = Table({"ra": [1.0, 2.0], "dec": [3.0, 4.0]})
    yield "no pixels", image(None)
    yield "table only", written(fits.PrimaryHDU(), fits.table_to_hdu(table))
    yield "one axis", image(GALAXY[0])
    yield "five axes", image(np.zeros((2, 2, 2, 8, 8)) + GALAXY[:8, :8])
    yield "four axes", image(np.zeros((2, 2, 8, 8)) + GALAXY[:8, :8])
    yield "many planes", image(np.zeros((24, 8, 8)) + GALAXY[:8, :8])
    yield "colour last", image(np.repeat(GALAXY[..., None], 3, axis=2))
    yield "all NaN", image(np.full((9, 9), np.nan))
    yield "all infinite", image(np.full((9, 9), np.inf))
    yield "all BLANK", image(np.full((9, 9), -1, ">i2"), BLANK=-1)
    yield "all zero", image(np.zeros((9, 9)))
    yield "constant", image(np.full((9, 9), 7, "i2"))
    yield "constant but NaN", image(np.where(np.eye(9) > 0, np.nan, 2.0))
    yield "one pixel", image(np.ones((1, 1)))
    yield "a band all NaN", image(np.stack([GALAXY, GALAXY * np.nan, GALAXY]))
    yield "a band constant", image(np.stack([GALAXY, GALAXY, GALAXY * 0]))
    yield "two images", written(fits.PrimaryHDU(GALAXY), fits.ImageHDU(GALAXY, name="OTHER"))
    yield "fz all NaN", written(fits.PrimaryHDU(), fits.CompImageHDU(GALAXY * np.nan))
    yield "BSCALE 0", image(GALAXY.astype("i2"), BSCALE=0.0, BZERO=1.0)
    yield "gz of nothing", gzip.compress(b"")
    yield "gz of text", gzip.compress(b"SIMPLE text, no image " * 200)
    yield "gz damaged", gzip.compress(FITS)[:200] + bytes(300) + gzip.compress(FITS)[500:]
    yield "gz twice", gzip.compress(gzip.compress(FITS))
    yield "random groups", edited(FITS, "NAXIS1", "0").replace(b"EXTEND  ", b"GROUPS  ")


def not_images() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "html", HTML
    yield "html after blanks", b"\n\n  " + HTML
    yield "json", b'{"title": "Bad request"}'
    yield "text", b"ra,dec\n1,2\n" * 100
    yield "zeros", bytes(10_000)
    yield "noise", np.random.default_rng(2).bytes(5000)
    yield "pickle", pickle.dumps({"image": GALAXY})
    yield "npy", b"\x93NUMPY\x01\x00" + bytes(500)
    yield "zip", b"PK\x03\x04" + bytes(500)
    yield "bzip2", bz2.compress(FITS)
    yield "asdf", b"#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n--- !core/asdf\nfoo: bar\n...\n"
    yield "hdf5", b"\x89HDF\r\n\x1a\n" + bytes(500)
    yield "parquet", b"PAR1" + bytes(500) + b"PAR1"
    yield "heic", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(500)
    yield "avif", b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif" + bytes(500)
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg"></svg>'
    yield "pdf", b"%PDF-1.7\n" + bytes(300)
    yield "elf", b"\x7fELF" + bytes(300)
    yield "git lfs pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"
    for form in ("GIF", "WEBP", "TIFF", "BMP", "ICO", "PPM", "TGA", "JPEG2000"):
        yield form.lower(), picture(form)
    yield "jpeg markers alone", b"\xff\xd8\xff\xd9"
    yield "jpeg without a frame", JPEG[:20] + b"\xff\xd9"
    yield "jpeg with zeros inside", JPEG[:2] + bytes(len(JPEG) - 4) + b"\xff\xd9"
    yield "jpeg of no size", JPEG.replace(b"\x08\x00\x40\x00\x40\x03", b"\x08\x00\x00\x00\x00\x03")
    yield "jpeg of five components", JPEG.replace(b"\x00\x40\x00\x40\x03", b"\x00\x40\x00\x40\x05")
    yield "jpeg bomb", JPEG.replace(b"\x08\x00\x40\x00\x40\x03", b"\x08\xff\xdc\xff\xdc\x03")
    yield "png bad crc", PNG[:29] + b"\x00\x00\x00\x00" + PNG[33:]
    yield "png bad pixels' crc", PNG[:600] + bytes([PNG[600] ^ 255]) + PNG[601:]
    yield "png of no size", png(0, 10, zlib.compress(b""))
    yield "png without pixels", png(10, 10)
    yield "png of few pixels", png(64, 64, zlib.compress(bytes(99)))
    yield "png bomb", png(60_000, 60_000, zlib.compress(bytes(1000)))
    yield "png no deflate", png(8, 8, b"\x00\x01\x02\x03" * 9)
    yield "png header alone", b"\x89PNG\r\n\x1a\nIEND\xaeB`\x82"


MADE = [*cut_short(), *bad_headers(), *no_picture(), *not_images()]


def refused(content: bytes, settings: FitsSettings = PLAIN) -> str:
    with pytest.raises(HoagError) as caught:
        loaded(content, settings)
    text = str(caught.value)
    assert text.startswith("g1.fits: ") and "\n" not in text and len(text) < 400
    assert any(way in text for way in ("fetch", "drop", "name", "convert", "cut it out", "choose",
                                       "give", "leave", "bring", "it has")), text  # fmt: skip
    return text


@pytest.mark.parametrize("content", [c for _, c in MADE], ids=[name for name, _ in MADE])
def test_one_sentence_says_what_is_wrong(content: bytes) -> None:
    start = time.process_time()
    refused(content)
    assert time.process_time() - start < 2


def test_at_least_a_hundred_different_files_are_tried() -> None:
    assert len({content for _, content in MADE}) >= 150


def several() -> bytes:
    cube = fits.ImageHDU(np.stack([GALAXY] * 3), name="CUBE")
    small = fits.ImageHDU(GALAXY[:30], name="SMALL")
    return written(fits.PrimaryHDU(GALAXY), cube, small, fits.table_to_hdu(Table({"a": [1]})))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            FitsSettings(extension="SCI"),
            "no image extension 'SCI' for the extension; it has 0 'PRI",
        ),
        (FitsSettings(extension="9"), "no image extension '9'"),
        (FitsSettings(extension="3"), "no image extension '3'"),
        (FitsSettings(bands=("g", "r", "z")), "no image extension 'g' for the band"),
        (FitsSettings(bands=("0", "SMALL")), "bands differ in size (60 x 30 and 60 x 60 pixels)"),
        (FitsSettings(bands=("CUBE",)), "has 3 axes"),
        (FitsSettings(extension="CUBE", bands=("5",)), "no band '5'; its planes are 0 to 2"),
        (FitsSettings(extension="CUBE", bands=("z",)), "no band 'z'"),
        (FitsSettings(extension="0", bands=("x",)), "has one band"),
        (FitsSettings(bands=("0", "1", "2", "3")), "one, two or three bands"),
        (FitsSettings(extension="0", mask="MASK"), "no image extension 'MASK' for the mask"),
        (FitsSettings(extension="0", mask="SMALL"), "the mask 'SMALL' has not the size"),
        (FitsSettings(extension="0", mask="CUBE"), "the mask 'CUBE' has not the size"),
        (FitsSettings(extension="0", mask="0"), "no good pixel"),
    ],
    ids=str,
)
def test_choices_that_a_file_does_not_have(settings: FitsSettings, says: str) -> None:
    assert says in refused(several(), settings)


@pytest.mark.parametrize(
    "content",
    [edited(FITS, "NAXIS1", "99999999999"), edited(FITS, "NAXIS2", "8000000"),
     edited(edited(FZ, "ZNAXIS1", "60000"), "ZNAXIS2", "60000"),
     edited(edited(FZ, "ZNAXIS1", "8000"), "ZNAXIS2", "8000"),
     gzip.compress(bytes(80_000_000))],
    ids=["axis", "rows", "compressed", "compressed within the limit", "gzip"],
)  # fmt: skip
def test_claims_of_a_file_cost_no_memory(content: bytes) -> None:
    tracemalloc.start()
    try:
        refused(content)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_any_flipped_bit_gives_a_picture_or_a_sentence() -> None:
    for place in range(0, 560, 3):
        damaged = bytearray(FITS)
        damaged[place] ^= 1 << (place % 7)
        try:
            assert loaded(bytes(damaged)).shape[-1] == 3
        except HoagError as error:
            assert str(error).startswith("g1.fits: ") and "\n" not in str(error)


def test_jpegs_of_other_colours_are_pictures() -> None:
    for mode in ("L", "CMYK", "RGB"):
        assert decode(picture("JPEG", mode), 32).shape == (32, 32, 3)
