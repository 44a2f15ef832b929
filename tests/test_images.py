"""Images: whole, RGB and antialiased, or refused with the galaxy's name."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hoag import HoagError
from hoag.images import decode, decode_square, encode_jpeg

from .conftest import SHARED


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(height=96, width=96):
    """A smooth blob off the centre in three colours, (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    blob = np.exp(-((x - 0.6 * width) ** 2 + (y - 0.4 * height) ** 2) / (0.2 * width) ** 2)
    return (blob[..., None] * [250, 180, 90]).astype(np.uint8)


def test_png_comes_back_exactly_and_as_rgb():
    array = picture(50, 70)
    result = decode(encoded(Image.fromarray(array)))
    assert result.dtype == np.uint8 and (result == array).all()


def test_jpeg_encoding_keeps_the_picture_and_its_colours():
    array = picture()
    assert np.abs(decode(encode_jpeg(array)).astype(int) - array).max() <= 6


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8)]
)
def test_encoding_refuses_what_is_not_rgb_bytes(wrong):
    with pytest.raises(HoagError, match=r"must be \(height, width, 3\) uint8"):
        encode_jpeg(wrong)


def test_an_image_of_the_size_asked_for_is_not_resampled():
    array = picture(64, 64)
    assert (decode(encoded(Image.fromarray(array)), 64) == array).all()


def test_resizing_is_antialiased_and_keeps_the_mean():
    # The finest checkerboard becomes even grey; nearest or plain bilinear sampling would not.
    board = np.indices((96, 96)).sum(0) % 2 * 200
    grey = decode(encoded(Image.fromarray(np.stack([board] * 3, -1).astype(np.uint8))), 24)
    assert grey.shape == (24, 24, 3)
    assert np.abs(grey[2:-2, 2:-2].astype(int) - 100).max() <= 3


def test_resizing_leaves_no_dark_ring_around_a_bright_core():
    array = np.full((96, 96, 3), 40, np.uint8)
    array[45:51, 45:51] = 255
    assert decode(encoded(Image.fromarray(array)), 24).min() >= 40


@pytest.mark.parametrize("size", [96, 60, 48, 24, 13, 200])
def test_jpeg_decoded_at_a_reduced_scale_is_the_whole_one_resized(size):
    array = picture(384, 384)
    fast = decode(encode_jpeg(array), size).astype(int)
    slow = Image.fromarray(array).resize((size, size), Image.Resampling.BILINEAR)
    assert fast.shape == (size, size, 3)
    assert np.abs(fast - np.asarray(slow)).max() <= 8


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(("height", "width"), [(96, 128), (128, 96), (400, 640)])
def test_the_centre_square_of_an_oblong_image_is_taken(height, width, kind):
    side, array = min(height, width), picture(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(array[top : top + side, left : left + side])
    expected = np.asarray(square.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    result = decode(encoded(Image.fromarray(array), kind, quality=95), 32)
    assert np.abs(result - expected).max() <= 6


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [None, 40])
def test_every_kind_of_jpeg_has_the_pixels_that_pillow_gives(mode, progressive, subsampling, size):
    colours = np.dstack([picture(243, 243), picture(243, 243)[::-1]])[..., [0, 1, 5]]
    kind = {"progressive": progressive, "subsampling": subsampling, "quality": 80}
    data = encoded(Image.fromarray(colours).convert(mode), "JPEG", **kind)
    image = Image.open(io.BytesIO(data))
    if size:
        image.draft(None, (60, 60))  # a quarter, which is at least one and a half times 40
        assert image.size == (61, 61)
    wanted = np.asarray(image.convert("RGB"))
    if size:
        wanted = np.asarray(Image.fromarray(wanted).resize((40, 40), Image.Resampling.BILINEAR))
    found = decode(data, size)
    assert np.abs(found.astype(int) - wanted).max() <= (1 if size else 0)


def test_real_galaxies_have_the_pixels_that_pillow_gives():
    if not (SHARED / "galaxies").is_dir():
        pytest.skip("../shared/galaxies is not here")
    for path in (SHARED / "galaxies").glob("*.parquet"):
        file = pq.ParquetFile(path)
        if "image" not in file.schema_arrow.names:
            continue
        for image in next(file.iter_batches(30, columns=["image"]))["image"].to_pylist():
            wanted = np.asarray(Image.open(io.BytesIO(image["bytes"])).convert("RGB"))
            assert np.array_equal(decode(image["bytes"]), wanted)
            assert np.array_equal(decode(image["bytes"], len(wanted)), wanted)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [96, 30])
def test_an_image_can_be_decoded_to_where_it_belongs(kind, size):
    data = encoded(Image.fromarray(picture()), kind)
    out = np.zeros((3, size, size, 3), np.uint8)
    assert np.shares_memory(decode(data, size, out=out[1]), out)
    assert np.array_equal(out[1], decode(data, size)) and not out[[0, 2]].any()


def test_a_build_resizes_as_decoding_does_within_a_level():
    data = encode_jpeg(picture(424, 424))
    ours, as_is = decode_square(data, 128)
    assert not as_is and np.abs(ours.astype(int) - decode(data, 128)).max() <= 1
    assert np.array_equal(decode_square(data, 128, many=True)[0], decode(data, 128))
    for size, plain in ((424, True), (212, False)):
        assert decode_square(data, size)[1] == plain
    assert not decode_square(encoded(Image.fromarray(picture()[..., 0]), "JPEG"), 96)[1]


def test_grey_images_become_three_equal_channels():
    grey = picture()[..., 0]
    for kind in ("PNG", "JPEG"):
        result = decode(encoded(Image.fromarray(grey), kind))
        assert (result == result[..., :1]).all()
        assert np.abs(result[..., 0].astype(int) - grey).max() <= 8


def test_16_bit_grey_is_scaled_not_clipped():
    deep = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)
    result = decode(encoded(Image.fromarray(deep)))
    assert np.abs(result[..., 0] - deep / 257).max() <= 0.5


def test_transparency_is_laid_on_black_and_opaque_pixels_kept():
    array = np.dstack([picture(), np.full((96, 96), 255, np.uint8)])
    assert (decode(encoded(Image.fromarray(array))) == array[..., :3]).all()
    array[..., 3] = 0
    assert decode(encoded(Image.fromarray(array))).max() == 0


def test_palette_and_cmyk_images_are_converted():
    image = Image.fromarray(picture())
    palette = decode(encoded(image.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)))
    assert np.abs(palette.astype(int) - picture()).max() <= 30
    cmyk = decode(encoded(image.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk.astype(int) - picture()).max() <= 12


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [None, 16])
def test_an_image_cut_short_anywhere_is_refused(kind, size):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for length in np.linspace(0, len(data) - 1, 60).astype(int):
        with pytest.raises(HoagError, match="galaxy 'a' in x.parquet"):
            decode(data[:length], size, "galaxy 'a' in x.parquet")


def test_a_library_that_tolerates_truncation_changes_nothing(monkeypatch):
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encode_jpeg(picture())
    with pytest.raises(HoagError, match="cut short"):
        decode(data[: len(data) // 2])


def test_what_is_no_image_is_refused(tmp_path):
    cases = {
        b"": "empty",
        b"hello galaxy": "not a JPEG or PNG",
        encoded(Image.fromarray(picture()), "TIFF"): "not a JPEG or PNG",
    }
    for data, word in cases.items():
        with pytest.raises(HoagError, match=word):
            decode(data)
    with pytest.raises(HoagError, match="gone.jpg: cannot be read"):
        decode(tmp_path / "gone.jpg", where=str(tmp_path / "gone.jpg"))
    (tmp_path / "zero.jpg").touch()
    with pytest.raises(HoagError, match="0 bytes"):
        decode(tmp_path / "zero.jpg")


def test_a_path_and_its_bytes_give_the_same_pixels(tmp_path):
    data = encode_jpeg(picture())
    (tmp_path / "a.jpg").write_bytes(data)
    assert (decode(tmp_path / "a.jpg", 32) == decode(memoryview(data), 32)).all()
