"""``hoag finetune``: go on from a model with a user's labels. The loop is `hoag.fitting`'s."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hoag.batches import in_chunks
from hoag.console import is_first, say
from hoag.devices import choose_device
from hoag.embedding import ID
from hoag.encoders import check_size
from hoag.errors import HoagError
from hoag.figure_style import save_figure
from hoag.files import write_json
from hoag.finetuned import Finetuned
from hoag.fitting import fit
from hoag.galaxies import Galaxies
from hoag.galaxies import open as open_galaxies
from hoag.goal_heads import Goal, Kind
from hoag.goal_scores import CONFUSION, confusion_figure, score_goal
from hoag.goals import is_known, read_goal
from hoag.layer_groups import said_of
from hoag.loading import load
from hoag.model_card import credited
from hoag.models import Model
from hoag.objectives import make_objective
from hoag.provenance import stamp
from hoag.recipe import Recipe, load_recipe
from hoag.schema import Schema, load_schema
from hoag.sought import GivenLabels
from hoag.splits import fractions
from hoag.toml_settings import parse_override
from hoag.views import evaluation_view

PRESET = "hoag/finetune"
PASSES, LOOKS = 40, 40  # times through the labels, and validations, unless a recipe says
FEWEST, MOST = 200, 20_000  # steps
MEASURED = 1024  # galaxies on which the head's input is standardised


def finetune(
    model: str | Path | Model,
    galaxies: str | Path | Galaxies,
    labels: GivenLabels | None = None,
    *,
    out: str | Path,
    label: str | Sequence[str] = (),
    key: str = ID,
    kind: Kind | None = None,
    schema: str | Path | Sequence[str | Path] | None = None,
    recipe: str | Path | Recipe = PRESET,
    overrides: Iterable[str] = (),
    which: str = "best",
    resume: bool = False,
    device: str = "auto",
) -> Model:
    """Finetune a model on labelled galaxies, and leave a run in a folder.

    Labelled galaxies are split by a hash of their group, as everywhere: the fixed test split is
    never learned from, and is scored once at the end, in results.json.

    Parameters
    ----------
    model
        What to go on from: a model, or anything `hoag.load` takes.
    galaxies
        Opened, or anything `hoag.open` takes; those without a label are left out.
    labels
        A file or table of ids and labels, or a mapping from id to label; None: the galaxies' own
        table.
    out
        Folder of the run, which `hoag.load` reads.
    label
        Column of the labels, or several for labels (or numbers) that hold at once. If none is
        named: ``label`` if there is one, else the only one that may be meant.
    key
        Column of the ids in `labels`.
    kind
        "classes", "labels", "numbers" or "votes", where labels could be read in two ways.
    schema
        The questions of a campaign, if its votes are the labels, as `hoag.load_schema` takes them.
    recipe
        A preset, a TOML file or a `Recipe`; its section ``finetune`` says what may move.
    overrides
        Options of the recipe to change, as ``key=value``.
    which
        The "best" or the "last" checkpoint of `model`.
    resume
        Go on from the run's last/ checkpoint.
    device
        auto, cpu, cuda or mps.

    Returns
    -------
    Model
        The best checkpoint of the run: a `hoag.tuned.Tuned`, whose `predict` gives a table; of
        votes a `Model` whose `predict` gives concentrations.

    Raises
    ------
    HoagError
        On anything wrong with model, galaxies, labels, recipe or folder, in one sentence.
    """
    start = model if isinstance(model, Model) else load(model, which=which, device="cpu")
    asked = load_schema(schema) if schema is not None else None
    if not isinstance(galaxies, Galaxies):
        # Of another campaign's columns nothing is read but what the labels name.
        galaxies = open_galaxies(galaxies, schema=asked or start.schema)
    columns = [label] if isinstance(label, str) else list(label)
    goal, values = read_goal(labels, galaxies, columns=columns, key=key, kind=kind, schema=asked)
    questions = asked if asked is not None else start.schema
    known = is_known(values, goal.kind)
    if not known.all():
        say(f"{int((~known).sum()):,} of {len(galaxies):,} galaxies have no label; left out")
    galaxies, values = galaxies.where(known), values[known]
    settings = _settings(recipe, list(overrides), start)
    rows = split(galaxies, settings)
    if recipe == PRESET:
        settings = _paced(settings, list(overrides), len(rows["train"]))
    _refuse_lacking(goal, values, rows)
    objective = _objective(settings, questions, goal, start, values[rows["train"]])
    features = _features(objective, galaxies.take(rows["train"]), settings, device)
    objective.head.standardise.measure(features)
    if is_first():
        say(
            f"finetune: {goal.kind} from {len(rows['train']):,} galaxies, stopped by "
            f"{len(rows['val']):,}, {len(rows['test']):,} kept out; "
            f"{said_of(objective.encoder)} weights of the encoder move"
        )
    parts = {name: galaxies.take(index) for name, index in rows.items()}
    fit(
        settings, parts["train"], parts["val"], out, train_labels=values[rows["train"]],
        validation_labels=values[rows["val"]], objective=objective, schema=questions,
        record={"goal": goal.to_dict(), "started_from": _origin(start)}, resume=resume,
        device=device,
    )  # fmt: skip
    tuned = load(out, which="best", device=device)
    if is_first():
        _judge(tuned, goal, parts, {name: values[index] for name, index in rows.items()}, Path(out))
    return tuned


def _settings(recipe: str | Path | Recipe, overrides: list[str], start: Model) -> Recipe:
    """Complete the recipe by encoder and images of the model."""
    settings = load_recipe(recipe, overrides)
    if settings.arm != "finetune":
        raise HoagError(
            f"{recipe}: is a recipe of the arm {settings.arm}, not of finetuning; start from "
            f"`hoag recipe show {PRESET}`"
        )
    given = {parse_override(text)[0] for text in overrides}
    for name in given:
        if name.startswith("encoder"):
            raise HoagError(f"{name}: the encoder is that of the model that is finetuned")
    before = start.recipe
    changes: dict[str, Any] = {
        "encoder.name": before.encoder.name,
        "encoder.options": before.encoder.options,
        "images.mean": list(before.images.mean),
        "images.std": list(before.images.std),
        "finetune.start": start.hash,
    }
    sizes = {"images.size": before.images.size, "images.decode": before.images.decode}
    if not given & set(sizes):
        changes |= sizes
    return settings.changed(changes)


def _paced(recipe: Recipe, overrides: list[str], learned: int) -> Recipe:
    """Let the length of a run follow from the number of galaxies it learns from."""
    given = {parse_override(text)[0] for text in overrides}
    steps = int(np.clip(PASSES * learned / recipe.batch.size, FEWEST, MOST))
    steps = recipe.training.steps if "training.steps" in given else steps
    paced = {"training.steps": steps, "training.validate_every": max(1, steps // LOOKS)}
    return recipe.changed({name: value for name, value in paced.items() if name not in given})


def split(galaxies: Galaxies, recipe: Recipe) -> dict[str, NDArray[np.int64]]:
    """Split labelled galaxies in "train", "val" and "test" by the hash of their group.

    With the shares 0.1 and 0.2 the splits are those of `hoag.splits.split_names`.

    Raises
    ------
    HoagError
        If there is no galaxy to learn from, to stop by or, where a share is wanted, to test on.
    """
    shares = recipe.finetune
    place = fractions(galaxies.group_hashes)
    edges = (1 - shares.test - shares.validation, 1 - shares.test)
    number = np.searchsorted(np.round(edges, 12), place, side="right")
    rows = {name: np.flatnonzero(number == n) for n, name in enumerate(("train", "val", "test"))}
    wanted = {"train": True, "val": True, "test": shares.test > 0}
    for name, share in wanted.items():
        if share and not len(rows[name]):
            raise HoagError(
                f"of {len(galaxies)} labelled galaxies none is in the {name} split (by a hash of "
                "its group); label more, or change finetune.validation or finetune.test"
            )
    return rows


def _refuse_lacking(goal: Goal, values: NDArray[Any], rows: dict[str, NDArray[np.int64]]) -> None:
    """Refuse a class, label or number of which there is nothing to learn from."""
    train = values[rows["train"]]
    if goal.kind == "classes":
        lacking = [n for k, n in enumerate(goal.names) if not (train == k).any()]
    elif goal.kind == "labels":
        lacking = [n for n, c in zip(goal.names, train.T, strict=True) if np.nanmin(c) > 0
                   or np.nanmax(c) < 1 or np.isnan(c).all()]  # fmt: skip
    elif goal.kind == "numbers":
        lacking = [n for n, c in zip(goal.names, train.T, strict=True)
                   if len(np.unique(c[np.isfinite(c)])) < 2]  # fmt: skip
    else:
        lacking = []
    if lacking:
        what = "galaxies of" if goal.kind == "classes" else "different labels of"
        raise HoagError(
            f"among the {len(train)} galaxies that are learned from there are no {what} "
            f"{lacking[0]!r}; label more of them"
        )


def _objective(
    recipe: Recipe, schema: Schema, goal: Goal, start: Model, labels: NDArray[Any]
) -> Finetuned:
    """Make the objective with the encoder's weights of the model that is gone on from."""
    objective = make_objective(recipe, schema, goal=goal)
    assert isinstance(objective, Finetuned)
    objective.encoder.load_state_dict(start.encoder.state_dict())
    check_size(objective.encoder, recipe.images.size, recipe.encoder.name)
    chosen = recipe.finetune
    objective.head.prepare(torch.from_numpy(labels), chosen.class_weights, chosen.weights)
    return objective


@torch.no_grad()
def _features(objective: Finetuned, train: Galaxies, recipe: Recipe, device: str) -> Tensor:
    """Represent the first training galaxies by key; (galaxies, features) float32 on the CPU.

    In training mode, as the head will be fed: running statistics of BatchNorm fit neither random
    weights nor a young run. They are put back.
    """
    chosen = np.sort(np.argsort(train.keys, kind="stable")[:MEASURED])
    there, encoder = choose_device(device), objective.encoder
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.to(there).train()
    # As equal batches as can be, none of a galaxy or two.
    size = -(-len(chosen) // max(1, len(chosen) // 64))
    found = [
        encoder(evaluation_view(batch.images.to(there), recipe.images.size)).float().cpu()
        for batch in in_chunks(train.take(chosen), recipe.images.stored, size=size)
    ]
    encoder.cpu().load_state_dict(before)
    return torch.cat(found)


def _origin(start: Model) -> dict[str, Any]:
    """Say what was gone on from: name and hash, and what of its run a card should tell."""
    told = ("commit", "data", "hoag", "time")
    known = {name: value for name, value in start.record.items() if name in told}
    name, campaigns = start.name, credited(start)
    return {"name": name, "hash": start.hash, "campaigns": campaigns, **known}


def _judge(
    tuned: Model, goal: Goal, parts: dict[str, Galaxies], values: dict[str, NDArray[Any]], out: Path
) -> None:
    """Score the best checkpoint on the galaxies kept out, and write results.json."""
    content: dict[str, Any] = {
        **stamp(seed=tuned.recipe.seed, schema_hash=tuned.schema.hash),
        "goal": goal.to_dict(),
        "galaxies": {name: len(part) for name, part in parts.items()},
    }
    for name in ("val", "test"):
        if len(parts[name]):
            content[name] = score_goal(tuned, goal, parts[name], values[name])
    write_json(out / "results.json", content)
    shown = "test" if "test" in content else "val"
    if goal.kind == "classes":
        save_figure(confusion_figure(goal, content[shown]), out / CONFUSION)
    numbers = {k: v for k, v in content[shown].items() if isinstance(v, float)}
    said = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in numbers.items())
    say(f"{out}: on {len(parts[shown]):,} galaxies of the {shown} split: {said}")
