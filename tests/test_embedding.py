from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hoag.embedding import (
    canonical,
    ids_of,
    make_table,
    read_embeddings,
    stamp_of,
    vectors,
    write_embeddings,
)
from hoag.errors import HoagError

IDS = ["007", "1237654321098765432", "c"]
NUMBERS = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_a_table_holds_ids_vectors_and_stamp_through_parquet(tmp_path: Path) -> None:
    table = make_table(IDS, NUMBERS, {"model": "abc", "seed": 1})
    write_embeddings(table, tmp_path / "e.parquet")
    back = read_embeddings(tmp_path / "e.parquet")
    assert back.schema.field("representation").type == pa.list_(pa.float32(), 4)
    assert ids_of(back) == IDS
    assert stamp_of(back) == {"model": "abc", "seed": 1}
    np.testing.assert_array_equal(vectors(back), NUMBERS)
    assert vectors(back).dtype == np.float32


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"id_str": IDS, "z": NUMBERS.tolist()}),
        pa.table({"z": pa.array(NUMBERS.tolist(), pa.large_list(pa.float64())), "id_str": IDS}),
        pa.table({"id_str": IDS, "representation": NUMBERS.tolist(), "other": [[1], [2], [3]]}),
        pa.table({"id_str": IDS, "z": NUMBERS.tolist(), "ra": [1.0, 2.0, 3.0]}),
        pa.table({"id_str": IDS, **{f"f{n}": NUMBERS[:, n] for n in range(4)}}),
        pa.table({"id_str": IDS, **{f"f{n}": NUMBERS[:, n].astype(int) for n in range(4)}}),
        pa.table({"id_str": pa.array(IDS).dictionary_encode(), "z": NUMBERS.tolist()}),
        pa.concat_tables(
            [pa.table({"id_str": [IDS[n]], "z": [NUMBERS[n].tolist()]}) for n in range(3)]
        ),
    ],
)
def test_other_peoples_tables_give_the_same_vectors(table: pa.Table) -> None:
    assert ids_of(canonical(table)) == IDS
    np.testing.assert_array_equal(vectors(table), NUMBERS)


def test_sliced_tables_keep_their_rows() -> None:
    table = make_table(IDS, NUMBERS)
    np.testing.assert_array_equal(vectors(table.slice(1, 2)), NUMBERS[1:])
    np.testing.assert_array_equal(vectors(table.take([2, 0])), NUMBERS[[2, 0]])


def test_numeric_columns_taken_as_a_vector_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    vectors(pa.table({"id_str": IDS, "a": [1.0, 2, 3], "b": [4.0, 5, 6]}), "mine.csv")
    assert "mine.csv: the vector is the 2 numeric columns 'a', 'b'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"name": IDS, "z": NUMBERS.tolist()}, "no column 'id_str'"),
        ({"id_str": [1.0, 2.0, 3.0], "z": NUMBERS.tolist()}, "holds double"),
        ({"id_str": ["a", "b", "a"], "z": NUMBERS.tolist()}, "'a' stands in rows 1 and 3"),
        ({"id_str": ["a", None, "c"], "z": NUMBERS.tolist()}, "row 2 has no id_str"),
        ({"id_str": IDS, "z": [[1.0, 2.0], [1.0], [2.0, 3.0]]}, "row 2 has a list of 1 where"),
        ({"id_str": IDS, "z": [[1.0], None, [2.0]]}, "row 2 has no list"),
        ({"id_str": IDS, "z": [[1.0], [None], [2.0]]}, "row 2: entry 1 is null"),
        ({"id_str": IDS, "z": [[1.0], [float("nan")], [2.0]]}, r"row 2 \(id '1237.*is nan"),
        ({"id_str": IDS, "z": [[1.0], [2.0], [float("inf")]]}, "row 3 .*is inf"),
        ({"id_str": IDS, "z": [["a"], ["b"], ["c"]]}, "lists of string"),
        ({"id_str": IDS, "y": NUMBERS.tolist(), "z": NUMBERS.tolist()}, "'y', 'z' all hold lists"),
        ({"id_str": IDS, "a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]}, "column 'b' holds string"),
        ({"id_str": IDS, "a": [1.0, None, 3.0]}, "column 'a', row 2 is null"),
        ({"id_str": IDS}, "no column beside 'id_str'"),
        ({"id_str": pa.array([], pa.string()), "a": pa.array([], pa.float32())}, "empty"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(columns: dict[str, object], words: str) -> None:
    with pytest.raises(HoagError, match=words) as caught:
        canonical(pa.table(columns), "theirs.parquet")
    assert str(caught.value).startswith("theirs.parquet: ")
    assert "\n" not in str(caught.value)


def test_vectors_that_overflow_float32_are_refused() -> None:
    with pytest.raises(HoagError, match="entry 1 is inf"):
        canonical(pa.table({"id_str": IDS, "z": [[1e300], [1.0], [2.0]]}))


def test_shapes_must_agree() -> None:
    with pytest.raises(HoagError, match="2 ids came with vectors of shape"):
        make_table(["a", "b"], NUMBERS)


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HoagError, match="no such file"):
        read_embeddings(tmp_path / "none.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(HoagError, match="torn.parquet: not a readable Parquet file"):
        read_embeddings(tmp_path / "torn.parquet")
    with pytest.raises(HoagError, match="end the name in .parquet"):
        write_embeddings(make_table(IDS, NUMBERS), tmp_path / "e.csv")


def test_folder_names_add_no_columns(tmp_path: Path) -> None:
    pq.write_table(make_table(IDS, NUMBERS), _made(tmp_path / "arm=hybrid") / "e.parquet")
    assert read_embeddings(tmp_path / "arm=hybrid" / "e.parquet").column_names == [
        "id_str",
        "representation",
    ]


def test_csv_tables_are_read_with_ids_as_text(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text("id_str,a,b\n007,1.5,2\n1237654321098765432,3,4\n")
    table = read_embeddings(path)
    assert ids_of(table) == ["007", "1237654321098765432"]
    np.testing.assert_array_equal(vectors(table), [[1.5, 2], [3, 4]])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
