"""Opening: the same galaxies from any kind of place, and a clear refusal of anything odd."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hoag
from hoag import HoagError
from hoag.catalogue import write_table
from hoag.galaxies import write_galaxies
from hoag.images import encode_jpeg
from tests.made_galaxies import image, make_folder, rows

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def store(tmp_path):
    write_galaxies(rows(), tmp_path / "store.parquet")
    return tmp_path / "store.parquet"


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


@pytest.mark.parametrize("suffix", [".csv", ".fits", ".vot", ".parquet"])
def test_a_table_with_image_files_beside_it(tmp_path, suffix, monkeypatch):
    path = make_folder(tmp_path / "own", suffix)
    galaxies = hoag.open(path)
    assert galaxies.ids[1] == "0001" and galaxies[1].row["ring"] == 1
    monkeypatch.chdir("/")  # relative to the table, not to where we are
    assert np.abs(galaxies[3].image.astype(int) - image(3)).max() <= 8
    assert not galaxies.labelled.any()


@pytest.mark.parametrize("suffix", [".csv", ".fits", ".vot", ".parquet"])
def test_a_folder_with_one_table_that_names_image_files(tmp_path, suffix):
    path = make_folder(tmp_path / "own", suffix)
    write_table(pa.table({"id_str": ["0001"], "truth": [1]}), tmp_path / "own" / "truth.csv")
    galaxies, table = hoag.open(tmp_path / "own"), hoag.open(path)
    assert galaxies.ids == table.ids and galaxies.hash == table.hash
    assert (galaxies[2].image == table[2].image).all()


def pictures(folder, *names):
    for n, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encode_jpeg(image(n)))


def test_a_folder_of_images_alone_is_named_by_its_files(tmp_path):
    pictures(tmp_path, "b.jpg", "a/0123.JPEG", "c.d.png", ".hidden.jpg", ".git/x.jpg")
    (tmp_path / "notes.txt").write_text("not an image")
    galaxies = hoag.open(tmp_path)
    assert galaxies.ids == ["0123", "b", "c.d"]
    assert galaxies.table["file_loc"].to_pylist() == ["a/0123.JPEG", "b.jpg", "c.d.png"]
    assert np.abs(galaxies[1].image.astype(int) - image(0)).max() <= 8
    assert galaxies.pixels([0, 2], 16).any() and not galaxies.labelled.any()


def test_images_of_one_name_in_two_folders_are_named_by_their_paths(tmp_path):
    pictures(tmp_path, "north/1.jpg", "south/1.jpg", "2.jpg")
    assert hoag.open(tmp_path).ids == ["2", "north/1", "south/1"]
    pictures(tmp_path, "north/1.png")
    with pytest.raises(HoagError, match="'north/1.jpg' and 'north/1.png' would both be galaxy"):
        hoag.open(tmp_path)


def test_a_folder_whose_table_names_no_image_is_not_guessed_at(tmp_path):
    pictures(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "t.csv").write_text("id_str,x\n1,2\n")
    with pytest.raises(HoagError, match="'t.csv' has no column 'file_loc' that says which image"):
        hoag.open(tmp_path)
    for name in ("u.csv", "v.csv"):
        (tmp_path / name).write_text("id_str,file_loc\n1,1.jpg\n")
    with pytest.raises(HoagError, match="'u.csv', 'v.csv' all name image files; open one of them"):
        hoag.open(tmp_path)


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
    assert (tmp_path / "a-00.arrow").is_dir() and (tmp_path / "a-01.arrow").is_dir()
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
