import pytest

from hoag.errors import HoagError
from hoag.files import read_json, write_json, written_whole


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_a_folder_is_replaced_whole(tmp_path):
    for content in ("old", "new"):
        with written_whole(tmp_path / "run") as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert [each.name for each in (tmp_path / "run").iterdir()] == ["new"]
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_the_temporary_keeps_the_suffix_and_the_folder(tmp_path):
    with written_whole(tmp_path / "deep" / "a.fits") as temporary:
        assert temporary.suffix == ".fits"
        assert (tmp_path / "deep") in temporary.parents
        temporary.write_bytes(b"x")
    assert (tmp_path / "deep" / "a.fits").read_bytes() == b"x"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HoagError, match="cannot be written"),
        written_whole(tmp_path / "file" / "x"),
    ):
        pass


def test_json_refuses_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_json_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(HoagError, match="a.json: no such file"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(HoagError, match="a.json: not valid JSON"):
        read_json(tmp_path / "a.json")
