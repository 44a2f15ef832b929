"""Splits: pure functions of the group's key, whatever the order, the machine or the neighbours."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoag import HoagError
from hoag.splits import (
    fraction_of,
    group_keys,
    half_names,
    remove_leaks,
    sky_pairs,
    split_names,
)

texts = st.text(min_size=1, max_size=8).filter(lambda t: t.isprintable())


def test_the_fraction_is_the_blake2b_hash_of_the_key():
    for key in ("587722981741363294", "kaggle-100008", "Ω-galaxy"):
        digest = hashlib.blake2b(key.encode("utf-8"), digest_size=8).hexdigest()
        assert fraction_of(key) == pytest.approx(int(digest, 16) / 2**64, abs=2**-52)


def test_fractions_are_what_they_were():
    # These numbers must never change: published splits depend on them.
    assert fraction_of("kaggle-100008") == pytest.approx(FROZEN["kaggle-100008"], abs=1e-15)
    assert fraction_of("587722981741363294") == pytest.approx(
        FROZEN["587722981741363294"], abs=1e-15
    )


FROZEN = {"kaggle-100008": 0.3131613633695055, "587722981741363294": 0.982505697981093}


def test_splits_do_not_depend_on_the_process_hash_seed():
    code = "from hoag.splits import split_names; print(*split_names([str(i) for i in range(50)]))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1 and "train" in outputs.pop()


def test_shares_are_70_10_20_and_half():
    keys = [f"galaxy-{n}" for n in range(40_000)]
    names, halves = split_names(keys), half_names(keys)
    for name, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert np.mean(names == name) == pytest.approx(share, abs=0.01)
    assert np.mean(halves == "train") == pytest.approx(0.5, abs=0.01)
    assert set(names[halves == "train"]) == {"train"}


def test_edges_belong_to_the_upper_split(monkeypatch):
    import hoag.splits

    places = {"a": 0.0, "b": 0.7, "c": 0.8, "d": np.nextafter(0.7, 0), "e": 0.5}
    monkeypatch.setattr(hoag.splits, "fraction_of", places.__getitem__)
    assert split_names(list(places)).tolist() == ["train", "val", "test", "train", "train"]
    assert half_names(["a", "e"]).tolist() == ["train", "test"]


@settings(deadline=None)
@given(st.lists(texts, unique=True, min_size=1), st.randoms())
def test_order_and_other_rows_do_not_matter(ids, random):
    shuffled = list(ids)
    random.shuffle(shuffled)
    whole = dict(zip(ids, split_names(group_keys(ids)), strict=True))
    assert dict(zip(shuffled, split_names(group_keys(shuffled)), strict=True)) == whole
    part = shuffled[: len(ids) // 2 + 1]
    assert all(whole[i] == s for i, s in zip(part, split_names(group_keys(part)), strict=True))


@settings(deadline=None)
@given(st.data())
def test_a_users_group_never_straddles_and_adding_rows_moves_none(data):
    ids = data.draw(st.lists(texts, unique=True, min_size=1, max_size=20))
    groups = data.draw(st.lists(st.one_of(st.none(), texts), min_size=len(ids), max_size=len(ids)))
    keys = group_keys(ids, groups)
    for group, key, id_ in zip(groups, keys, ids, strict=True):
        assert key == (id_ if group is None else group)
    kept = data.draw(st.integers(1, len(ids)))
    assert group_keys(ids[:kept], groups[:kept]).tolist() == keys[:kept].tolist()


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_sky_groups_never_straddle_and_ignore_order(data):
    n = data.draw(st.integers(1, 12))
    # Positions on a grid of 4 arcsec, so that many lie within 5 arcsec and chains form.
    steps = st.integers(0, 6)
    dec = np.array([data.draw(steps) for _ in range(n)]) * 4 / 3600
    ra = np.array([data.draw(steps) for _ in range(n)]) * 4 / 3600
    ids = [f"g{i}" for i in range(n)]
    keys = group_keys(ids, ra=ra, dec=dec)
    near = np.hypot(ra[:, None] - ra, dec[:, None] - dec) * 3600 <= 5
    assert all(keys[i] == keys[j] for i, j in zip(*np.nonzero(near), strict=True))
    assert all(key == min(i for i, k in zip(ids, keys, strict=True) if k == key) for key in keys)
    order = data.draw(st.permutations(range(n)))
    again = group_keys([ids[i] for i in order], ra=ra[order], dec=dec[order])
    assert again.tolist() == [keys[i] for i in order]


def test_sky_pairs_agree_with_astropy():
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    rng = np.random.default_rng(0)
    ra = np.concatenate([rng.uniform(0, 0.02, 60), 359.999 + rng.uniform(0, 0.002, 20)])
    dec = np.concatenate([rng.uniform(-0.01, 0.01, 60), rng.uniform(-0.001, 0.001, 20)])
    ra, dec = np.append(ra % 360, [0.0, 180.0]), np.append(dec, [89.9995, 89.9995])
    sky = SkyCoord(ra * u.deg, dec * u.deg)
    separation = sky[:, None].separation(sky[None, :]).arcsec
    i, j = np.nonzero(np.triu(separation <= 5, k=1))
    expected = set(zip(i.tolist(), j.tolist(), strict=True))
    assert {tuple(sorted(pair)) for pair in sky_pairs(ra, dec).tolist()} == expected
    assert (80, 81) in expected and len(expected) > 5  # across the pole too


def test_a_galaxy_without_a_position_is_alone():
    keys = group_keys(["a", "b", "c"], ra=[10.0, np.nan, 10.0], dec=[1.0, 1.0, 1.0])
    assert keys.tolist() == ["a", "b", "a"]


def test_tables_are_linked_by_id_group_and_place():
    # One object: "x" by two catalogues' ids at one place, a third row names its group.
    keys = group_keys(
        ["x", "y", "x", "z"], [None, None, "G", None], ra=[1, 1, np.nan, 9], dec=[0, 0, np.nan, 0]
    )
    assert keys.tolist() == ["G", "G", "G", "z"]


def test_a_users_group_stays_whole_when_a_place_links_it_to_another():
    assert group_keys(["a", "b", "c"], ["G", "G", "F"], [1, 50, 1], [0, 0, 0]).tolist() == ["F"] * 3


@pytest.mark.parametrize(("ra", "dec", "word"), [(0, 91, "'dec', row 1"), (400, 0, "'ra', row 1")])
def test_impossible_positions_are_refused(ra, dec, word):
    with pytest.raises(HoagError, match=word):
        group_keys(["a", "b"], ra=[0, ra], dec=[0, dec])


def test_leaks_leave_train_and_validation_only():
    keys = [f"galaxy-{n}" for n in range(1000)]
    forbidden = frozenset(keys[::2])
    stays, removed = remove_leaks(keys, forbidden)
    names = split_names(keys)
    gone = np.isin(keys, sorted(forbidden)) & (names != "test")
    assert (stays == ~gone).all() and removed == gone.sum() > 0
