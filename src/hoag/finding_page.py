"""The page of `hoag find`: the top of the ranking, what to expect of it, what to label next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from hoag.active_labels import WANTS
from hoag.embedding import ID
from hoag.figure_style import FAINT, FALSE, TRUE, new_figure, styled
from hoag.pages import chart, render

if TYPE_CHECKING:
    from hoag.found import Aim, Found

_TOP, _PER_CLASS = 64, 24  # pictures of the ranking's head; of each of several classes
_KEEPS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000, 1_000_000)


def finding_page(found: Found) -> str:
    """Write the page of a result as HTML."""
    tops = _tops(found)
    suggested = found.suggestions.to_pylist()
    shown = [row[ID] for _, rows in tops for row in rows] + [row[ID] for row in suggested]
    images = found.images(list(dict.fromkeys(shown)))
    labels = found.about["classes"]
    return render(
        "finding.html.j2",
        title=_title(found),
        about=found.about,
        headlines=[aim.headline() for aim in found.aims],
        labels=", ".join(f"{count:,} {name}" for name, count in labels.items()),
        tops=[(name, [_tile(row, labels) for row in rows]) for name, rows in tops],
        sections=[_section(aim, number) for number, aim in enumerate(found.aims)],
        suggested=suggested,
        want=WANTS[found.about["want"]],
        images=images,
        percent=_percent,
    )


def _title(found: Found) -> str:
    column = found.about["column"]
    what = f"“{column}”" if column != "label" else "what was labelled"
    return f"Looking for {what} in {found.about['galaxies']:,} galaxies"


def _tops(found: Found) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows of the table to show: the head, or the head of each class."""
    names = ["rank", ID, "label", *(n for n in ("class", "probability", "value")
                                    if n in found.table.column_names)]  # fmt: skip
    head = found.table.select(names)
    if "class" not in names:
        title = "Highest values" if "value" in names else "Ranked highest"
        return [(title, head.slice(0, _TOP).to_pylist())]
    import pyarrow.compute as pc

    return [
        (f"Ranked highest: {aim.name}",
         head.filter(pc.equal(head["class"], aim.name)).slice(0, _PER_CLASS).to_pylist())
        for aim in found.aims
    ]  # fmt: skip


def _tile(row: dict[str, Any], labels: dict[str, int]) -> dict[str, Any]:
    value = row.get("probability", row.get("value"))
    kind = note = ""
    if row["label"] is not None:
        wanted = row.get("class", "yes")
        if labels:
            kind = "yes" if row["label"] == wanted else "no"
            note = f"{'✓' if kind == 'yes' else '✗'} {row['label']}"
        else:
            kind, note = "yes", f"given {row['label']:.3g}"
    return {"id": row[ID], "rank": row["rank"], "value": f"{value:.2f}", "note": note, "kind": kind}


def _section(aim: Aim, number: int) -> dict[str, Any]:
    figure = expected_figure(aim) if aim.expected is not None else agreement_figure(aim)
    learning = learning_figure(aim) if len(aim.learning.sizes) > 1 else None
    return {
        "name": aim.name,
        "aim": aim,
        "figure": chart(figure, f"expected-{number}"),
        "learning": None if learning is None else chart(learning, f"learning-{number}"),
        "more": aim.learning.sentence(),
        "rows": _few_rows(aim),
        "numbers": aim.expected is None,
        "pure": [(p, aim.keep_for(p)) for p in (0.95, 0.9, 0.8, 0.5)] if aim.expected else [],
    }


def _few_rows(aim: Aim) -> list[dict[str, float]]:
    """The cuts nearest round numbers, for the table of the page."""
    rows = aim.rows()
    if not rows:
        return []
    keeps = np.array([row["keep"] for row in rows])
    wanted = [keep for keep in _KEEPS if keep <= aim.galaxies]
    places = sorted({int(np.abs(np.log(keeps / keep)).argmin()) for keep in wanted})
    return [rows[place] for place in places]


def _percent(value: float) -> str:
    """Write a share: digits enough, and no false 0 or 100."""
    shown = 100 * value
    if shown in (0, 100) or 10 <= shown <= 99:
        return f"{shown:.0f}"
    return f"{shown:.1f}" if shown > 99 else f"{shown:.2g}"


def expected_figure(aim: Aim) -> Figure:
    """Draw purity and completeness against how many are kept, with 90 % bands."""
    assert aim.expected is not None
    with styled():
        figure = new_figure(8.6, 3.5, layout="constrained")
        axes = figure.subplots(1, 2, width_ratios=[1.7, 1])
        for values, name, colour, line in (
            (aim.expected.purity, "purity", TRUE, "-"),
            (aim.expected.completeness, "completeness", FALSE, "--"),
        ):
            mean, low, high = 100 * values.T
            axes[0].fill_between(aim.expected.cuts, low, high, color=colour, alpha=0.15, lw=0)
            axes[0].plot(aim.expected.cuts, mean, line, color=colour, lw=2, label=name)
        axes[0].axhline(100 * aim.prior, color=FAINT, lw=1, linestyle=(0, (1, 2)))
        axes[0].annotate(
            "prior", (0, 100 * aim.prior), xycoords=("axes fraction", "data"), xytext=(4, 3),
            textcoords="offset points", color=FAINT, fontsize=8.5,
        )  # fmt: skip
        axes[0].set_xscale("log")
        axes[0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes[0].set_ylim(0, 102)
        axes[0].set_xlabel("Galaxies kept, from the top")
        axes[0].set_ylabel("%")
        axes[0].legend(frameon=False, loc="best")
        axes[0].set_title("What to expect")
        _labelled(axes[1], aim)
    return figure


def _labelled(ax: Axes, aim: Aim) -> None:
    """Draw the held-out probabilities of the labelled, yes above no."""
    generator = np.random.default_rng(0)
    for place, (mask, name, colour, marker) in enumerate(
        ((~aim.truth, "labelled otherwise", FALSE, "x"),
         (aim.truth, f"labelled {aim.name}", TRUE, "o"))
    ):  # fmt: skip
        values = aim.labelled[mask]
        jitter = place + generator.uniform(-0.28, 0.28, len(values))
        ax.plot(values, jitter, marker, color=colour, markersize=4.5, alpha=0.7, clip_on=False)
        ax.annotate(
            f"{name} ({len(values):,})", (0.0, place + 0.36), xycoords=("axes fraction", "data"),
            fontsize=9, color=colour,
        )  # fmt: skip
    ax.set_xlim(0, 1)
    ax.set_ylim(-0.5, 1.65)
    ax.set_yticks([])
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("Probability, held out")
    ax.set_title(f"The labelled: AUC {aim.auc:.2f}")


def agreement_figure(aim: Aim) -> Figure:
    """Draw held-out numbers against those given."""
    with styled():
        figure = new_figure(4.6, 4.2, layout="constrained")
        ax = figure.subplots()
        ends = [min(aim.truth.min(), aim.labelled.min()), max(aim.truth.max(), aim.labelled.max())]
        ax.plot(ends, ends, color=FAINT, lw=1)
        for sign in (-1, 1):
            shifted = [end + sign * aim.scatter["half_width"] for end in ends]
            ax.plot(ends, shifted, color=FAINT, lw=1, linestyle=(0, (3, 2)))
        ax.plot(aim.truth, aim.labelled, "o", color=TRUE, markersize=4, alpha=0.6)
        ax.set_xlabel(f"{aim.name}, given")
        ax.set_ylabel(f"{aim.name}, held out")
        ax.set_title(f"R² {aim.scatter['r2']:.2f}, rms {aim.scatter['rms']:.3g}")
    return figure


def learning_figure(aim: Aim) -> Figure:
    """Draw the measure against the number of labels, measured and continued."""
    learning = aim.learning
    with styled():
        figure = new_figure(6.4, 3.0, layout="constrained")
        ax = figure.subplots()
        mean, low, high = learning.values.T
        ax.fill_between(learning.sizes, low, high, color=TRUE, alpha=0.15, lw=0)
        ax.plot(learning.sizes, mean, "o-", color=TRUE, lw=2, ms=5, label="measured, held out")
        if len(learning.ahead):
            guess, lowest, highest = learning.guesses.T
            ax.vlines(learning.ahead, lowest, highest, color=FALSE, alpha=0.6, lw=1.6)
            ax.plot(
                [learning.sizes[-1], *learning.ahead], [mean[-1], *guess], "s--", color=FALSE,
                lw=1.5, ms=5, label="continued",
            )  # fmt: skip
        ticks = [*learning.sizes, *learning.ahead]
        ax.set_xscale("log")
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("Number of labels")
        ax.set_ylabel(learning.measure)
        ax.legend(frameon=False, loc="best")
    return figure
