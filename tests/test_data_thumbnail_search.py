"""Alike pictures are found through lists of lists, at a work that does not grow with them."""

import numpy as np
import pytest

from hoag.data import thumbnail_search
from hoag.data.thumbnail_rings import (
    NUMBERS,
    ZOOMS,
    describe,
    learn_descriptor,
    ring_numbers,
    seen_at,
)
from hoag.data.thumbnail_search import LISTED, alike_pictures

from .made_sources import picture

LENGTH = 64  # of lists, so that few pictures need lists of lists of lists


@pytest.fixture
def short_lists(monkeypatch):
    monkeypatch.setattr(thumbnail_search, "LENGTH", LENGTH)


def descriptions(n, random):
    """Galaxies differ most in few numbers, as the discriminant sorts them; (n, NUMBERS)."""
    return random.normal(0, 1, (n, NUMBERS)) * np.geomspace(60, 3, NUMBERS)


def depth(lists):
    return 1 + (depth(lists.above) if lists.above else 0)


def test_copies_are_found_through_lists_of_lists(short_lists):
    random = np.random.default_rng(1)
    n, planted = 6000, 500
    whole = descriptions(n, random)
    whole[-planted:] = whole[:planted] + random.normal(0, 1, (planted, NUMBERS))
    numbers = whole[:, None].astype(np.float16)
    assert depth(thumbnail_search._listed(thumbnail_search._with_power(numbers[:, 0]))) == 3
    found = alike_pictures(numbers, np.zeros(n, np.int64))
    pairs = {(min(a, b), max(a, b)) for a, b in zip(found.inner, found.outer, strict=True)}
    expected = {(k, n - planted + k) for k in range(planted)}
    assert len(pairs & expected) >= 0.95 * planted
    assert len(pairs) <= len(expected) + 0.1 * n


def test_crops_are_found_at_their_zoom_in_other_sources_alone(short_lists):
    random = np.random.default_rng(2)
    n, planted, zoom = 4000, 200, 3
    numbers = np.stack([descriptions(n, random) for _ in range(5)], axis=1)
    copies = np.arange(planted) + n - planted
    numbers[copies, 0] = numbers[:planted, zoom] + random.normal(0, 1, (planted, NUMBERS))
    numbers = numbers.astype(np.float16)
    apart = alike_pictures(numbers, (np.arange(n) >= n - planted).astype(np.int64))
    crops = apart.zoom > 0
    assert np.mean(np.isin(copies, apart.inner[crops])) >= 0.95
    exact = apart.inner == apart.outer + n - planted
    assert (apart.zoom[exact] == zoom).all() and exact.sum() >= 0.95 * planted
    assert ((apart.inner < n - planted) != (apart.outer < n - planted))[crops].all()
    together = alike_pictures(numbers, np.zeros(n, np.int64))
    assert (together.zoom == 0).all()


@pytest.mark.parametrize("n", [500, 4000, 32_000])
def test_lists_are_as_long_and_pivots_as_few_at_any_size(n, short_lists):
    """What a crop is compared with: pivots at each level, and one list."""
    random = np.random.default_rng(3)
    lists = thumbnail_search._listed(thumbnail_search._with_power(descriptions(n, random)))
    each = np.array([len(members) for members in lists.members])
    assert each.mean() == pytest.approx(LENGTH, rel=0.05)
    assert sum(each) == pytest.approx(LISTED * n, rel=0.02)  # nearly all are under as many
    while lists.above:
        lists = lists.above
        assert np.mean([len(members) for members in lists.members]) == pytest.approx(
            LENGTH, rel=0.2
        )
    assert len(lists.pivots) <= LENGTH


def test_a_picture_that_comes_thousands_of_times_costs_no_square(short_lists):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    random = np.random.default_rng(5)
    n, repeats = 6000, 4000
    whole = descriptions(n, random)
    whole[:repeats] = whole[0]
    numbers = whole[random.permutation(n)][:, None].astype(np.float16)
    lists = thumbnail_search._listed(thumbnail_search._with_power(numbers[:, 0]))
    assert max(map(len, lists.members)) == thumbnail_search.LONGEST * LENGTH < repeats
    found = alike_pictures(numbers, np.zeros(n, np.int64))
    assert len(found.inner) <= 3 * n
    links = coo_array((np.ones(len(found.inner)), (found.inner, found.outer)), shape=(n, n))
    sizes = np.bincount(connected_components(links, directed=False)[1])
    assert sizes.max() >= repeats  # every one is chained to the others


def test_nearest_of_a_list_are_exact():
    """While one list holds all, what is found is what comparing all with all finds."""
    random = np.random.default_rng(4)
    n = 120
    points = (descriptions(n, random) / 12).astype(np.float16)
    found = alike_pictures(points[:, None], np.zeros(n, np.int64))
    exact = np.linalg.norm(points[:, None].astype(float) - points.astype(float), axis=2)
    np.fill_diagonal(exact, np.inf)
    order = np.sort(exact, axis=1)
    limit = np.maximum(thumbnail_search.ALIKE, thumbnail_search.APART * order[:, 4])
    limit = limit.clip(max=thumbnail_search.RADIUS)
    near = np.argsort(exact, axis=1)[:, :2]
    expected = {(min(a, b), max(a, b)) for a in range(n) for b in near[a] if exact[a, b] < limit[a]}
    assert {(min(p), max(p)) for p in zip(found.inner, found.outer, strict=True)} == expected
    assert found.distance == pytest.approx(exact[found.inner, found.outer], abs=0.02)


def test_descriptions_are_the_numbers_seen_at_each_zoom_in_the_descriptors_basis():
    from hoag.data.near_duplicates import thumbnail

    thumbnails = np.stack([thumbnail(picture(n, 128)) for n in range(40)])
    descriptor, rings = learn_descriptor(thumbnails), ring_numbers(thumbnails)
    basis = np.concatenate([descriptor.light, descriptor.detail])
    described = describe(rings, descriptor)
    assert described.shape == (40, ZOOMS, NUMBERS)
    for zoom in range(ZOOMS):
        direct = seen_at(rings, zoom) @ basis - descriptor.mean
        assert described[:, zoom] == pytest.approx(direct, abs=2e-3)
