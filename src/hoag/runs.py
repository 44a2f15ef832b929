"""The folder of a run: its records (recipe, schema, run.json) and its logs (CSV, TensorBoard)."""

import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hoag.distributed import rank, world_size
from hoag.errors import HoagError
from hoag.files import check_place, read_json, write_json, written_whole
from hoag.galaxies import Galaxies
from hoag.provenance import full_stamp
from hoag.recipe import Recipe, load_recipe, write_recipe
from hoag.schema import Schema

FIRST = ("step", "galaxies_seen", "seconds", "galaxies_per_second", "wait_share")


class Log:
    """Rows of metrics, kept in metrics.csv and shown by TensorBoard.

    The CSV is written anew, whole, at each row, since later rows may bring new columns.
    """

    def __init__(self, folder: Path):
        self.path = folder / "metrics.csv"
        self.rows: list[dict[str, float]] = []
        self._board: Any = None

    def write(self, row: dict[str, float]) -> None:
        """Add one row; values are numbers, ``step`` among them."""
        self.rows.append(row)
        self._write_csv()
        if self._board is None:
            self._board = _board(self.path.parent / "tensorboard")
        for name, value in row.items():
            if name not in FIRST:
                self._board.add_scalar(name, value, int(row["step"]))

    def rewind(self, step: int) -> None:
        """Read back the rows up to `step`; later ones belong to work that is done again."""
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
            self.rows = [row for row in rows if row["step"] <= step]
            for row in self.rows:
                row["step"], row["galaxies_seen"] = int(row["step"]), int(row["galaxies_seen"])
            self._write_csv()

    def _write_csv(self) -> None:
        names = list(dict.fromkeys([*FIRST, *sorted({n for row in self.rows for n in row})]))
        with written_whole(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.rows)

    def close(self) -> None:
        """Flush and close what TensorBoard reads."""
        if self._board is not None:
            self._board.close()
            self._board = None


def _board(folder: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def start_run(
    recipe: Recipe,
    schema: Schema,
    out: Path,
    data: dict[str, str],
    classes: list[str] | None,
    *,
    resume: bool,
    more: Mapping[str, Any] | None = None,
) -> Log:
    """Make the run's folder and write its records; with `resume`, check that they are the same.

    What `more` holds is added to run.json.

    Raises
    ------
    HoagError
        If the folder holds a run and `resume` is false, or the run there is another one.
    """
    log = Log(out)
    if rank() != 0:
        return log
    known = out / "run.json"
    if known.exists():
        if not resume:
            raise HoagError(
                f"{out}: holds a run already; go on with --resume or choose another --out"
            )
        record = read_json(known)
        _refuse_other_run(recipe, out, record, data)
        _record_resumption(recipe, out, record)
        return log
    check_place(out, folder=True).mkdir(parents=True, exist_ok=True)
    with written_whole(out / "recipe.toml") as temporary:
        temporary.write_text(write_recipe(recipe))
    write_json(out / "schema.json", schema.to_dict())
    stamp = full_stamp(seed=recipe.seed, schema_hash=schema.hash)
    record = {
        **stamp,
        "data": data,
        "processes": world_size(),
        "classes": classes,
        **(more or {}),
        "finished": False,
    }
    write_json(known, record)
    return log


def labels_hash(labels: npt.NDArray[Any]) -> str:
    """16 hex digits that stand for labels in the order of their galaxies."""
    return hashlib.blake2b(np.ascontiguousarray(labels).tobytes(), digest_size=8).hexdigest()


def counts_of(recipe: Recipe, train: Galaxies, validation: Galaxies) -> dict[str, Any]:
    """Count for people what the hashes of the data stand for."""
    told: dict[str, Any] = {"galaxies": len(train), "validation_galaxies": len(validation)}
    if recipe.arm in ("pretrained", "hybrid"):
        names, counts = np.unique(train.campaign[train.labelled], return_counts=True)
        told["campaigns"] = dict(zip(names.tolist(), counts.tolist(), strict=True))
        told["with votes"] = int(train.labelled.sum())
        told["votes"] = train.votes_given
    return told


def _refuse_other_run(recipe: Recipe, out: Path, run: dict[str, Any], data: dict[str, str]) -> None:
    before, now = _flat(load_recipe(out / "recipe.toml").to_dict()), _flat(recipe.to_dict())
    # A longer run is the one change that makes sense on the way.
    changed = [name for name in now if now[name] != before.get(name) and name != "training.steps"]
    if changed:
        name = changed[0]
        raise HoagError(
            f"{out}: was started with {name} = {before.get(name)!r}, not {now[name]!r}; "
            "resume it with its own recipe or choose another --out"
        )
    longer = before["training.steps"] != now["training.steps"]
    if longer and "cosine" in (recipe.optimiser.schedule, recipe.target.schedule):
        raise HoagError(
            f"{out}: its cosine schedule was laid over {before['training.steps']} steps, so "
            "training.steps cannot change on the way; choose another --out"
        )
    if run.get("data") != data:
        raise HoagError(f"{out}: was started on other galaxies; resume it on the same ones")


def _record_resumption(recipe: Recipe, out: Path, run: dict[str, Any]) -> None:
    """Write the recipe as it is now, and when and by which command and commit it was resumed."""
    with written_whole(out / "recipe.toml") as temporary:
        temporary.write_text(write_recipe(recipe))
    made = full_stamp()
    entry = {name: made[name] for name in ("time", "command", "commit", "hoag")}
    entry["steps"] = recipe.training.steps
    write_json(out / "run.json", {**run, "resumed": [*run.get("resumed", []), entry]})


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict) and key != "options":
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def finish_run(out: Path, progress: dict[str, Any], log: Log) -> None:
    """Record in run.json how the run ended."""
    log.close()
    if rank() == 0:
        record = read_json(out / "run.json")
        kept = {k: v for k, v in progress.items() if k != "sums"}
        write_json(out / "run.json", {**record, "finished": True, "progress": kept})


def read_history(out: Path) -> list[dict[str, float]]:
    """Read the rows of a run's metrics.csv; empty cells are left out."""
    path = out / "metrics.csv"
    if not path.exists():
        raise HoagError(f"{path}: no such file; {out} is not a folder of a run")
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def is_finished(out: Path) -> bool:
    """Tell whether `out` holds a run that ended as its recipe says."""
    path = out / "run.json"
    return path.exists() and bool(json.loads(path.read_text()).get("finished"))
