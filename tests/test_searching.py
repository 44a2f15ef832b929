"""Search: exact against brute force, mapped against in memory, filters, galleries, refusals."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

import hoag
from hoag import half_products, opening_vectors
from hoag.catalogue import read_table, write_table
from hoag.cli_search import search as verb
from hoag.embedding import make_table, read_embeddings, write_embeddings
from hoag.errors import HoagError
from hoag.nearest import ApproximateIndex, nearest, units
from hoag.opening_vectors import open_vectors


def embeddings(n=500, dim=16, stamp=None):
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=(n, dim)) * 10.0 ** generator.uniform(-2, 2, dim) + 5
    return make_table([f"g{i:04d}" for i in range(n)], numbers, stamp), numbers


def by_hand(numbers, row, k):
    scaled = (numbers - numbers.mean(0)) / numbers.std(0)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    cosines = scaled @ scaled[row]
    order = np.argsort(-cosines)
    order = order[order != row][:k]
    return order, cosines[order]


def test_exact_search_is_the_cosine_of_standardised_features():
    table, numbers = embeddings()
    found = hoag.search(table, "g0007", top=50)
    rows, cosines = by_hand(numbers, 7, 50)
    np.testing.assert_allclose(found.table["similarity"].to_numpy(), cosines, atol=2e-3)
    assert len({*found.ids} & {f"g{row:04d}" for row in rows}) >= 49  # half precision may swap
    assert "g0007" not in found.ids


def test_rows_do_not_depend_on_blocks_or_threads(monkeypatch):
    import torch

    table, _ = embeddings(9000)
    vectors = open_vectors(table)
    queries = vectors.take(np.arange(5))
    before = nearest(vectors, queries, 40)
    monkeypatch.setattr("hoag.nearest._COSINES", 1 << 12)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        after = nearest(vectors, queries, 40)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(before.rows, after.rows)
    cosines = units(queries) @ units(vectors.take(np.arange(9000))).T
    np.testing.assert_array_equal(before.rows[:, 0], np.arange(5))
    np.testing.assert_allclose(before.similarities, -np.sort(-cosines)[:, :40], atol=1e-6)


def test_large_table_is_mapped_from_a_copy_that_follows_it(tmp_path, monkeypatch, capsys):
    table, _ = embeddings(700, stamp={"model": "abc"})
    path = tmp_path / "e.parquet"
    write_embeddings(table, path)
    small = open_vectors(path)
    monkeypatch.setattr(opening_vectors, "LARGE", 1)
    monkeypatch.setattr(opening_vectors, "READ", 64)
    large = open_vectors(path)
    assert isinstance(large.rows, np.memmap) and large.stamp == small.stamp == {"model": "abc"}
    np.testing.assert_allclose(large.rows, small.rows, atol=2e-3)
    np.testing.assert_allclose(large.inverse_norms, small.inverse_norms, rtol=1e-3)
    assert large.ids == small.ids
    capsys.readouterr()
    open_vectors(path)
    assert "written once" not in capsys.readouterr().err
    write_embeddings(table.slice(0, 600), path)
    assert len(open_vectors(path)) == 600


def test_mean_of_examples_less_half_the_counterexamples(capsys):
    table, _ = embeddings()
    vectors = open_vectors(table)
    unit = units(vectors.take(np.arange(len(vectors))))
    found = hoag.search(table, ["g0001", "g0002"], negatives=["g0003"], top=5)
    query = unit[[1, 2]].mean(0) - 0.5 * unit[3]
    cosines = unit @ query / np.linalg.norm(query)
    cosines[[1, 2, 3]] = -9
    assert found.ids == [f"g{row:04d}" for row in np.argsort(-cosines, kind="stable")[:5]]
    told = pa.table({"id_str": ["g0001", "g0002", "g0003"], "label": ["yes", "yes", "no"]})
    assert hoag.search(table, examples=told, top=5).ids == found.ids
    capsys.readouterr()
    ring = told.rename_columns(["id_str", "ring"])
    assert hoag.search(table, examples=ring, label="ring", top=5).ids == found.ids
    assert capsys.readouterr().err == ""
    assert hoag.search(table, examples=ring, top=5).examples == ("g0001", "g0002", "g0003")
    assert "column 'ring' would say which are, if you name it" in capsys.readouterr().err


def test_condition_on_the_catalogue_and_its_columns():
    table, _ = embeddings()
    catalogue = pa.table(
        {"id_str": [f"g{i:04d}" for i in range(400)], "z": np.arange(400) / 400,
         "survey": ["DECaLS", "SDSS"] * 200}
    )  # fmt: skip
    found = hoag.search(table, "g0450", where='z < 0.1 and survey == "DECaLS"', catalogue=catalogue)
    assert sorted(found.ids) == [f"g{i:04d}" for i in range(0, 40, 2)]
    assert set(found.table["survey"].to_pylist()) == {"DECaLS"}


def test_approximate_index_tells_its_recall(tmp_path, capsys):
    pytest.importorskip("usearch")
    table, _ = embeddings(2000)
    path = tmp_path / "e.parquet"
    write_embeddings(table, path)
    exact = hoag.search(path, "g0001", top=20)
    guess = hoag.search(path, "g0001", top=20, approximate=True)
    assert "% of the exact nearest 50" in capsys.readouterr().err
    assert guess.about["recall"] > 0.9
    assert len(set(exact.ids) & set(guess.ids)) >= 18
    assert (tmp_path / "e.usearch").is_file()
    allowed = np.zeros(2000, bool)
    allowed[::50] = True
    index = ApproximateIndex(open_vectors(path), tmp_path / "e.usearch")
    some = index.nearest(open_vectors(path).take(np.array([3])), 40, allowed)
    assert allowed[some.rows[0]].all() and len(set(some.rows[0])) == 40


def test_writes_a_table_of_any_format_and_a_gallery(tmp_path, simulated, galaxies, capsys):
    some = galaxies.take(np.arange(60))
    numbers = np.random.default_rng(1).normal(size=(60, 8))
    path = tmp_path / "e.parquet"
    write_embeddings(make_table(some.ids, numbers), path)
    for suffix in ("parquet", "csv", "fits", "vot"):
        verb(path, id=[some.ids[0]], top=5, out=tmp_path / f"like.{suffix}",
             galaxies=str(simulated / "pretraining.parquet"))  # fmt: skip
        back = read_table(tmp_path / f"like.{suffix}")
        assert back["rank"].to_pylist() == [1, 2, 3, 4, 5]
    page = (tmp_path / "like.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 5 and "http" not in page.split("<style>")[0]
    result = hoag.search(path, some.ids[0], top=5, galaxies=some)
    assert result._repr_html_().count("<img") == 5
    capsys.readouterr()
    verb(path, id=[some.ids[0]], top=3)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_image_by_the_very_model(tmp_path, tiny, galaxies, capsys):
    from hoag.loading import random_model

    model = random_model(tiny("pretrained"), galaxies.schema, device="cpu")
    some = galaxies.take(np.arange(40))
    table = model.embed(some, quiet=True)
    image = tmp_path / "mine.png"
    Image.fromarray(some[3].image).save(image)
    found = hoag.search(table, image=image, model=model, top=1)
    assert found.ids == [some.ids[3]] and found.table["similarity"][0].as_py() > 0.99
    assert "mine.png" in found.page()
    other = random_model(tiny("pretrained").changed({"seed": 5}), galaxies.schema, device="cpu")
    if other.hash == model.hash:
        pytest.fail("two seeds gave one model")
    with pytest.raises(HoagError, match=f"made by model {model.hash}.*is model {other.hash}"):
        hoag.search(table, image=image, model=other)
    with pytest.raises(HoagError, match="does not record which model"):
        hoag.search(embeddings()[0], image=image, model=model)


def test_embeddings_at_another_size_are_searched_at_that_size(tmp_path, tiny, galaxies, simulated):
    from hoag.cli_embed import embed
    from hoag.exporting import export
    from hoag.loading import random_model

    model = random_model(tiny("pretrained"), galaxies.schema, device="cpu")
    folder = export(model, tmp_path / "model")
    made = tmp_path / "made.parquet"
    embed(folder, str(simulated / "pretraining.parquet"), out=made, size=32, device="cpu")
    vectors = open_vectors(made)
    assert vectors.stamp["size"] == 32 and vectors.stamp["model"] == model.hash
    own = model.embed(galaxies.take([3]), quiet=True)["representation"].to_numpy()[0]
    assert not np.allclose(own, read_embeddings(made)["representation"].to_numpy()[3], rtol=1e-3)
    image = tmp_path / "mine.png"
    Image.fromarray(galaxies[3].image).save(image)
    found = hoag.search(made, image=image, model=folder, top=1)  # at 32 px, as recorded
    assert found.ids == [galaxies.ids[3]] and found.table["similarity"][0].as_py() > 0.99
    with pytest.raises(HoagError, match="was made of images of 32 px, and .* sees 24 px; load it"):
        hoag.search(made, image=image, model=model)
    with pytest.raises(HoagError, match="images.size"):
        hoag.load(folder, size=1, device="cpu")


BAD = {
    "unknown id": (dict(id="nope"), "no galaxy 'nope'"),
    "one unknown": (dict(id=["g0001", "nope"]), "1 of 2 are missing"),
    "nothing": (dict(), "nothing to search by"),
    "both": (dict(id="g0001", negatives=["g0001"]), "both as an example and as none"),
    "no columns": (dict(id="g0001", where="z < 1"), "--catalogue"),
    "none left": (
        dict(id="g0001", where="z < 0", catalogue=pa.table({"id_str": ["g0002"], "z": [1.0]})),
        "no galaxy but the examples meets",
    ),
    "other ids": (
        dict(id="g0001", where="z < 0", catalogue=pa.table({"id_str": ["x"], "z": [1.0]})),
        "shares no id",
    ),
    "catalogue twice": (
        dict(id="g0001", catalogue=pa.table({"id_str": ["x", "x"], "z": [1, 2]})), "comes 2 times",
    ),
    "all no": (dict(examples={"g0001": "no"}), "every row is labelled no"),
    "top": (dict(id="g0001", top=0), "at least 1"),
    "model alone": (dict(id="g0001", model="run"), "only needed for an image"),
    "image alone": (dict(image="a.png"), "--model"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_sentence(kind):
    arguments, said = BAD[kind]
    with pytest.raises(HoagError, match=said.replace("(", r"\(")) as error:
        hoag.search(embeddings()[0], **arguments)
    assert "\n" not in str(error.value)


def test_gallery_without_any_of_the_images(galaxies, tmp_path):
    found = hoag.search(embeddings()[0], "g0001", top=3, galaxies=galaxies)
    with pytest.raises(HoagError, match="none of the 4 galaxies to show"):
        found.write(tmp_path / "o.csv")
    assert not list(tmp_path.iterdir())


def test_vectors_that_are_not_finite_or_come_twice(tmp_path):
    ids = ["a", "b", "c"]
    numbers = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2, np.nan, 1, 3, 3]), 2)
    write_table(pa.table({"id_str": ids, "representation": numbers}), tmp_path / "n.parquet")
    with pytest.raises(HoagError, match="row 2 .id 'b'., entry 1 is nan"):
        hoag.search(tmp_path / "n.parquet", "a")


@pytest.mark.parametrize("dim", [1, 31, 512, 1280])
@pytest.mark.parametrize("sums_halves", [False, True])
def test_products_of_halves_are_off_by_no_more_than_is_said(dim, sums_halves, monkeypatch):
    if sums_halves and not half_products._sums_halves():
        pytest.skip("this processor adds no numbers in half precision")
    monkeypatch.setattr(half_products, "_sums_halves", lambda: sums_halves)
    random = np.random.default_rng(dim)
    query = random.standard_normal(dim).astype(np.float32)
    query /= np.linalg.norm(query)
    # Anything; nearly the query, whose sums only grow; and one whose sum grows and then falls.
    turned = np.where(np.arange(dim) < dim / 2, 1, -1) * query
    rows = np.concatenate([
        random.standard_normal((200, dim)),
        query + 0.01 * random.standard_normal((200, dim)),
        [turned * 30, query * 100, np.abs(query)],
    ]).astype(np.float16)  # fmt: skip
    found = half_products.half_products(torch.from_numpy(rows), query)
    exact = rows.astype(np.float64) @ query.astype(np.float64)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    assert found.dtype == np.float32 and found.shape == (len(rows),)
    assert (np.abs(found - exact) <= half_products.off_by(dim) * lengths).all()
