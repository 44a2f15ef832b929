"""Galaxies: opened from any place, decoded whole, cut, joined, cached and hashed the same."""

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import hoag
from hoag import HoagError, load_schema
from hoag.catalogue import write_table
from hoag.galaxies import concatenate, write_galaxies
from hoag.images import decode, encode_jpeg

SHARED = Path(__file__).parents[2] / "shared"
GZ2 = load_schema("gz2")


def image(n, size=48):
    """A blob whose place and colour depend on n, (size, size, 3) uint8."""
    y, x = np.mgrid[:size, :size]
    blob = np.exp(-((x - 10 - n % 20) ** 2 + (y - 20) ** 2) / 60)
    return (blob[..., None] * [200, 50 + 10 * (n % 15), 90]).astype(np.uint8)


def rows(start=0, stop=12, **more):
    for n in range(start, stop):
        votes = {"bar-gz2_yes": n % 5, "bar-gz2_no": 3 if n % 5 else 0}
        yield {"id_str": f"{n:04d}", "image": image(n), **votes, **more}


@pytest.fixture
def store(tmp_path):
    write_galaxies(rows(), tmp_path / "store.parquet")
    return tmp_path / "store.parquet"


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


def test_the_layout_is_the_hubs(store):
    schema = pq.read_schema(store)
    assert str(schema.field("image").type) == "struct<bytes: binary, path: string>"
    assert str(schema.field("bar-gz2_yes").type) == "int32"
    assert json.loads(schema.metadata[b"hoag"])["hoag"] == hoag.__version__
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}


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


def test_reading_votes_reads_no_image(store, monkeypatch):
    read = []
    original = pq.ParquetFile.read

    def spy(self, *args, columns=None, **options):
        read.append(columns)
        return original(self, *args, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read", spy)
    galaxies = hoag.open(store)
    assert galaxies.votes.any() and galaxies.split("train").table.num_rows
    assert read and all("image" not in columns for columns in read)
    assert not store.with_suffix(".arrow").exists()


# Pixels


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


# Splits


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


# Places


@pytest.mark.parametrize("suffix", [".csv", ".fits", ".vot", ".parquet"])
def test_a_table_with_image_files_beside_it(tmp_path, suffix, monkeypatch):
    path = make_folder(tmp_path / "own", suffix)
    galaxies = hoag.open(path)
    assert galaxies.ids[1] == "0001" and galaxies[1].row["ring"] == 1
    monkeypatch.chdir("/")  # relative to the table, not to where we are
    assert np.abs(galaxies[3].image.astype(int) - image(3)).max() <= 8
    assert not galaxies.labelled.any()


def test_absolute_paths_and_another_id_column(tmp_path):
    make_folder(tmp_path / "own")
    path = tmp_path / "elsewhere.csv"
    loc = tmp_path / "own" / "images" / "0003.jpg"
    path.write_text(f"objid,file_loc\n587722981741363294,{loc}\n")
    galaxies = hoag.open(path, id_column="objid")
    assert galaxies.ids == ["587722981741363294"] and galaxies[0].image.shape == (48, 48, 3)
    with pytest.raises(HoagError, match=r"elsewhere.csv.*no column 'id_str'; it has 'objid'"):
        hoag.open(path)


def test_a_folder_of_shards_is_one_store(tmp_path, capsys):
    write_galaxies(rows(0, 5), tmp_path / "a-00.parquet")
    write_galaxies(rows(5, 12), tmp_path / "a-01.parquet")
    write_table(pa.table({"id_str": ["0001"], "truth": [1]}), tmp_path / "truth.parquet")
    (tmp_path / "README.md").write_text("not data")
    galaxies = hoag.open(tmp_path)
    assert galaxies.ids == [f"{n:04d}" for n in range(12)]
    assert "'truth.parquet' left out" in capsys.readouterr().err
    alone = hoag.open(tmp_path / "a-01.parquet", arrow=tmp_path / "x")
    assert (galaxies.pixels([7], 24) == alone.pixels([2], 24)).all()
    assert (tmp_path / "arrow").is_dir()
    assert len(hoag.open(tmp_path)) == 12  # the copy is no shard


def test_a_bad_image_is_looked_for_in_the_right_shard(tmp_path):
    write_galaxies(rows(0, 5), tmp_path / "a-00.parquet")
    bad = [{"id_str": "x", "image": image(1)}, {"id_str": "y", "image": b"no image"}]
    write_galaxies(bad, tmp_path / "a-01.parquet")
    with pytest.raises(HoagError, match="galaxy 'y' in .*a-01.parquet"):
        hoag.open(tmp_path)[6]


def test_the_hubs_folder_layout_is_found(tmp_path):
    write_galaxies(rows(), tmp_path / "data" / "train-00000-of-00001.parquet")
    assert len(hoag.open(tmp_path)) == 12


def test_a_list_is_joined_and_shared_ids_are_refused(tmp_path, store):
    write_galaxies(rows(12, 15, survey="SDSS"), tmp_path / "b.parquet")
    galaxies = hoag.open([store, tmp_path / "b.parquet"])
    assert len(galaxies) == 15
    assert galaxies.table["survey"].to_pylist() == [None] * 12 + ["SDSS"] * 3
    assert galaxies.pixels([14, 0], 16).shape == (2, 3, 16, 16)
    write_galaxies(rows(11, 13), tmp_path / "c.parquet")
    with pytest.raises(HoagError, match=r"'0011' is in both .*store.parquet and .*c.parquet"):
        hoag.open([store, tmp_path / "c.parquet"])
    with pytest.raises(HoagError, match="the list is empty"):
        hoag.open([])


def test_the_hub_is_read_through_datasets(monkeypatch, capsys):
    import datasets

    def fake(name):
        data = {"id_str": ["a", "b"], "bar-gz2_yes": [1, 2], "image": [encode_jpeg(image(1))] * 2}
        features = {"id_str": datasets.Value("string"), "bar-gz2_yes": datasets.Value("int32")}
        features = datasets.Features({**features, "image": datasets.Image()})
        data["image"] = [{"bytes": content, "path": None} for content in data["image"]]
        other = {**data, "id_str": ["c", "d"]}
        parts = {"train": data, "test": other}
        made = {k: datasets.Dataset.from_dict(v, features=features) for k, v in parts.items()}
        return datasets.DatasetDict(made)

    monkeypatch.setattr(datasets, "load_dataset", fake)
    galaxies = hoag.open("mwalmsley/gz_evo")
    assert galaxies.ids == ["a", "b", "c", "d"] and galaxies[2].image.shape == (48, 48, 3)
    assert "its files are kept in" in capsys.readouterr().err
    assert (pickle.loads(pickle.dumps(galaxies)).pixels([0], 8) == galaxies.pixels([0], 8)).all()


def test_the_hub_out_of_reach_is_one_sentence():
    code = "import hoag\ntry: hoag.open('mwalmsley/gz_evo')\nexcept hoag.HoagError as e: print(e)"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert result.stdout.startswith("mwalmsley/gz_evo: neither a file here nor a data set")
    assert result.stdout.count("\n") == 1


# The Arrow copy


def read_only(path):
    """Move a store to a folder nobody may write to; root obeys the permissions as well."""
    folder = path.parent / "locked"
    folder.mkdir()
    moved = path.rename(folder / path.name)
    folder.chmod(0o555)
    return moved


def test_the_copy_is_written_once_said_and_opened_by_datasets(store, capsys):
    import datasets

    galaxies = hoag.open(store)
    assert capsys.readouterr().err == ""
    galaxies.prepare()
    copy = store.with_suffix(".arrow")
    said = capsys.readouterr().err
    assert f"{copy}: writing the Arrow copy for random access" in said and "kB" in said
    written = (copy / "source.json").stat().st_mtime_ns
    hoag.open(store).prepare()
    assert capsys.readouterr().err == ""
    assert (copy / "source.json").stat().st_mtime_ns == written
    loaded = datasets.load_from_disk(str(copy))
    assert loaded[4]["id_str"] == "0004" and loaded[4]["image"].size == (48, 48)


def test_a_changed_store_is_copied_again(store):
    before = hoag.open(store).pixels([0], 16)
    write_galaxies(rows(7, 19), store)
    after = hoag.open(store)
    assert after.ids[0] == "0007"
    assert (after.pixels([0], 16) != before).any()


def test_an_interrupted_copy_leaves_nothing(store, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hoag.arrow_copy._in_layout", stop)
    with pytest.raises(KeyboardInterrupt):
        hoag.open(store).prepare()
    assert [path.name for path in store.parent.iterdir()] == ["store.parquet"]


def test_the_copy_goes_where_it_is_asked_to(tmp_path, store):
    hoag.open(store, arrow=tmp_path / "fast" / "copy").prepare()
    assert (tmp_path / "fast" / "copy" / "state.json").is_file()
    assert not store.with_suffix(".arrow").exists()


def test_images_of_a_read_only_place_are_read_into_memory_and_that_is_said(store, capsys):
    expected = hoag.open(store).pixels(range(12), 16)
    moved = read_only(store)
    galaxies = hoag.open(moved)
    assert (galaxies.pixels(range(12), 16) == expected).all()
    assert "read-only, so its images are read into memory" in capsys.readouterr().err
    assert [path.name for path in moved.parent.iterdir()] == ["store.parquet"]


def test_a_read_only_place_too_large_for_memory_asks_for_a_folder(store, monkeypatch):
    moved = read_only(store)
    monkeypatch.setattr("hoag.arrow_copy.available_memory", lambda: 1000)
    with pytest.raises(HoagError, match="pass arrow=DIR"):
        hoag.open(moved).prepare()


# Hash


def test_the_hash_is_of_content_not_of_place(tmp_path, store):
    moved = tmp_path / "other" / "name.parquet"
    write_galaxies(rows(), moved)
    first = hoag.open(store).hash
    assert first == hoag.open(moved).hash == hoag.open(read_only(moved)).hash
    assert first != hoag.open(store).take(range(11)).hash
    assert first != hoag.open(store).without_votes().hash
    write_galaxies(rows(1, 13), moved.parent / "b.parquet")
    assert first != hoag.open(moved.parent / "b.parquet").hash


def test_the_hash_sees_another_image(tmp_path, store):
    changed = [{**row, "image": image(n + 5)} for n, row in enumerate(rows())]
    write_galaxies(changed, tmp_path / "c.parquet")
    assert hoag.open(store).hash != hoag.open(tmp_path / "c.parquet").hash


# Refusals


def broken(tmp_path, content):
    table = [{"id_str": f"g{n}", "image": encode_jpeg(image(n))} for n in range(3)]
    table[1]["image"] = {"bytes": content, "path": "g1.jpg"}
    write_galaxies(table, tmp_path / "broken.parquet")
    return hoag.open(tmp_path / "broken.parquet")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (encode_jpeg(image(1))[:400], "cut short"),
        (b"", "empty"),
        (b"<html>not found</html>", "not a JPEG or PNG"),
    ],
)
def test_a_bad_image_is_refused_by_galaxy_and_file(tmp_path, content, word):
    galaxies = broken(tmp_path, content)
    assert galaxies.pixels([0, 2], 16).any()
    for read in (lambda: galaxies[1], lambda: galaxies.pixels([0, 1], 16)):
        with pytest.raises(HoagError, match=f"galaxy 'g1' in .*broken.parquet: .*{word}"):
            read()


def test_a_null_or_missing_image_is_refused_by_galaxy_and_file(tmp_path):
    with pytest.raises(HoagError, match="'g1' in .*broken.parquet: cannot be read .No such file"):
        broken(tmp_path, None)[1]
    path = make_folder(tmp_path / "own")
    (tmp_path / "own" / "images" / "0002.jpg").unlink()
    with pytest.raises(HoagError, match="galaxy '0002' in .*images/0002.jpg: cannot be read"):
        hoag.open(path).pixels([2], 16)


def test_a_table_without_images_has_votes_but_no_pixels(tmp_path):
    write_table(pa.table({"id_str": ["a"], "bar-gz2_yes": [2]}), tmp_path / "votes.csv")
    galaxies = hoag.open(tmp_path / "votes.csv")
    assert galaxies.votes.sum() == 2 and galaxies.hash
    with pytest.raises(HoagError, match="votes.csv: has no images; it needs a column 'image'"):
        galaxies.pixels([0], 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id_str,bar-gz2_yes\n", "t.csv: has no rows"),
        ("id_str,x\n1,2\n,3\n", "t.csv: column 'id_str', row 1: the id is missing"),
        ("id_str,x\n7,2\n8,2\n7,3\n", "t.csv: column 'id_str', rows 0 and 2: both are '7'"),
        ("name,x\n7,2\n", "no column 'id_str'; it has 'name', 'x'"),
        ("id_str,bar-gz2_yes\n7,2\n8,-1\n", r"t.csv: column 'bar-gz2_yes', row 1 \(id 8\): -1 is"),
        ("id_str,bar-gz2_yes\n7,2\n8,0.5\n", r"column 'bar-gz2_yes', row 1 \(id 8\): 0.5 is not"),
        ("id_str,bar-gz2_yes\n7,nan\n8,1\n", r"row 0 \(id 7\): NaN is not a count"),
        ("id_str,bar-gz2_yes\n7,x\n8,1\n", r"row 0 \(id 7\): 'x' is string"),
        ("id_str,bar-gz2_yse\n7,1\n", "did you mean 'bar-gz2_yes'"),
        ("id_str,file_loc\n7,\n", "column 'file_loc', row 0: the path is missing"),
    ],
)  # fmt: skip
def test_odd_tables_are_refused_by_file_column_and_row(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(HoagError, match=message) as caught:
        hoag.open(tmp_path / "t.csv")
    assert "\n" not in str(caught.value) and "t.csv" in str(caught.value)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(HoagError, match="gone.parquet: no such file or folder"):
        hoag.open(tmp_path / "gone.parquet")
    with pytest.raises(HoagError, match="no .parquet file with a column 'image'"):
        hoag.open(tmp_path)
    with pytest.raises(HoagError, match="a mask must be"):
        hoag.open(make_folder(tmp_path / "own")).where([0, 1])


# Writing


def test_a_table_and_its_images_are_written_with_the_tables_types(tmp_path):
    table = pa.table({"id_str": ["a", "b"], "ring": pa.array([1, 0], pa.int8())})
    png = io.BytesIO()
    Image.fromarray(image(3)).save(png, "PNG")
    write_galaxies(table, tmp_path / "t.parquet", images=[image(1), png.getvalue()])
    galaxies = hoag.open(tmp_path / "t.parquet")
    assert str(galaxies.table["ring"].type) == "int8" and (galaxies[1].image == image(3)).all()
    for images in ([image(1)], [image(1)] * 3):
        with pytest.raises(HoagError, match="images than rows"):
            write_galaxies(table, tmp_path / "u.parquet", images=images)
    assert not (tmp_path / "u.parquet").exists()


def test_writing_streams_in_row_groups(tmp_path):
    taken = []

    def stream():
        for n in range(1100):
            taken.append(n)
            yield {"id_str": str(n), "image": b"x"}

    write_galaxies(stream(), tmp_path / "t.parquet")
    assert pq.read_metadata(tmp_path / "t.parquet").num_row_groups == 3 and len(taken) == 1100


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"id_str": "0"}, "id '0' is repeated"),
        ({"id_str": 5}, "id 5 is repeated, empty or no text"),
        ({"id_str": "1", "n": "text"}, "a column changes type"),
        ({"id_str": "1", "m": 1}, "has 'm', which the first ones lack"),
        ({"id_str": "1", "image": 3}, "its image is int"),
        ({"id_str": "1", "image": "/gone.jpg"}, "/gone.jpg cannot be read"),
    ],
)
def test_odd_rows_are_not_written(tmp_path, second, message):
    first = [{"id_str": f"a{n}" if n else "0", "n": n, "image": b"x"} for n in range(512)]
    with pytest.raises(HoagError, match=message):
        write_galaxies([*first, {"image": b"x", **second}], tmp_path / "t.parquet")
    assert not list(tmp_path.iterdir())
    with pytest.raises(HoagError, match="no galaxies to write"):
        write_galaxies([], tmp_path / "t.parquet")


@pytest.mark.skipif(not (SHARED / "galaxies").exists(), reason="../shared/galaxies is absent")
def test_real_galaxies_open_quickly_and_stay_untouched():
    folder = SHARED / "galaxies"
    before = sorted(path.name for path in folder.iterdir())
    galaxies = hoag.open(folder / "gz2.parquet")
    assert len(galaxies) == 4629 and galaxies.labelled.all() and set(galaxies.campaign) == {"gz2"}
    assert galaxies.pixels([0, 4628], 64).any() and galaxies[0].image.shape == (128, 128, 3)
    native = hoag.open(folder / "native" / "catalogue.csv")
    assert native[0].image.shape == (424, 424, 3)
    assert native.pixels([0], 64).shape == (1, 3, 64, 64)
    assert sorted(path.name for path in folder.iterdir()) == before
