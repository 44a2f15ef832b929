"""Images that show one picture are found whatever their encoding, size and zoom; others are not."""

import numpy as np
import pytest
from PIL import Image

from hoag.data.near_duplicates import THUMB, near_duplicates, thumbnail
from hoag.data.thumbnail_detail import detail_similarity
from hoag.errors import HoagError
from hoag.images import decode, encode_jpeg

from .conftest import SHARED
from .made_sources import picture


def seen(n, zoom=1.0, shift=(0, 0), gain=1.0, quality=95, size=128):
    """Galaxy n through another cut: its central `zoom`, moved, brightened, encoded again."""
    pixels = picture(n, 424)
    side = 424 * zoom
    left, top = (424 - side) / 2 + shift[0], (424 - side) / 2 + shift[1]
    image = Image.fromarray(pixels).resize(
        (size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    changed = (np.asarray(image) * gain).clip(0, 255).astype(np.uint8)
    return thumbnail(decode(encode_jpeg(changed, quality)))


@pytest.fixture(scope="module")
def others():
    """Three hundred different galaxies."""
    return np.stack([seen(n, size=64) for n in range(1000, 1300)])


CHANGES = {
    "encoded again": {"quality": 60},
    "smaller": {"size": 80},
    "brighter": {"gain": 1.25},
    "moved": {"shift": (6, -5), "zoom": 0.96},
    "cropped a little": {"zoom": 0.9},
    "cropped as native cutouts are": {"zoom": 256 / 424},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change, others):
    numbers = range(20)
    first = np.stack([seen(n) for n in numbers])
    copies = np.stack([seen(n, **CHANGES[change]) for n in numbers])
    found = near_duplicates(np.concatenate([first, copies, others]))
    expected = {(n, n + 20) for n in numbers}
    pairs = {tuple(pair) for pair in found.rows.tolist()}
    assert pairs <= expected
    assert len(pairs) >= 16, expected - pairs  # noise and blobs tell less than real galaxies do
    zoom = CHANGES[change].get("zoom", 1.0)
    assert found.zoom == pytest.approx(np.full(len(pairs), 1 / zoom), rel=0.03)
    assert (found.similarity >= 0.5).all() and (found.similarity <= 1).all()
    assert (found.rows[:, 0] < found.rows[:, 1]).all()


def test_crops_are_looked_for_between_sources_alone(others):
    thumbnails = np.concatenate([np.stack([seen(1), seen(1, zoom=0.6)]), others])
    apart = np.arange(len(thumbnails)) % 2
    assert near_duplicates(thumbnails, apart).rows.tolist() == [[0, 1]]
    assert near_duplicates(thumbnails, np.zeros(len(thumbnails))).rows.tolist() == []


def test_repeats_are_chained_not_squared(others):
    """A picture that comes k times gives pairs in number like k, not like k squared."""
    many = np.concatenate([np.repeat(others[:1], 200, 0), others[1:]])
    pairs = near_duplicates(many).rows
    assert len(pairs) <= 3 * 200
    assert set(pairs.ravel().tolist()) == set(range(200))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_few_images_or_none(n):
    thumbnails = np.stack([seen(k) for k in range(5)])[:n]
    assert near_duplicates(thumbnails.reshape(n, THUMB, THUMB)).rows.shape == (0, 2)


def test_empty_sky_is_like_nothing():
    dark = np.full((50, THUMB, THUMB), 20, np.uint8)
    assert len(near_duplicates(dark).rows) == 0


def test_the_result_is_a_function_of_the_thumbnails_alone(others):
    thumbnails = np.concatenate([others, others[::-1]])
    first, second = near_duplicates(thumbnails), near_duplicates(thumbnails.copy())
    for a, b in zip((first.rows, first.similarity), (second.rows, second.similarity), strict=True):
        assert np.array_equal(a, b)


def test_a_thumbnail_is_small_grey_and_of_the_centre():
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 255
    assert thumbnail(wide).shape == (THUMB, THUMB)
    assert (thumbnail(wide)[:, 1:-1] == 255).all()  # beside the edge, half a pixel is outside
    half = np.full((128, 128, 3), 64, np.uint8)
    assert thumbnail(half)[0, 0] == round(255 * (64 / 255) ** 0.5)


def test_a_thumbnail_of_another_shape_is_refused():
    with pytest.raises(HoagError, match=r"must be \(n, 64, 64\) uint8"):
        near_duplicates(np.zeros((3, 10, 10), np.uint8))


def test_similarity_of_an_image_with_itself_is_one(others):
    score, zoom = detail_similarity(others[:5], others[:5], np.zeros(5, np.float32))
    assert score == pytest.approx(np.ones(5), abs=1e-4) and zoom == pytest.approx(np.ones(5))


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared: real galaxies are not tried")
def test_native_cutouts_are_found_among_the_real_galaxies():
    import pyarrow.parquet as pq

    table = pq.read_table(
        SHARED / "galaxies" / "gz2-unlabelled.parquet", columns=["id_str", "image"]
    )
    table = table.slice(0, 6000)
    native = {path.stem: path for path in (SHARED / "galaxies" / "native" / "images").glob("*.jpg")}
    ids = table["id_str"].to_pylist()
    twins = {row: native[i[7:]] for row, i in enumerate(ids) if i.removeprefix("kaggle-") in native}
    assert len(twins) > 40
    small = [thumbnail(decode(image["bytes"])) for image in table["image"].to_pylist()]
    large = [thumbnail(decode(path)) for path in twins.values()]
    sources = np.repeat([0, 1], [len(small), len(large)])
    found = near_duplicates(np.stack([*small, *large]), sources)
    expected = {(row, len(small) + k) for k, row in enumerate(twins)}
    pairs = {tuple(pair) for pair in found.rows.tolist()}
    assert len(pairs & expected) >= 0.97 * len(expected)
    across = {pair for pair in pairs if pair[1] >= len(small)}
    assert len(across - expected) <= 2


def test_no_kernel_holds_numbers_that_slow_the_processor():
    """Numbers below 1e-38, as in the tail of a Gaussian, multiply by a detour."""
    from hoag.data import thumbnail_detail, thumbnail_rings

    scales = (thumbnail_detail.FINE, thumbnail_detail.COARSE)
    kernels = [thumbnail_detail._blur(s, scale.grid) for scale in scales for s in scale[1:3]]
    kernels += [*thumbnail_rings._operators(THUMB // 2, 6), thumbnail_rings._blur(THUMB // 2, 3.0)]
    for kernel in kernels:
        assert np.abs(kernel[kernel != 0]).min() > 1e-13
