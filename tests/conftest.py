"""What several tests share: a small simulated folder and recipes small enough for two cores."""

import os

# Before torch is imported: two cores, and no thread more.
os.environ.setdefault("OMP_NUM_THREADS", "2")

from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[2] / "shared"

TINY = {
    "encoder.name": "resnet18",
    "encoder.options": {"channels": [4, 8, 8, 16]},
    "images.size": 24,
    "images.decode": 0,
    "heads.projector_hidden": 16,
    "heads.projector_out": 8,
    "heads.predictor_hidden": 16,
    "batch.size": 16,
    "training.steps": 6,
    "training.validate_every": 3,
    "training.save_every": 2,
    "training.log_every": 2,
    "training.precision": "32-true",
    "training.patience": 0,
}


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder made by `hoag simulate`: 240 galaxies for pretraining and 160 with ring labels."""
    from hoag import simulate

    return simulate(
        tmp_path_factory.mktemp("data") / "sim", galaxies=240, rings=160, seed=3, size=32, workers=1
    )


@pytest.fixture(scope="session")
def galaxies(simulated: Path) -> Any:
    """The pretraining galaxies of `simulated`, with and without votes."""
    import hoag

    return hoag.open([simulated / "pretraining.parquet", simulated / "unlabelled.parquet"])


@pytest.fixture
def tiny() -> Any:
    """Make a recipe of an arm that trains in a second: tiny("hybrid", **changes)."""
    from hoag.recipe import load_recipe

    def make(arm: str, preset: str = "paper", **changes: Any) -> Any:
        return load_recipe(f"{preset}/{arm}").changed(TINY | changes)

    return make
