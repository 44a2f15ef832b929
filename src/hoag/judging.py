"""``hoag probe``: tables of vectors and labels in, a label-efficiency curve out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hoag.catalogue import read_table, require_columns
from hoag.console import say
from hoag.embedding import read_embeddings, stamp_of
from hoag.errors import HoagError
from hoag.files import write_json, written_whole
from hoag.labels import encode_labels
from hoag.probing import Curve, combine, final_score, label_efficiency
from hoag.provenance import full_stamp
from hoag.roles import read_roles
from hoag.splits import groups_of_table, half_names
from hoag.tasks import load_task

SIZES = (25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000)


@dataclass(frozen=True)
class Labelled:
    """Labels to judge by: those that are open, those kept for the final score, and groups by id."""

    open: dict[str, Any]
    closed: dict[str, Any]
    groups: dict[str, str]


def probe_files(
    embeddings: Sequence[str | Path],
    labels: str | Path,
    *,
    task: str | None = None,
    label: str = "label",
    key: str = "id_str",
    sizes: Sequence[int] | None = None,
    folds: int = 5,
    subsets: int = 20,
    repeats: int = 1,
    balance: bool = False,
    halves: bool = True,
    seed: int = 0,
    out: str | Path | None = None,
    final: bool = False,
) -> str:
    """Judge representations in files by the paper's linear evaluation; gives a table as text.

    Parameters
    ----------
    embeddings
        Files of ids and vectors, each an arm named by its file; NAME@1.parquet and so on are
        further pretraining seeds of NAME.
    labels
        File of ids and classes, or a folder with a dataset.toml, whose halves are then the very
        ones that pretraining on that folder keeps away from.
    task
        Which downstream task of that folder; needed where it has several.
    label, key
        Columns of a file of labels. Its column ``group``, or ``ra`` and ``dec``, decides its halves
        if it has them, so that one object never lies in both.
    sizes, folds, subsets, repeats, balance, seed
        As in `hoag.label_efficiency`.
    halves
        Keep the test half out; all galaxies are used otherwise.
    out
        Folder for curve.csv, curve.png and curve.json.
    final
        Score on the test half instead.

    Raises
    ------
    HoagError
        On files, columns, labels or sizes that do not fit.
    """
    if final and not halves:
        raise HoagError("--final scores the test half, so it does not go with --no-halves")
    tables = {Path(path).stem: read_embeddings(path) for path in embeddings}
    if len(tables) < len(embeddings):
        raise HoagError("two files of embeddings have the same name; rename one, as names are arms")
    if Path(labels).is_dir():
        labelled = _of_folder(Path(labels), task)
    else:
        labelled = _of_file(Path(labels), key, label)
    labelled = _with_vectors(labelled, tables, halves, str(labels))
    chosen = list(sizes) if sizes else _sizes(labelled.open, folds, balance)
    curves = []
    for name, table in tables.items():
        arm = name.split("@")[0]
        if final:
            curve = final_score(
                table, labelled.open, labelled.closed, chosen, subsets, seed, final=True, name=arm
            )
        else:
            curve = label_efficiency(
                table, labelled.open, chosen, folds, subsets, seed, balance=balance,
                repeats=repeats, groups=labelled.groups, name=arm,
            )  # fmt: skip
        curves.append(curve)
    curve = combine(curves)
    if out is not None:
        made = {name: stamp_of(table) for name, table in tables.items()}
        _write(Path(out), curve, made, seed, final)
    return text_of(curve)


def _of_file(path: Path, key: str, label: str) -> Labelled:
    """Read labels from a table, with halves by its own groups."""
    table = read_table(path, text=(key,))
    require_columns(table.column_names, [key, label], str(path))
    ids = table[key].to_pylist()
    if len(set(ids)) < len(ids):
        raise HoagError(f"{path}: column '{key}' holds an id twice; keep one label for each")
    renamed = table.rename_columns(["id_str" if n == key else n for n in table.column_names])
    groups = groups_of_table(renamed).tolist()
    half = half_names(groups)
    rows = list(zip(ids, table[label].to_pylist(), half, strict=True))
    opened, closed = (
        {name: value for name, value, of in rows if of == part and value is not None}
        for part in ("train", "test")
    )
    return Labelled(opened, closed, dict(zip(ids, groups, strict=True)))


def _of_folder(folder: Path, task: str | None) -> Labelled:
    """Read the labels of a downstream task, with halves by the groups of all tables together."""
    roles = read_roles(folder)
    names = [each.name for each in roles.downstream]
    if task is None and len(names) != 1:
        raise HoagError(
            f"{folder}: name one of its downstream tasks with --task: {', '.join(names)}"
        )
    loaded = load_task(roles.task(task or names[0]))
    opened, closed = (
        {name: loaded.classes[number] for name, number in loaded.labels_of(rows).items()}
        for rows in (loaded.open_rows, loaded.closed_rows)
    )
    return Labelled(opened, closed, loaded.groups)


def _with_vectors(
    labelled: Labelled, tables: Mapping[str, pa.Table], halves: bool, where: str
) -> Labelled:
    """Keep the labels that every table has a vector for, and say how many those are."""
    embedded = set.intersection(*(set(table["id_str"].to_pylist()) for table in tables.values()))
    parts = [
        {name: value for name, value in part.items() if name in embedded}
        for part in (labelled.open, labelled.closed)
    ]
    total = len(labelled.open) + len(labelled.closed)
    kept = len(parts[0]) + len(parts[1])
    if total == 0:
        raise HoagError(f"{where}: no galaxy has a label; fill some in")
    if kept == 0:
        one, other = next(iter(labelled.open | labelled.closed)), min(embedded, default="")
        raise HoagError(
            f"{where}: none of the {total:,} labelled ids has a vector; ids look like '{one}' "
            f"there and '{other}' in the embeddings"
        )
    if kept < total:
        say(f"{total - kept:,} of {total:,} labels have no vector in every table")
    if not halves:
        return Labelled(parts[0] | parts[1], {}, labelled.groups)
    say(f"{len(parts[0]):,} labels are open, {len(parts[1]):,} kept for --final")
    return Labelled(parts[0], parts[1], labelled.groups)


def _sizes(labels: dict[str, object], folds: int, balance: bool) -> list[int | str]:
    """Numbers of labels that there are galaxies for, and all of them."""
    _, numbers, _ = encode_labels(labels)
    counts = np.bincount(numbers)
    usable = int(counts.min() * len(counts)) if balance else len(numbers)
    most = usable * (folds - 1) // folds - len(counts)
    return [*(n for n in SIZES if 2 * len(counts) <= n < 0.8 * most), "all"]


def _write(out: Path, curve: Curve, made: Mapping[str, Any], seed: int, final: bool) -> None:
    from pyarrow import csv

    from hoag.figures import label_efficiency_figure, save_figure

    out.mkdir(parents=True, exist_ok=True)
    rows = curve.table.to_pylist()
    with written_whole(out / "curve.csv") as temporary:
        csv.write_csv(curve.table, temporary)
    schemas = {each["schema_hash"] for each in made.values() if each.get("schema_hash")}
    stamp = full_stamp(seed=seed, schema_hash=schemas.pop() if len(schemas) == 1 else None)
    first, *others = curve.arms
    paired = [row for arm in others for row in curve.compare(arm, first).to_pylist()]
    content = {"stamp": stamp, "embeddings": dict(made), "final": final, **curve.to_dict()}
    write_json(out / "curve.json", content | {"paired": paired})
    save_figure(label_efficiency_figure(rows), out / "curve.png")


def text_of(curve: Curve) -> str:
    """Lay out a curve as lines of text: arm, labels, accuracy, balanced accuracy and AUC."""
    lines = [f"{'arm':<24}{'labels':>8}{'accuracy':>24}{'balanced':>10}{'AUC':>8}{'trials':>8}"]
    for row in curve.table.to_pylist():
        middle, low, high = (100 * row[f"accuracy{end}"] for end in ("", "_low", "_high"))
        accuracy = f"{middle:.1f} ({low:.1f}-{high:.1f})"
        lines.append(
            f"{row['arm']:<24}{row['size']:>8,}{accuracy:>24}"
            f"{100 * row['balanced_accuracy']:>10.1f}{row['auc']:>8.3f}{row['trials']:>8}"
        )
    return "\n".join(lines)
