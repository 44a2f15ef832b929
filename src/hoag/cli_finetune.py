"""Verbs that take a model further: ``hoag finetune`` and ``hoag export``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from hoag.cli_options import Device

Many = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]


def finetune(
    model: str, galaxies: str, labels: str, /, *overrides: str, out: Path, label: Many = None,
    kind: Literal["classes", "labels", "numbers", "votes"] | None = None, key: str = "id_str",
    schema: list[str] | None = None,
    train: Literal["head", "last-blocks", "all"] | None = None,
    class_weights: Literal["equal", "balanced"] | None = None, recipe: str = "hoag/finetune",
    which: Literal["best", "last"] = "best", resume: bool = False, device: Device = "auto",
) -> None:  # fmt: skip
    """Go on from a model with your own labels: classes, several labels, numbers or votes.

    The run's folder holds all that prediction needs, and results.json: how good it is on the fifth
    of the labelled galaxies that is never learned from.

    Parameters
    ----------
    model
        A run, an exported model, timm:NAME or hf:USER/NAME.
    galaxies
        A table of galaxies, or a folder of them.
    labels
        Table of ids and labels; the same as GALAXIES if they stand there.
    overrides
        Options of the recipe to change, as key=value: training.steps=500 finetune.decay=0.5
    out
        Folder of the run.
    label
        Column of the labels; several for labels, or numbers, that hold at once. Found by itself
        where only one may be meant.
    kind
        What the labels are, where they could be read in two ways.
    key
        Column of the ids in LABELS.
    schema
        The questions of a campaign, if its votes are the labels: e.g. --schema mine.toml
    train
        What may move: the head alone, the last blocks with it, or all, early layers more slowly.
        The rest is frozen, BatchNorm with it.
    class_weights
        balanced: rare classes weigh as much as common ones.
    recipe
        A preset or a TOML file; `hoag recipe show hoag/finetune` explains every option.
    which
        The best or the last checkpoint of MODEL.
    resume
        Go on from the run's last/ checkpoint.
    device
        Where to train.
    """
    from hoag.console import is_first
    from hoag.files import check_place
    from hoag.finetuning import finetune as run

    check_place(out, galaxies, labels, model, folder=True)
    chosen = {"finetune.train": train, "finetune.class_weights": class_weights}
    options = [f"{name}={value}" for name, value in chosen.items() if value is not None]
    run(
        model, galaxies, None if labels == galaxies else labels, out=out, label=label or (),
        key=key, kind=kind, schema=schema, recipe=recipe, overrides=[*overrides, *options],
        which=which, resume=resume, device=device,
    )  # fmt: skip
    if is_first():
        print(out)


def export(
    model: str, out: Path, /, *, onnx: bool = False, push: str | None = None,
    private: bool = False, name: str | None = None, licence: str | None = None,
    which: Literal["best", "last"] = "best",
) -> None:  # fmt: skip
    """Write a model as a folder for timm, the Hub and hoag, with a model card.

    Anybody opens it with timm.create_model("local-dir:OUT", pretrained=True); its features are
    compared with hoag's before the folder is there.

    Parameters
    ----------
    model
        A run, an exported model, timm:NAME or hf:USER/NAME.
    out
        The folder to make.
    onnx
        Write model.onnx too, heads with it, compared with onnxruntime.
    push
        Upload to the Hub as USER/NAME.
    private
        Whether only you may see it there.
    name
        Title of the model card.
    licence
        Of the weights, as the Hub writes it, e.g. cc-by-4.0. It is yours to choose.
    which
        The best or the last checkpoint of a run.
    """
    from hoag.exporting import export as write

    print(
        write(
            model, out, which=which, onnx=onnx, name=name, licence=licence, push=push,
            private=private,
        )
    )  # fmt: skip
