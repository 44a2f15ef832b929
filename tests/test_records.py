"""Records: what is mapped from Arrow copies equals what is read into memory, row for row."""

import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hoag
from hoag import HoagError
from hoag.arrow_copy import make_copies
from hoag.galaxies import concatenate, write_galaxies
from tests.made_galaxies import image


def galaxies(start, stop, **more):
    for n in range(start, stop):
        yield {
            "id_str": f"g{n:03d}",
            "image": image(n, 24),
            "bar-gz2_yes": n % 3 or None,
            "bar-gz2_no": n % 2,
            "bar-dr5_strong": (n % 7) * 3,
            "ra": n + 0.5,
            "group": None if n % 5 else f"pair{n // 10}",
            **more,
        }


@pytest.fixture
def both(tmp_path):
    """The same three shards, of different columns, opened in memory and mapped."""
    extra = ({}, {"survey": "SDSS"}, {"bar-dr5_weak": 2})
    for number, more in enumerate(extra):
        start = 20 * number
        write_galaxies(galaxies(start, start + 20, **more), tmp_path / f"s{number}.parquet")
    plain = hoag.open(tmp_path)
    make_copies(sorted(tmp_path.glob("*.parquet")))
    return plain, hoag.open(tmp_path)


def alike(a, b):
    assert a.ids == b.ids and a.table.equals(b.table) and a.columns == b.columns
    assert (a.votes == b.votes).all() and a.votes.dtype == b.votes.dtype == np.int32
    assert (a.keys == b.keys).all() and (a.group_hashes == b.group_hashes).all()
    assert a.groups.tolist() == b.groups.tolist()
    assert a.labelled.tolist() == b.labelled.tolist()
    assert a.campaign.tolist() == b.campaign.tolist() and a.votes_given == b.votes_given
    assert a.hash == b.hash
    for name in ("train", "val", "test"):
        assert a.split(name).ids == b.split(name).ids


def test_mapped_galaxies_are_those_in_memory(both):
    plain, mapped = both
    assert type(mapped._images.stores[0].records).__name__ == "MappedRecords"
    assert type(plain._images.stores[0].records).__name__ == "TableRecords"
    alike(plain, mapped)
    assert mapped.table["survey"].to_pylist() == [None] * 20 + ["SDSS"] * 20 + [None] * 20
    assert (plain.pixels(range(60), 16) == mapped.pixels(range(60), 16)).all()
    for index in (0, 25, -1):
        a, b = plain[index], mapped[index]
        assert (a.id_str, a.row, a.votes.tolist()) == (b.id_str, b.row, b.votes.tolist())
        assert (a.image == b.image).all()


def test_taking_joining_and_silencing_are_alike(both):
    plain, mapped = both
    order = np.random.default_rng(0).permutation(60)
    for chosen in (order, order[:7], [3], [59, 0, 59 // 2], []):
        alike(plain.take(chosen), mapped.take(chosen))
    odd = np.arange(60) % 2 == 1
    parts = [[g.where(odd).without_votes(), g.where(~odd)] for g in both]
    alike(concatenate(parts[0]), concatenate(parts[1]))
    silent = concatenate(parts[1])
    assert not silent.labelled[:30].any() and silent.labelled[30:].any()
    alike(silent.take(order), concatenate(parts[0]).take(order))
    alike(silent.with_groups(["x"] * 60), concatenate(parts[0]).with_groups(["x"] * 60))
    assert (silent.votes_of([59, 1]) == silent.votes[[59, 1]]).all()


def test_pickled_mapped_galaxies_are_small_and_the_same(both):
    data = pickle.dumps(both[1])
    assert len(data) < 30_000
    alike(pickle.loads(data), both[0])


def test_a_schema_chooses_among_the_mapped_votes(both, tmp_path):
    shards = tmp_path / "s0.parquet"
    mapped = hoag.open(shards, schema="gz2")
    assert mapped.votes.shape == (20, len(mapped.schema.columns))
    column = mapped.schema.columns.index("bar-gz2_no")
    assert mapped.votes[:, column].tolist() == [n % 2 for n in range(20)]
    assert set(mapped.campaign) <= {"gz2", ""}


def test_an_id_in_two_mapped_shards_is_refused(tmp_path):
    write_galaxies(galaxies(0, 9), tmp_path / "a.parquet")
    write_galaxies(galaxies(8, 12), tmp_path / "b.parquet")
    make_copies(sorted(tmp_path.glob("*.parquet")))
    with pytest.raises(HoagError, match=r"'g008' is in both .*a.parquet and .*b.parquet"):
        hoag.open(tmp_path)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("bar-gz2_yes", [1, 2, -3], r"t.parquet: column 'bar-gz2_yes', row 2 \(id 2\): -3 is"),
        ("bar-gz2_yes", [1, 0.5, 3], r"row 1 \(id 1\): 0.5 is not a whole number"),
        ("bar-gz2_yes", ["a", "b", "c"], r"row 0 \(id 0\): 'a' is string"),
        ("bar-gz2_yse", [1, 2, 3], "did you mean 'bar-gz2_yes'"),
    ],
)
def test_odd_votes_are_refused_from_a_copy_as_from_the_table(tmp_path, column, values, message):
    rows = [{"id_str": f"{n}", "image": image(n), column: v} for n, v in enumerate(values)]
    write_galaxies(rows, tmp_path / "t.parquet")
    for _ in (1, 2):
        with pytest.raises(HoagError, match=message):
            hoag.open(tmp_path / "t.parquet")
        make_copies([tmp_path / "t.parquet"])
    other = hoag.open(tmp_path / "t.parquet", schema="dr12")  # whose votes are none of these
    assert not other.labelled.any()


def test_answers_named_like_derived_columns_are_read_from_the_table(tmp_path):
    (tmp_path / "mine.toml").write_text(
        'campaign = "mine"\ntitle = "Mine"\n[[question]]\nname = "bar"\nanswers = ["count", "no"]\n'
    )
    rows = [
        {"id_str": f"{n}", "image": image(n), "bar-mine_count": n, "bar-mine_no": 1}
        for n in range(5)
    ]
    write_galaxies(rows, tmp_path / "t.parquet")
    schema = hoag.load_schema([tmp_path / "mine.toml"])
    plain = hoag.open(tmp_path / "t.parquet", schema=schema)
    make_copies([tmp_path / "t.parquet"])
    alike(plain, hoag.open(tmp_path / "t.parquet", schema=schema))


def test_opening_mapped_galaxies_reads_no_table_and_loads_no_torch(both, tmp_path):
    # Only footers, source.json and hashes: neither votes nor columns may be read.
    code = f"""
import sys, hoag, pyarrow.parquet as pq
pq.ParquetFile.read = pq.ParquetFile.iter_batches = None
galaxies = hoag.open({str(tmp_path)!r})
assert len(galaxies) == 60 and "torch" not in sys.modules
opened = [copy.__dict__.keys() for copy in galaxies._images.stores[0].records._copies]
assert not any("votes" in names for names in opened), opened
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_plain_types_of_a_copy_are_those_of_the_table(tmp_path):
    table = pa.table(
        {
            "id_str": pa.array([10**18, 10**18 + 1]),
            "image": pa.array([b"x", b"y"]),
            "kind": pa.array(["a", None]).dictionary_encode(),
            "name": pa.array(["b", "c"], pa.large_string()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    plain = hoag.open(tmp_path / "t.parquet")
    make_copies([tmp_path / "t.parquet"])
    mapped = hoag.open(tmp_path / "t.parquet")
    assert mapped.ids == plain.ids == [str(10**18), str(10**18 + 1)]
    assert mapped.table.schema == plain.table.schema and mapped.table.equals(plain.table)
