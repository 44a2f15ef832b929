"""Writing: the Hub's layout, streamed, whole or not at all."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import hoag
from hoag import HoagError
from hoag.galaxies import write_galaxies
from tests.made_galaxies import image, rows


@pytest.fixture
def store(tmp_path):
    write_galaxies(rows(), tmp_path / "store.parquet")
    return tmp_path / "store.parquet"


def test_the_layout_is_the_hubs(store):
    schema = pq.read_schema(store)
    assert str(schema.field("image").type) == "struct<bytes: binary, path: string>"
    assert str(schema.field("bar-gz2_yes").type) == "int32"
    assert json.loads(schema.metadata[b"hoag"])["hoag"] == hoag.__version__
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}


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
