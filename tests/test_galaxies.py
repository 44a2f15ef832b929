"""Galaxies: decoded whole, cut, joined, cached, split and hashed the same."""

import hashlib
import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest

import hoag
from hoag import HoagError, load_schema
from hoag.galaxies import concatenate, write_galaxies
from hoag.images import decode
from tests.made_galaxies import image, make_folder, read_only, rows

GZ2 = load_schema("gz2")


@pytest.fixture
def store(tmp_path):
    write_galaxies(rows(), tmp_path / "store.parquet")
    return tmp_path / "store.parquet"


def test_a_store_comes_back_as_it_was_written(store):
    galaxies = hoag.open(store)
    assert len(galaxies) == 12 and galaxies.ids[:2] == ["0000", "0001"]
    assert "image" not in galaxies.table.column_names
    assert galaxies.votes.shape == (12, 206) and galaxies.votes.dtype == np.int32
    third = galaxies[2]
    assert (third.id_str, third.row["bar-gz2_yes"]) == ("0002", 2)
    assert third.votes[galaxies.schema.columns.index("bar-gz2_yes")] == 2
    assert np.abs(third.image.astype(int) - image(2)).max() <= 8
    assert galaxies[-1].id_str == "0011"
    with pytest.raises(IndexError):
        galaxies[12]


def test_labelled_campaign_and_schema(tmp_path):
    table = [
        {"id_str": "a", "image": image(1), "bar-gz2_yes": 3, "bar-dr5_strong": 1},
        {"id_str": "b", "image": image(2), "bar-gz2_yes": None, "bar-dr5_strong": 9},
        {"id_str": "c", "image": image(3), "bar-gz2_yes": 0, "bar-dr5_strong": 0},
    ]
    write_galaxies(table, tmp_path / "t.parquet")
    galaxies = hoag.open(tmp_path / "t.parquet")
    assert galaxies.labelled.tolist() == [True, True, False]
    assert galaxies.campaign.tolist() == ["gz2", "dr5", ""]
    only = hoag.open(tmp_path / "t.parquet", schema="gz2")
    assert only.campaign.tolist() == ["gz2", "", ""] and only.votes.shape == (3, len(GZ2.columns))
    assert not galaxies.without_votes().labelled.any()


def test_pixels_are_the_decoded_images_channels_first(store):
    galaxies = hoag.open(store)
    pixels = galaxies.pixels([5, 0, 5], 24)
    assert pixels.shape == (3, 3, 24, 24) and pixels.dtype == np.uint8
    content = pq.read_table(store)["image"][5].as_py()["bytes"]
    assert (pixels[0] == decode(content, 24).transpose(2, 0, 1)).all()
    assert (pixels[2] == pixels[0]).all() and (pixels[1] != pixels[0]).any()
    assert galaxies.pixels([], 24).shape == (0, 3, 24, 24)


def test_cached_and_uncached_pixels_are_equal(store, monkeypatch, capsys):
    cached = hoag.open(store)
    first = cached.pixels(range(12), 16)
    assert (cached.pixels(range(12), 16) == first).all()
    assert capsys.readouterr().err.count("kept in memory") == 1
    monkeypatch.setattr("hoag.pixel_cache.available_memory", lambda: 100)
    uncached = hoag.open(store)
    assert (uncached.pixels(range(12), 16) == first).all()
    assert "decoded whenever it is needed" in capsys.readouterr().err


def test_images_that_are_looked_at_once_are_not_kept(store, capsys):
    galaxies = hoag.open(store)
    once = galaxies.pixels(range(12), 16, keep=False)
    assert "kept in memory" not in capsys.readouterr().err
    assert (galaxies.pixels(range(12), 16) == once).all()
    cache = galaxies._images.stores[0].cache(16)
    assert len(cache.missing(np.arange(12))) == 0


def test_what_was_given_out_can_be_changed_without_changing_the_cache(store):
    galaxies = hoag.open(store)
    first = galaxies.pixels([1], 16)
    first[:] = 0
    assert galaxies.pixels([1], 16).any()


def test_subsets_and_joins_share_the_cache(store, monkeypatch):
    galaxies = hoag.open(store)
    expected = galaxies.pixels(range(12), 16)

    def never(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr("hoag.stores.decode", never)
    assert (galaxies.take([7, 3]).pixels([1], 16) == expected[3]).all()
    half = galaxies.where(np.arange(12) % 2 == 0)
    rest = galaxies.where(np.arange(12) % 2 == 1)
    joined = concatenate([rest, half]).pixels([0, 6], 16)
    assert (joined == expected[[1, 0]]).all()


@pytest.mark.parametrize("kind", ["mapped", "in memory"])
def test_a_column_that_one_table_lacks_is_null_there_even_alone(tmp_path, kind):
    write_galaxies(rows(survey="SDSS"), tmp_path / "with.parquet")
    if kind == "mapped":
        write_galaxies(rows(20, 26), tmp_path / "bare.parquet")
        bare = hoag.open(tmp_path / "bare.parquet")
    else:
        bare = hoag.open(make_folder(tmp_path / "bare", n=20)).take(np.arange(12, 18))
    galaxies = concatenate([hoag.open(tmp_path / "with.parquet"), bare.take([4, 0, 2])])
    alone = galaxies.select(["survey"])["survey"].to_pylist()
    assert alone == ["SDSS"] * 12 + [None] * 3


class _Pixels:
    def __init__(self, galaxies):
        self.galaxies = galaxies

    def __len__(self):
        return len(self.galaxies)

    def __getitem__(self, index):
        return self.galaxies.pixels([index], 16)[0]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_worker_processes_fill_one_cache(store, start, monkeypatch):
    from torch.utils.data import DataLoader

    galaxies = hoag.open(store)
    galaxies.prepare(16)
    loader = DataLoader(
        _Pixels(galaxies), batch_size=3, num_workers=2, multiprocessing_context=start
    )
    seen = np.concatenate([batch.numpy() for batch in loader])
    monkeypatch.setattr(
        "hoag.stores.decode", lambda *_: pytest.fail("not shared with this process")
    )
    assert (galaxies.pixels(range(12), 16) == seen).all()


@pytest.mark.parametrize("kind", ["copy", "memory", "files"])
def test_pickled_galaxies_give_the_same_pixels(tmp_path, store, kind):
    if kind == "memory":
        store = read_only(store)
    where = make_folder(tmp_path / "own") if kind == "files" else store
    galaxies = hoag.open(where)
    expected = galaxies.pixels([0, 4], 16)
    data = pickle.dumps(galaxies)
    galaxies._images.stores[0]._caches.clear()
    assert (pickle.loads(pickle.dumps(galaxies)).pixels([0, 4], 16) == expected).all()
    if kind == "copy":
        galaxies.prepare()
        assert len(data) < 40_000  # maps the copy again instead of carrying the images


def test_splits_are_disjoint_whole_and_follow_the_users_group(tmp_path):
    table = [{"id_str": f"{n}", "image": image(n), "host": f"h{n // 4}"} for n in range(200)]
    write_galaxies(table, tmp_path / "t.parquet")
    galaxies = hoag.open(tmp_path / "t.parquet")
    for group in (None, "host"):
        parts = [galaxies.split(name, group) for name in ("train", "val", "test")]
        assert sorted(i for part in parts for i in part.ids) == sorted(galaxies.ids)
        hosts = [set(part.table["host"].to_pylist()) for part in parts]
        straddling = (hosts[0] & hosts[1]) | (hosts[0] & hosts[2]) | (hosts[1] & hosts[2])
        assert bool(straddling) == (group is None)
    with pytest.raises(HoagError, match="no split 'valid'"):
        galaxies.split("valid")
    with pytest.raises(HoagError, match="no column 'field'; it has 'id_str', 'host'"):
        galaxies.split("train", "field")


def test_by_default_galaxies_at_one_place_share_a_split(tmp_path, capsys):
    places = [{"ra": 10.0 + n // 2, "dec": -5.0 + (n % 2) / 3600} for n in range(100)]
    table = [{"id_str": f"{n}", "image": image(n), **p} for n, p in enumerate(places)]
    write_galaxies(table, tmp_path / "t.parquet")
    train = set(hoag.open(tmp_path / "t.parquet").split("train").ids)
    assert all((str(n) in train) == (str(n + 1) in train) for n in range(0, 100, 2))
    assert "50 galaxies lie within 5 arcsec of another" in capsys.readouterr().err
    pairs_apart = hoag.open(tmp_path / "t.parquet").split("train", "id_str").ids
    assert set(pairs_apart) != train


def test_the_hash_is_of_content_not_of_place(tmp_path, store):
    moved = tmp_path / "other" / "name.parquet"
    write_galaxies(rows(), moved)
    first = hoag.open(store).hash
    assert first == hoag.open(moved).hash == hoag.open(read_only(moved)).hash
    assert first != hoag.open(store).take(range(11)).hash
    assert first != hoag.open(store).without_votes().hash
    write_galaxies(rows(1, 13), moved.parent / "b.parquet")
    assert first != hoag.open(moved.parent / "b.parquet").hash


def test_the_hash_is_what_it_was_however_many_are_read_together(store, monkeypatch):
    galaxies = hoag.open(store)
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\n".join([*galaxies.schema.columns, "", *galaxies.ids]).encode())
    digest.update(galaxies.votes.astype("<i4").tobytes())
    digest.update(galaxies._images.lengths().astype("<i8").tobytes())
    for block in (1, 5, 12, 100):
        monkeypatch.setattr("hoag.galaxies._BLOCK", block)
        opened = hoag.open(store)
        assert opened.hash == digest.hexdigest()
        assert opened.labelled.tolist() == galaxies.labelled.tolist()
        assert opened.votes_given == galaxies.votes.sum()


def test_the_hash_sees_another_image(tmp_path, store):
    changed = [{**row, "image": image(n + 5)} for n, row in enumerate(rows())]
    write_galaxies(changed, tmp_path / "c.parquet")
    assert hoag.open(store).hash != hoag.open(tmp_path / "c.parquet").hash
