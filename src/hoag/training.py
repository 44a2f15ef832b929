"""Train an arm from a recipe and galaxies: finds splits and labels, then runs the loop."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.catalogue import read_table
from hoag.console import say
from hoag.encoders import check_encoder
from hoag.errors import HoagError
from hoag.fitting import OnlineProbe, fit
from hoag.galaxies import Galaxies
from hoag.galaxies import open as open_galaxies
from hoag.labels import encode_labels
from hoag.online import make_online_probe
from hoag.recipe import Recipe, load_recipe
from hoag.roles import load_pretraining, read_roles
from hoag.schema import load_schema
from hoag.splits import direct_names, split_names
from hoag.tasks import load_task
from hoag.vote_choice import withhold

if TYPE_CHECKING:
    import pyarrow as pa


def train(
    recipe: str | Path | Recipe,
    galaxies: str | Path | Galaxies,
    out: str | Path,
    *,
    overrides: Iterable[str] = (),
    resume: bool = False,
    device: str = "auto",
    labels: "str | Path | pa.Table | Mapping[str, Any] | None" = None,
    schema: str | Path | Sequence[str | Path] | None = None,
) -> Path:
    """Train one arm and leave the run in a folder.

    The fixed train and validation splits are made from the galaxies' groups (paper sec. 3.3); the
    test split, and for the Direct arm the test half of the labels, is never read. Where `galaxies`
    is a folder with a dataset.toml, its pretraining tables are used, without any galaxy of a
    downstream test half.

    Parameters
    ----------
    recipe
        A preset such as "paper/hybrid", a TOML file, or a `Recipe`.
    galaxies
        What to learn from: opened, or anything `hoag.open` takes, or a folder with a dataset.toml.
    out
        Folder of the run, which `hoag.load` reads.
    overrides
        Options of the recipe to change, as ``key=value``.
    resume
        Go on from the run's last/ checkpoint.
    device
        auto, cpu, cuda or mps.
    labels
        For the Direct arm: classes by id, as a table with ``id_str`` and one more column, its file,
        or a mapping. If None, ``labels.column`` of the recipe names a column of their table.
    schema
        The questions whose votes the tables hold, as `hoag.load_schema` takes them; GZ-Evo if None.
        A dataset.toml says it itself, as ``schema = ["gz-evo", "mine.toml"]``.

    Returns
    -------
    Path
        The folder of the run.

    Raises
    ------
    HoagError
        On anything wrong with recipe, galaxies, labels or folder, in one sentence.
    """
    settings = load_recipe(recipe, overrides)
    check_encoder(settings.encoder.name)
    opened, probe = _open(settings, galaxies, schema)
    classes, numbers = None, None
    if settings.arm == "direct":
        numbers, classes = _class_numbers(settings, opened, labels)
        opened, numbers = opened.where(numbers >= 0), numbers[numbers >= 0]
    keys = opened.group_hashes
    names = direct_names(keys) if numbers is not None else split_names(keys)
    if numbers is not None:
        say(f"direct: the test half of the labels, {int((names == 'test').sum()):,}, is kept out")
    parts = [np.flatnonzero(names == name) for name in ("train", "val")]
    train_part, validation = (opened.take(part) for part in parts)
    for name, part in (("train", train_part), ("validation", validation)):
        if len(part) == 0:
            raise HoagError(
                f"there are no galaxies in the {name} split of {len(opened)}; give more"
            )
    if settings.arm in ("pretrained", "hybrid"):
        _demand_votes(settings, train_part, validation)
    train_numbers, validation_numbers = (
        None if numbers is None else numbers[part] for part in parts
    )
    return fit(
        settings, train_part, validation, out, train_labels=train_numbers,
        validation_labels=validation_numbers, classes=classes, resume=resume, device=device,
        online_probe=probe,
    )  # fmt: skip


def _open(
    recipe: Recipe,
    galaxies: str | Path | Galaxies,
    schema: str | Path | Sequence[str | Path] | None,
) -> tuple[Galaxies, OnlineProbe | None]:
    """Open what is learned from, and the online probes of its downstream tasks."""
    if isinstance(galaxies, Galaxies):
        opened, tasks = galaxies, []
    elif (Path(galaxies) / "dataset.toml").is_file():
        roles = read_roles(galaxies)
        opened, tasks = load_pretraining(roles).galaxies, list(roles.downstream)
    else:
        opened, tasks = open_galaxies(galaxies, schema=load_schema(schema or "gz-evo")), []
    wanted = dict.fromkeys(
        [*recipe.probe.tasks, *([recipe.probe.select] if recipe.probe.select else [])]
    )
    known = {task.name: task for task in tasks}
    for name in wanted:
        if name not in known:
            raise HoagError(
                f"probe.tasks names {name!r}, which is no downstream task of {galaxies}; "
                f"there {'are ' + ', '.join(known) if known else 'are none'}"
            )
    loaded = [load_task(known[name]) for name in wanted]
    return opened, make_online_probe(loaded, recipe) if loaded else None


def _demand_votes(recipe: Recipe, *parts: Galaxies) -> None:
    for part, name in zip(parts, ("train", "validation"), strict=True):
        if withhold(part, recipe.votes).labelled.any():
            continue
        advice = "check the names of the vote columns"
        if part.labelled.any():
            advice = "leave fewer of them out in its section votes"
        raise HoagError(
            f"the {recipe.arm} arm learns from votes, and none of the {len(part)} galaxies of "
            f"the {name} split has any; use contrastive, or {advice}"
        )


def _class_numbers(
    recipe: Recipe, galaxies: Galaxies, labels: Any
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Class of each galaxy, (n,) int64 with -1 for none, and the names of the classes."""
    if labels is None:
        column = recipe.labels.column
        if column not in galaxies.table.column_names:
            raise HoagError(
                f"labels.column = {column!r} is no column of the galaxies' table; it has "
                + ", ".join(galaxies.table.column_names[:20])
            )
        values = zip(galaxies.ids, galaxies.table.column(column).to_pylist(), strict=True)
        labels = {name: value for name, value in values if value is not None}
    elif isinstance(labels, str | Path):
        labels = read_table(labels)
    ids, numbers, names = encode_labels(labels)
    if len(names) < 2:
        raise HoagError(f"all labels are {names[0]!r}; the direct arm needs two classes or more")
    known = dict(zip(ids, numbers, strict=True))
    found = np.array([known.get(name, -1) for name in galaxies.ids], np.int64)
    if (found < 0).any():
        say(f"{int((found < 0).sum()):,} galaxies without a class are left out")
    if (found < 0).all():
        raise HoagError("no id of the labels is the id of a galaxy; join them by the same ids")
    return found, list(names)
