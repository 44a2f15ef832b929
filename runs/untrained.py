"""Write a model with the recipe of a run and random weights: what any training has to beat.

python runs/untrained.py RUN GALAXIES OUT

GALAXIES serve to measure BatchNorm's statistics, no more: an untrained network without them is a
weaker baseline than need be.
"""

import sys
from pathlib import Path

import numpy as np

import hoag
from hoag.checkpoint import save_checkpoint
from hoag.files import write_json, written_whole
from hoag.loading import random_model
from hoag.provenance import full_stamp
from hoag.recipe import write_recipe
from hoag.splits import split_names


def main() -> None:
    run, galaxies, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    trained = hoag.load(run, device="cpu")
    opened = hoag.open(galaxies, schema=trained.schema)
    seen = np.flatnonzero(split_names(opened.group_hashes) == "train")[:1024]
    model = random_model(trained.recipe, trained.schema, opened.take(seen), device="cpu")
    stamp = full_stamp(seed=trained.recipe.seed, schema_hash=trained.schema.hash)
    with written_whole(out) as folder:
        folder.mkdir()
        (folder / "recipe.toml").write_text(write_recipe(model.recipe))
        write_json(folder / "schema.json", trained.schema.to_dict())
        write_json(folder / "run.json", {**stamp, "finished": True})
        save_checkpoint(folder / "best", model.objective.state_dict(), None, {"step": 0}, stamp)


if __name__ == "__main__":
    main()
