"""The plots of docs/real-galaxies.md that no verb of hoag draws; colours are Okabe and Ito's."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hoag.figure_style import FAINT, FALSE, TRUE, new_figure, styled

STYLES = {
    "pretrained": ("pretrained", TRUE, "-", "o"),
    "untrained": ("random weights", FAINT, "--", "v"),
    "negatives": ("pretrained, five non-rings too", FALSE, ":", "s"),
    "finetuned": ("finetuned", TRUE, "-", "o"),
    "probe": ("linear probe", "#009e73", "-.", "^"),
    "scratch": ("from random weights", FALSE, "--", "s"),
}
Floats = NDArray[np.float64]


def agreement(expected: Floats, low: Floats, high: Floats, true: Floats) -> Figure:
    """Expected fractions with their 90 % intervals against the volunteers'."""
    with styled():
        figure = new_figure(5.0, 4.2, layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=":")
        axes.errorbar(
            true, expected, yerr=np.stack([expected - low, high - expected]), fmt="o", ms=3.5,
            color=TRUE, elinewidth=0.8, alpha=0.6,
        )  # fmt: skip
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.set_xlabel("fraction of volunteers")
        axes.set_ylabel("expected fraction, 90 % interval")
        axes.set_title(f"Featured or disk: {len(true):,} held-out galaxies")
    return figure


def found(told: dict[str, Any]) -> Figure:
    """Claims of one ranking of `hoag find` with the truth of 20 over them, and all their AUCs."""
    with styled():
        figure = new_figure(8.0, 3.4, layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=[1.15, 1.15, 1])
        keeps = np.array(told["keeps"])
        for axes, name in ((left, "purity"), (middle, "completeness")):
            claims = [
                100 * np.array([row[f"{name}{end}"] for row in told["claimed"]])
                for end in ("", "_low", "_high")
            ]
            for draw, true in enumerate(told["true"]):
                axes.plot(
                    keeps, 100 * np.array(true[name]), color=FAINT, lw=0.7, alpha=0.45,
                    label="truth, other draws" if draw == 1 else None,
                )  # fmt: skip
            axes.fill_between(
                keeps, *claims[1:], color=TRUE, alpha=0.2, lw=0, label="claimed, 90 %"
            )
            axes.plot(keeps, claims[0], color=TRUE, lw=1.6, label="claimed, mean")
            axes.plot(keeps, 100 * np.array(told["true"][0][name]), "--", color=FALSE, lw=1.8,
                      label="truth, same draw")  # fmt: skip
            axes.set_ylim(0, 103)
            axes.set_xlim(keeps[0], keeps[-1])
            axes.set_xlabel("galaxies kept, from the top")
            axes.set_title(f"{name.capitalize()} (%)")
        middle.legend(frameon=False, fontsize=8, loc="lower right")
        share = 100 * told["rings"] / told["galaxies"]
        left.axhline(share, color=FAINT, lw=1, ls=":")
        left.annotate("share of rings", (keeps[-1], share), ha="right", va="top", fontsize=8,
                      xytext=(-2, -3), textcoords="offset points", color=FAINT)  # fmt: skip
        _aucs(right, told["models"])
    return figure


def _aucs(axes: Axes, models: dict[str, Any]) -> None:
    generator = np.random.default_rng(0)
    for row, (name, model) in enumerate(models.items()):
        label, colour, _, marker = STYLES[name]
        height = -row + generator.uniform(-0.2, 0.2, len(model["aucs"]))
        axes.plot(model["aucs"], height, marker, color=colour, ms=4, alpha=0.6)
        axes.plot([model["auc"]] * 2, [-row - 0.3, -row + 0.3], color=colour, lw=2)
        axes.annotate(label, (0.02, -row + 0.36), xycoords=("axes fraction", "data"), fontsize=9,
                      color=colour)  # fmt: skip
    axes.set_ylim(-len(models) + 0.5, 0.65)
    axes.set_yticks([])
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("AUC of the unlabelled")
    axes.set_title("20 draws of 40 labels")


def searched(told: dict[str, Any]) -> Figure:
    """Precision among the first k, mean of the draws, and the middle 90 % of the first model's."""
    with styled():
        figure = new_figure(7.2, 3.4, layout="constrained")
        axes = figure.add_subplot()
        for name, curve in told["curves"].items():
            label, colour, line, _ = STYLES[name]
            k = np.arange(1, len(curve["mean"]) + 1)
            axes.plot(k, 100 * np.array(curve["mean"]), line, color=colour, lw=1.8, label=label)
            if name == "pretrained":
                low, high = (100 * np.array(curve[end]) for end in ("low", "high"))
                axes.fill_between(
                    k,
                    low,
                    high,
                    color=colour,
                    alpha=0.15,
                    lw=0,
                    label=f"middle 90 % of {told['draws']} draws",
                )
        axes.axhline(100 * told["chance"], color=FAINT, lw=1, ls=":")
        axes.annotate("chance", (100, 100 * told["chance"]), ha="right", va="top", fontsize=8.5,
                      xytext=(0, -3), textcoords="offset points", color=FAINT)  # fmt: skip
        axes.set_xlim(1, 100)
        axes.set_ylim(0, 103)
        axes.set_xlabel("galaxies found, the nearest first")
        axes.set_ylabel("rings among them (%)")
        axes.legend(frameon=False, fontsize=8.5, ncols=2, loc="lower center")
    return figure


def classes(told: dict[str, Any]) -> Figure:
    """Accuracy against the number of labels, with 95 % binomial intervals."""
    with styled():
        figure = new_figure(6.4, 3.4, layout="constrained")
        axes = figure.add_subplot()
        for name, curve in told["curves"].items():
            label, colour, line, marker = STYLES[name]
            labels, accuracy, error = (
                np.array([point[what] for point in curve])
                for what in ("labels", "accuracy", "error")
            )
            axes.errorbar(
                labels, 100 * accuracy, yerr=196 * error, fmt=line + marker, color=colour, lw=1.8,
                ms=5, elinewidth=1.2, label=label,
            )  # fmt: skip
        axes.axhline(100 * told["largest_class"], color=FAINT, lw=1, ls=":")
        axes.annotate("largest class", (labels[0], 100 * told["largest_class"]), va="bottom",
                      fontsize=8.5, color=FAINT)  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(labels, [f"{n:,}" for n in labels])
        axes.minorticks_off()
        axes.set_xlabel("labels")
        axes.set_ylabel(f"accuracy (%), {told['tested']:,} held-out")
        axes.legend(frameon=False, loc=(0.6, 0.2))
    return figure
