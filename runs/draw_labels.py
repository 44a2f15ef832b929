"""Draw a few labels from a table, by a hash of draw and id: the same ones on every machine.

python runs/draw_labels.py TABLE COLUMN --labels 40 --draw 3 --out OUT
python runs/draw_labels.py TABLE COLUMN --labels 2000 --learn-below 0.8 --tested 3000 --out OUT
"""

import argparse
from pathlib import Path

import numpy as np

from hoag.catalogue import read_table, write_table
from hoag.hashes import hash_of
from hoag.splits import fractions


def drawn(ids: list[str], count: int, draw: int) -> list[int]:
    """Rows of the `count` ids whose hashes with the draw's number are lowest."""
    if count > len(ids):
        raise SystemExit(f"{count} labels wanted of {len(ids)}")
    return sorted(range(len(ids)), key=lambda row: hash_of(f"{draw}/{ids[row]}"))[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("column")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", type=int, required=True)
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--of", help="of this label alone")
    parser.add_argument("--learn-below", type=float, default=1.0, help="place of the ids' hash")
    parser.add_argument("--tested", type=int, default=0, help="and so many of the others")
    given = parser.parse_args()

    table = read_table(given.table, ["id_str", given.column])
    table = table.filter(table[given.column].is_valid())
    ids, labels = table["id_str"].to_pylist(), np.array(table[given.column].to_pylist())
    place = fractions(ids)
    open_rows = np.flatnonzero(place < given.learn_below)
    if given.of is not None:
        open_rows = open_rows[labels[open_rows].astype(str) == given.of]
    rows = [int(open_rows[n]) for n in drawn([ids[i] for i in open_rows], given.labels, given.draw)]
    if given.tested:  # the same ones whatever the draw
        closed = np.flatnonzero(place >= given.learn_below)
        rows += [int(closed[n]) for n in drawn([ids[i] for i in closed], given.tested, 0)]
    write_table(table.take(sorted(rows)), given.out)


if __name__ == "__main__":
    main()
