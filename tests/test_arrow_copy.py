"""The Arrow copy: written once, said, redone when the store changes, never where it must not."""

import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hoag
from hoag import HoagError
from hoag.arrow_copy import make_copies
from hoag.galaxies import write_galaxies
from tests.made_galaxies import read_only, rows


@pytest.fixture
def store(tmp_path):
    write_galaxies(rows(), tmp_path / "store.parquet")
    return tmp_path / "store.parquet"


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
    monkeypatch.setattr("hoag.parquet_images.available_memory", lambda: 1000)
    with pytest.raises(HoagError, match="pass arrow=DIR"):
        hoag.open(moved).prepare()


# make_copies


def shards(folder, count=3, content=b"1"):
    """Shards whose footers carry a hash of the content, as those of a build do."""
    folder.mkdir()
    paths = [folder / f"labelled-{k:05d}-of-{count:05d}.parquet" for k in range(count)]
    for k, path in enumerate(paths):
        write_galaxies(rows(10 * k, 10 * k + 10, ra=1.5), path, stamp={})
        table = pq.read_table(path)
        known = {**table.schema.metadata, b"hoag_content": content}
        pq.write_table(table.replace_schema_metadata(known), path)
    return paths


def content(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_copies_of_the_same_shards_are_the_same_bytes_at_any_time_and_place(tmp_path):
    make_copies(shards(tmp_path / "one"))
    moved = tmp_path / "two"
    moved.mkdir()
    for path in (tmp_path / "one").glob("*.parquet"):
        shutil.copyfile(path, moved / path.name)
        os.utime(moved / path.name, ns=(1, 1))
    make_copies(sorted(moved.glob("*.parquet")))
    assert content(tmp_path / "one") == content(moved)
    assert len(content(moved)) > 3 * 6


def test_copies_are_made_once_and_go_on_where_they_were(tmp_path, capsys):
    paths = shards(tmp_path / "set")
    make_copies(paths[:1])
    first = paths[0].with_suffix(".arrow")
    before = (first / "source.json").stat().st_ino
    make_copies(paths)
    assert (first / "source.json").stat().st_ino == before
    assert "00001-of-00003.arrow and 1 more: writing" in capsys.readouterr().err
    make_copies(paths)
    assert capsys.readouterr().err == ""
    galaxies = hoag.open(tmp_path / "set")
    assert galaxies.pixels([0, 29], 16).any() and len(galaxies) == 30
    said = capsys.readouterr().err
    assert "writing" not in said  # opening and reading make nothing more


def test_a_killed_writing_leaves_nothing_once_it_has_been_done_again(tmp_path):
    paths = shards(tmp_path / "killed")
    code = (
        "import sys, time, hoag.arrow_copy as a\n"
        "from pathlib import Path\n"
        "def slow(*_): print('now', flush=True); time.sleep(60)\n"
        "a._places = slow\n"
        "a.make_copies([Path(p) for p in sys.argv[1:]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, paths)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"now\n"
    process.kill()
    process.communicate()
    assert any(path.name.startswith(".") for path in paths[0].parent.iterdir())
    make_copies(paths)
    make_copies(shards(tmp_path / "whole"))
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_shard_of_other_content_is_copied_again(tmp_path):
    (path,) = shards(tmp_path / "set", 1)
    make_copies([path])
    before = path.with_suffix(".arrow") / "source.json"
    old = before.read_text()
    table = pq.read_table(path)
    known = {**table.schema.metadata, b"hoag_content": b"2"}
    pq.write_table(table.replace_schema_metadata(known), path)
    make_copies([path])
    assert before.read_text() != old


def test_a_damaged_or_older_copy_is_made_again(store):
    hoag.open(store).prepare()
    for text in ("", "[]", '{"format": 1}', "\x00"):
        (store.with_suffix(".arrow") / "source.json").write_text(text)
        assert hoag.open(store).pixels([3], 16).any()


def test_no_room_on_the_disk_is_said_before_anything_is_written(store, monkeypatch):
    free = shutil._ntuple_diskusage(100, 99, 1)
    monkeypatch.setattr("hoag.arrow_copy.shutil.disk_usage", lambda _: free)
    with pytest.raises(HoagError, match=r"takes 1\d.\d kB and 1 bytes are free there"):
        make_copies([store])
    assert [path.name for path in store.parent.iterdir()] == ["store.parquet"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "b", "a"], "column 'id_str', rows 0 and 2: both are 'a'"),
        (["a", None, "c"], "column 'id_str', row 1: the id is missing"),
        ([], "t.parquet: has no rows"),
    ],
)
def test_odd_ids_are_refused_when_the_copy_is_made(tmp_path, ids, message):
    table = pa.table({"id_str": pa.array(ids, pa.string()), "image": pa.array([b"x"] * len(ids))})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(HoagError, match=message):
        make_copies([tmp_path / "t.parquet"])
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
    with pytest.raises(HoagError, match="no column 'id_str'"):
        pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "t.parquet")
        make_copies([tmp_path / "t.parquet"])


def test_images_kept_as_paths_are_found_through_the_copy(tmp_path):
    from hoag.images import encode_jpeg
    from tests.made_galaxies import image

    (tmp_path / "b.jpg").write_bytes(encode_jpeg(image(7)))
    table = [
        {"id_str": "a", "image": image(1)},
        {"id_str": "b", "image": {"bytes": None, "path": "b.jpg"}},
    ]
    write_galaxies(table, tmp_path / "t.parquet")
    plain = hoag.open(tmp_path / "t.parquet")
    make_copies([tmp_path / "t.parquet"])
    mapped = hoag.open(tmp_path / "t.parquet")
    assert (mapped[1].image == plain[1].image).all() and mapped[1].image.any()
    assert mapped._images.lengths().tolist() == plain._images.lengths().tolist()
    assert mapped._images.lengths()[1] == 0


def test_a_large_table_without_a_copy_gets_one_before_it_is_read(store, monkeypatch, capsys):
    monkeypatch.setattr("hoag.opening.LARGE", 10)
    galaxies = hoag.open(store)
    assert "writing the Arrow copy" in capsys.readouterr().err
    assert len(galaxies) == 12 and store.with_suffix(".arrow").is_dir()


def test_two_processes_may_make_one_copy_at_a_time(store):
    code = "import sys, hoag; hoag.open(sys.argv[1]).pixels([0], 16)"
    command = [sys.executable, "-c", code, str(store)]
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(path.name for path in store.parent.iterdir()) == ["store.arrow", "store.parquet"]
