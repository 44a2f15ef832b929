"""``hoag probe``: tables of vectors and labels in, a label-efficiency curve out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from hoag.catalogue import read_table, require_columns
from hoag.console import say
from hoag.embedding import read_embeddings
from hoag.errors import HoagError
from hoag.files import write_json, written_whole
from hoag.labels import encode_labels
from hoag.probing import Curve, combine, final_score, label_efficiency
from hoag.provenance import full_stamp
from hoag.splits import groups_of_table, half_names

SIZES = (25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000)


def probe_files(
    embeddings: Sequence[str | Path],
    labels: str | Path,
    *,
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
        Files of ids and vectors, each an arm named by its file; the first names the galaxies.
    labels
        File of ids and classes; its column ``group``, or ``ra`` and ``dec``, decides halves if it
        has them, so that one object never lies in both.
    label, key
        Columns of LABELS.
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
    known, tested = _labels(labels, key, label, tables, halves)
    chosen = list(sizes) if sizes else _sizes(known, folds, balance)
    curves = []
    for name, table in tables.items():
        if final:
            curve = final_score(table, known, tested, chosen, subsets, seed, final=True, name=name)
        else:
            curve = label_efficiency(
                table, known, chosen, folds, subsets, seed,
                balance=balance, repeats=repeats, name=name,
            )  # fmt: skip
        curves.append(curve)
    curve = combine(curves)
    if out is not None:
        _write(Path(out), curve, seed, final)
    return text_of(curve)


def _labels(
    path: str | Path, key: str, label: str, tables: dict[str, pa.Table], halves: bool
) -> tuple[dict[str, object], dict[str, object]]:
    """Labels of the open and of the closed galaxies, of those that every table has."""
    table = read_table(path, text=(key,))
    require_columns(table.column_names, [key, label], str(path))
    values = dict(zip(table[key].to_pylist(), table[label].to_pylist(), strict=True))
    if len(values) < table.num_rows:
        raise HoagError(f"{path}: column '{key}' holds an id twice; keep one label for each")
    embedded = set.intersection(*(set(t["id_str"].to_pylist()) for t in tables.values()))
    usable = {name: v for name, v in values.items() if v is not None and name in embedded}
    if not usable:
        raise HoagError(
            f"{path}: none of its {len(values):,} ids has a vector; join by the same ids"
        )
    if len(usable) < len(values):
        say(f"{len(values) - len(usable):,} of {len(values):,} rows have no label or no vector")
    if not halves:
        return usable, {}
    renamed = table.rename_columns(["id_str" if n == key else n for n in table.column_names])
    half = dict(zip(table[key].to_pylist(), half_names(groups_of_table(renamed)), strict=True))
    parts = [{n: v for n, v in usable.items() if half[n] == name} for name in ("train", "test")]
    say(f"{len(parts[0]):,} labels are open, {len(parts[1]):,} kept for --final")
    return parts[0], parts[1]


def _sizes(labels: dict[str, object], folds: int, balance: bool) -> list[int | str]:
    """Numbers of labels that there are galaxies for, and all of them."""
    _, numbers, _ = encode_labels(labels)
    counts = np.bincount(numbers)
    usable = int(counts.min() * len(counts)) if balance else len(numbers)
    most = usable * (folds - 1) // folds - len(counts)
    return [*(n for n in SIZES if 2 * len(counts) <= n < 0.8 * most), "all"]


def _write(out: Path, curve: Curve, seed: int, final: bool) -> None:
    from pyarrow import csv

    from hoag.figures import label_efficiency_figure, save_figure

    out.mkdir(parents=True, exist_ok=True)
    rows = curve.table.to_pylist()
    with written_whole(out / "curve.csv") as temporary:
        csv.write_csv(curve.table, temporary)
    write_json(
        out / "curve.json", {"stamp": full_stamp(seed=seed), "final": final, **curve.to_dict()}
    )
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
