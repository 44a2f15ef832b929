"""Tables with the headers that campaigns were published with, and votes that are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hoag.data.column_maps import ColumnMap, load_map
from hoag.schema import load_schema

SCHEMA = load_schema()
GZ2_ID = 587722981736120347  # 18 digits: a float would round it


def votes_of(campaign: str, rows: int) -> dict[str, np.ndarray]:
    """Votes that follow the campaign's tree: 40 volunteers, parted among the answers."""
    random = np.random.default_rng(5)
    votes: dict[str, np.ndarray] = {}
    for question in SCHEMA.select(campaign).questions:
        asked = np.full(rows, 40)
        if question.asked_after:
            asked = np.sum([votes[parent] for parent in question.asked_after], axis=0)
        shares = np.full(len(question.answers), 1 / len(question.answers))
        given = random.multinomial(asked, shares)
        votes |= {column: given[:, n] for n, column in enumerate(question.columns)}
    return votes


def galaxy_of(known: ColumnMap, rows: int, **changes: Any) -> dict[str, Any]:
    """Id and coordinates under the names of the published table."""
    columns: dict[str, Any] = {known.id[0]: [str(GZ2_ID + n) for n in range(rows)]}
    if known.ra:
        columns[known.ra[0]] = np.linspace(0.5, 359.5, rows)
        columns[known.dec[0]] = np.linspace(-80, 80, rows)
    return columns | changes


def published(campaign: str, rows: int = 5, form: str = "") -> dict[str, Any]:
    """Columns of a published table: counts if it has them, else fractions and totals."""
    known = load_map(campaign, SCHEMA)
    votes = votes_of(campaign, rows)
    columns = galaxy_of(known, rows)
    form = form or ("count" if known.forms["count"] else "fraction")
    for question in known.questions:
        total = np.sum([votes[column] for column in question.answers], axis=0)
        if known.forms["total"]:
            columns[known.question_columns("total", question)[0]] = total
        for column, stem in question.answers.items():
            share = np.where(total > 0, votes[column] / np.maximum(total, 1), np.nan)
            if form == "count":
                columns[known.answer_columns("count", stem)[0]] = votes[column]
            if known.forms["fraction"]:
                columns[known.answer_columns("fraction", stem)[0]] = share
            for other in ("weighted", "debiased"):
                for name in known.answer_columns(other, stem):
                    columns[name] = np.full(rows, 0.123)
    for stem in known.passed_over:
        columns[f"{stem}_a01_one_fraction"] = np.full(rows, 0.4)
    return columns


def own_table(campaign: str = "gz2", rows: int = 5) -> dict[str, Any]:
    """Columns with GZ-Evo's own names."""
    votes: dict[str, Any] = dict(votes_of(campaign, rows))
    return {"id_str": [f"J{n:04}" for n in range(rows)]} | votes


def rings(rows: int = 4) -> dict[str, Any]:
    """A table of GZ Rings: 7, 5, 0 and 10 of 10 volunteers saw a ring, again and again."""
    yes = np.resize([7, 5, 0, 10], rows)
    return {
        "id_str": [f"{n}_{n + 5}" for n in range(rows)],
        "brickid": np.arange(rows),
        "objid": np.arange(rows) + 5,
        "ring_votes": yes,
        "not_ring_votes": 10 - yes,
        "total_votes": np.full(rows, 10),
        "swiped-ring_fraction": yes / 10,
    }


def write(columns: dict[str, Any], path: Path) -> Path:
    """Write columns in the format of the path, as plainly as another program would."""
    import gzip

    import pyarrow.csv as csv
    import pyarrow.parquet as pq
    from astropy.table import Table

    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    inner = Path(path.stem) if path.suffix == ".gz" else path
    if inner.suffix == ".parquet":
        pq.write_table(table, path)
    elif inner.suffix == ".csv":
        csv.write_csv(table, path.parent / inner.name)
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress((path.parent / inner.name).read_bytes()))
    else:
        kind = "fits" if inner.suffix == ".fits" else "votable"
        arrays = {name: np.asarray(values) for name, values in columns.items()}
        Table(arrays).write(path, format=kind, overwrite=True)
    return path
