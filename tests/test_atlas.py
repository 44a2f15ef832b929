"""Maps: principal axes against an SVD, what embedding-atlas reads, pictures, refusals."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hoag
from hoag.atlas import map_galaxies
from hoag.cli_search import map_verb
from hoag.embedding import make_table, write_embeddings
from hoag.errors import HoagError
from hoag.map_figure import mosaic_rows, shade_of
from hoag.opening_vectors import open_vectors
from hoag.projections import principal_axes, project


def numbers_of(n=5000, dim=12):
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, 4)) @ generator.normal(size=(4, dim)) + generator.normal(
        size=(n, dim)
    )


def test_principal_axes_are_those_of_an_svd():
    numbers = numbers_of()
    vectors = open_vectors(make_table([str(i) for i in range(5000)], numbers))
    axes, shares = principal_axes(vectors, 3)
    scaled = (numbers - numbers.mean(0)) / numbers.std(0)
    _, lengths, expected = np.linalg.svd(scaled, full_matrices=False)
    np.testing.assert_allclose(np.abs((axes * expected[:3].T).sum(0)), 1, atol=1e-3)
    np.testing.assert_allclose(shares, lengths[:3] ** 2 / (lengths**2).sum(), atol=1e-3)
    assert (axes[np.abs(axes).argmax(0), np.arange(3)] > 0).all()
    np.testing.assert_allclose(project(vectors).places, scaled @ axes[:, :2], atol=0.02)


def test_umap_keeps_groups_apart():
    pytest.importorskip("umap")
    numbers = np.concatenate([numbers_of(60), numbers_of(60) + 40])
    vectors = open_vectors(make_table([str(i) for i in range(120)], numbers))
    places = project(vectors, "umap", seed=1).places
    gap = np.linalg.norm(places[:60].mean(0) - places[60:].mean(0))
    assert np.isfinite(places).all() and gap > places[:60].std(0).max()


def test_files_of_a_map(tmp_path, galaxies, simulated):
    some = galaxies.take(np.arange(90))
    path = tmp_path / "e.parquet"
    write_embeddings(make_table(some.ids, numbers_of(90)), path)
    catalogue = tmp_path / "c.csv"
    catalogue.write_text(
        "id_str,kind\n" + "".join(f"{n},{i % 3}\n" for i, n in enumerate(some.ids))
    )
    map_verb(path, tmp_path / "map", colour="kind", catalogue=catalogue, thumbnails=30,
             galaxies=str(simulated / "pretraining.parquet"))  # fmt: skip
    assert (tmp_path / "map" / "map.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "map" / "map.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert data["ids"] == some.ids and 10 <= len(data["images"]) <= 30
    assert len(set(data["colours"])) == 3 and 'src="http' not in page
    table = pq.read_table(tmp_path / "map" / "atlas.parquet")
    # What `embedding-atlas --x --y --neighbors --image` takes.
    neighbours = table["neighbors"][0].as_py()
    assert len(neighbours["ids"]) == len(neighbours["distances"]) == 15
    assert 0 not in neighbours["ids"] and max(neighbours["ids"]) < 90
    assert neighbours["distances"] == sorted(neighbours["distances"])
    assert table["image"][0].as_py()["bytes"].startswith(b"\xff\xd8")
    assert pa.types.is_floating(table.schema.field("projection_x").type)


def test_neighbours_are_those_that_search_finds():
    table = make_table([str(i) for i in range(300)], numbers_of(300))
    made = map_galaxies(table)
    near = made.atlas_table()["neighbors"][7].as_py()["ids"]
    assert [str(row) for row in near] == hoag.search(table, "7", top=15).ids


def test_mosaic_takes_the_galaxy_nearest_each_centre():
    places = np.random.default_rng(0).uniform(size=(4000, 2))
    rows, centres = mosaic_rows(places)
    assert len(set(rows.tolist())) == len(rows) == len({tuple(c) for c in centres.tolist()})


def test_shades():
    few = shade_of(pa.chunked_array([["a", "b", None, "a"]]), "kind")
    assert few.legend()[0][0] == "a (2)" and few.legend()[-1][0] == "no value (1)"
    many = shade_of(pa.chunked_array([[*np.arange(50.0), None]]), "z")
    assert many.limits is not None and many.hex(50) == "#b8bdc4"


def test_notebook_shows_the_map():
    made = hoag.map(make_table([str(i) for i in range(50)], numbers_of(50)))
    assert "data:image/png" in made._repr_html_() and made.plot().axes


BAD = {
    "two galaxies": (dict(n=2), "make no map"),
    "no catalogue": (dict(colour="z"), "--catalogue"),
    "no column": (
        dict(colour="z", catalogue=pa.table({"id_str": ["1"], "a": [1]})), "no column 'z'"
    ),
    "method": (dict(method="tsne"), "neither pca nor umap"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_sentence(kind):
    arguments, said = BAD[kind]
    arguments = dict(arguments)
    n = arguments.pop("n", 20)
    with pytest.raises(HoagError, match=said):
        map_galaxies(make_table([str(i) for i in range(n)], numbers_of(n)), **arguments)


def test_a_map_is_a_folder(tmp_path):
    made = hoag.map(make_table([str(i) for i in range(20)], numbers_of(20)))
    with pytest.raises(HoagError, match="name a folder"):
        made.write(tmp_path / "map.png")
