"""Write the fraction of volunteers who gave an answer, for the galaxies that were asked.

python runs/vote_fractions.py TABLE smooth-or-featured-gz2_featured-or-disk OUT
"""

import sys

import numpy as np
import pyarrow as pa

from hoag.catalogue import read_table, write_table
from hoag.schema import load_schema


def main() -> None:
    table, answer, out = sys.argv[1:]
    schema = load_schema("gz-evo")
    question = next(q for q in schema.questions if answer in q.columns)
    votes = read_table(table, ["id_str", *question.columns])
    asked = np.sum([np.asarray(votes[name]) for name in question.columns], axis=0)
    ids = np.array(votes["id_str"].to_pylist())[asked > 0]
    fraction = np.asarray(votes[answer])[asked > 0] / asked[asked > 0]
    name = answer.rpartition("_")[2].replace("-", " ")
    write_table(pa.table({"id_str": ids, name: fraction}), out)


if __name__ == "__main__":
    main()
