"""Make two more downstream tasks of a simulated set: bars and mergers, by its volunteers' majority.

python runs/science/bars_and_mergers.py SIM

Writes SIM/bars.parquet and SIM/mergers.parquet (id_str, label 0 or 1) and SIM/science.toml, the
roles for `hoag reproduce`: those of SIM/dataset.toml and the two tasks. Each label is the majority
of at least 10 volunteers; both labels are equally many, drawn by a hash of the ids.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from hoag.catalogue import write_table
from hoag.files import written_whole
from hoag.hashes import hashes_of
from hoag.schema import load_schema

LEAST = 10  # volunteers asked
# The answers that say "no" to each question, whatever else a campaign offers.
TASKS: dict[str, tuple[str, ...]] = {"bar": ("_no",), "merging": ("_neither", "_none")}
NAMES = {"bar": "bars", "merging": "mergers"}
ABOUT = {
    "bar": "Does a majority of volunteers see a bar? Both labels equally many.",
    "merging": "Does a majority see a merger, debris or a disturbance? Both labels equally many.",
}
ROLE = """
[[downstream]]
name = "{name}"
description = "{about}"
labels = "{name}.parquet"
images = "{images}"
key = "id_str"
label = "label"
protocol = "halves"
"""


def labels_of(tables: Sequence[Path], stem: str) -> pa.Table:
    """Ids and labels of the galaxies that enough volunteers were asked about."""
    questions = [q for q in load_schema("gz-evo").questions if q.short == stem]
    columns = [column for q in questions for column in q.columns]
    galaxies = ds.dataset([str(path) for path in tables]).to_table(columns=["id_str", *columns])
    asked, no = np.zeros((2, galaxies.num_rows), np.int64)
    for question in questions:
        for column, answer in zip(question.columns, question.answers, strict=True):
            votes = galaxies[column].to_numpy()
            asked += votes
            no += votes if answer in TASKS[stem] else 0
    decided = (asked >= LEAST) & (2 * no != asked)
    ids = galaxies["id_str"].filter(decided).to_pylist()
    return balanced(ids, (2 * no < asked)[decided].astype(np.int16))


def balanced(ids: list[str], labels: np.ndarray) -> pa.Table:
    """As many of each label as there are of the rarer; those with the lowest hashes."""
    order = np.argsort(hashes_of(ids), kind="stable")
    of_each = [order[labels[order] == label] for label in (0, 1)]
    rows = np.sort(np.concatenate([part[: min(map(len, of_each))] for part in of_each]))
    return pa.table({"id_str": [ids[row] for row in rows], "label": labels[rows]})


def main() -> None:
    """Make the labels and the roles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("simulation", type=Path)
    folder = parser.parse_args().simulation
    tables = sorted(folder.glob("pretraining*.parquet"))
    pattern = "pretraining.parquet" if len(tables) == 1 else "pretraining-*.parquet"
    roles = (folder / "dataset.toml").read_text()
    for stem, name in NAMES.items():
        labels = labels_of(tables, stem)
        write_table(labels, folder / f"{name}.parquet")
        roles += ROLE.format(name=name, about=ABOUT[stem], images=pattern)
        print(f"{name}: {labels.num_rows:,} labels")
    with written_whole(folder / "science.toml") as path:
        path.write_text(roles)


if __name__ == "__main__":
    main()
