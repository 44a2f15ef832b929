"""Score a linear probe on the very labels that `hoag finetune` learns from and is tested on.

python runs/probe_classes.py MODEL GALAXIES LABELS OUT
"""

import sys

import numpy as np

import hoag
from hoag.catalogue import read_table
from hoag.embedding import vectors
from hoag.files import write_json
from hoag.linear import fit_linear
from hoag.provenance import full_stamp
from hoag.splits import split_names


def main() -> None:
    folder, galaxies, labels, out = sys.argv[1:]
    model, told = hoag.load(folder, device="cpu"), read_table(labels)
    opened = hoag.open(galaxies, schema=model.schema)
    rows = {name: row for row, name in enumerate(opened.ids)}
    ids = told["id_str"].to_pylist()
    features = vectors(model.embed(opened.take(np.array([rows[name] for name in ids]))))
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
