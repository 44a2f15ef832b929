"""Score a linear probe on the very labels that `hoag finetune` learns from and is tested on.

python runs/probe_classes.py EMBEDDINGS LABELS OUT
"""

import sys

import numpy as np

from hoag.catalogue import read_table
from hoag.embedding import ids_of, read_embeddings, vectors
from hoag.files import write_json
from hoag.linear import fit_linear
from hoag.provenance import full_stamp
from hoag.splits import split_names


def main() -> None:
    embeddings, labels, out = sys.argv[1:]
    table, told = read_embeddings(embeddings), read_table(labels)
    rows = {name: row for row, name in enumerate(ids_of(table))}
    ids = told["id_str"].to_pylist()
    features = vectors(table)[[rows[name] for name in ids]]
    classes, numbers = np.unique(told["coarse_class"].to_pylist(), return_inverse=True)
    tested = split_names(ids) == "test"
    fitted = fit_linear(features[~tested], numbers[~tested], len(classes))
    right = fitted.probabilities(features[tested]).argmax(axis=1) == numbers[tested]
    recalls = [right[numbers[tested] == n].mean() for n in range(len(classes))]
    write_json(
        out,
        {
            "stamp": full_stamp(),
            "galaxies": {"learned": int((~tested).sum()), "test": int(tested.sum())},
            "test": {"accuracy": right.mean(), "balanced_accuracy": float(np.mean(recalls))},
        },
    )


if __name__ == "__main__":
    main()
