"""The verbs of representations: embed, and probe, which judges them."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from hoag.cli_options import Device


def embed(
    model: Path, galaxies: str, /, *, out: Path, which: Literal["best", "last"] = "best",
    symmetries: Literal[1, 8] = 1, size: int | None = None, device: Device = "auto",
) -> None:  # fmt: skip
    """Write a table of representations: id_str and a fixed-size list of float32.

    Parameters
    ----------
    model
        Folder of a run or of an exported model, timm:NAME (random weights) or hf:ID.
    galaxies
        A table of galaxies, or a folder of them.
    out
        The Parquet file to write.
    which
        The best or the last checkpoint of the run.
    symmetries
        8 averages over flips and right-angle rotations.
    size
        Side in pixels at which the galaxies are seen, if not that of training; `hoag search` goes
        on with it. Convolutional encoders take any.
    device
        Where to compute.
    """
    from hoag.embedding import check_name, write_embeddings
    from hoag.files import check_place
    from hoag.galaxies import open as open_galaxies
    from hoag.loading import load

    check_name(check_place(out, galaxies, model))
    loaded = load(model, which=which, device=device, size=size)
    table = loaded.embed(open_galaxies(galaxies, schema=loaded.schema), symmetries=symmetries)
    write_embeddings(table, out)
    print(out)


def probe(
    embeddings: Path, labels: Path, /, *more: Path, task: str | None = None,
    label: str = "label", key: str = "id_str",
    sizes: Annotated[list[int] | None, Parameter(consume_multiple=True, negative=())] = None,
    folds: int = 5, subsets: int = 20, repeats: int = 1, balance: bool = False, halves: bool = True,
    seed: int = 0, out: Path | None = None, final: bool = False,
) -> None:  # fmt: skip
    """Judge representations: accuracy of a linear classifier at growing numbers of labels.

    Takes any table of id_str and vectors, so that other people's embeddings join the benchmark.
    Prints the curve; the test half of the labelled galaxies is touched by --final only.

    Parameters
    ----------
    embeddings
        Table of id_str and vectors: one list column, or many numeric ones.
    labels
        Table of ids and classes, or a folder with a dataset.toml, whose halves are then the very
        ones that pretraining on it keeps away from.
    more
        Further tables of vectors, to be compared on the same galaxies and subsets; curve.json has
        each one's difference to EMBEDDINGS, paired.
    task
        Which downstream task of that folder, where it has several.
    label
        Column of the class in LABELS.
    key
        Column of the id in LABELS.
    sizes
        Numbers of labels; chosen from the data if not given.
    folds
        Parts the train half is cut into.
    subsets
        Nested subsets of labels drawn inside the other folds, for up to 3,000 labels.
    repeats
        Fresh cuts into folds.
    balance
        Draw as many of each class as there are of the rarest, afresh for each repeat.
    halves
        Keep the fixed test half of the galaxies (by id) out; --no-halves uses all.
    seed
        Draws folds and subsets.
    out
        Folder for curve.csv, curve.png and curve.json.
    final
        Train on the train half, score on the test half. Look once, at the end.
    """
    from hoag.files import check_place
    from hoag.judging import probe_files

    if out is not None:
        check_place(out, folder=True)
    print(
        probe_files(
            [embeddings, *more], labels, task=task, label=label, key=key, sizes=sizes, folds=folds,
            subsets=subsets,
            repeats=repeats, balance=balance, halves=halves, seed=seed, out=out, final=final,
        )
    )  # fmt: skip
