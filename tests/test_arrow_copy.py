"""The Arrow copy: written once, said, redone when the store changes, never where it must not."""

import pytest

import hoag
from hoag import HoagError
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
