"""Pictures of galaxies with what a model says of them: ranked galleries and vote posteriors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hoag.campaigns import Question
from hoag.errors import HoagError
from hoag.figure_style import FAINT, FALSE, GRID, INK, TRUE, new_figure, styled
from hoag.schema import Schema

Images = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]


def gallery_figure(
    images: Images,
    scores: Sequence[float],
    truths: Sequence[bool] | None = None,
    *,
    title: str | None = None,
    columns: int = 8,
    names: tuple[str, str] = ("ring", "no ring"),
) -> Figure:
    """Draw a grid of galaxies in the order given, each with its score and, if known, the truth.

    Parameters
    ----------
    images
        (h, w, 3) or (3, h, w) uint8 each.
    scores
        Probability of the class sought, in [0, 1].
    truths
        Whether each is of the class: a solid blue frame and a tick, or a broken orange one and a
        cross, which readers of any colour vision can tell apart.
    title
        Above the grid.
    columns
        Galaxies in a row.
    names
        What truths are called in the legend, true first.

    Raises
    ------
    HoagError
        If there are no images, or not one score (and truth) for each.
    """
    if len(images) == 0 or len(scores) != len(images) or len(truths or images) != len(images):
        raise HoagError(
            f"a gallery of {len(images)} images was given {len(scores)} scores; give at least one "
            "image, and a score (and truth) for each"
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    with styled():
        figure = new_figure(columns * 1.12, rows * 1.3 + (0.5 if title else 0.2))
        top = 1 - (0.5 if title else 0.2) / figure.get_figheight()
        grid = figure.subplots(
            rows, columns, squeeze=False,
            gridspec_kw={
                "left": 0.01, "right": 0.99, "top": top, "bottom": 0.005, "wspace": 0.08,
                "hspace": 0.2,
            },
        )  # fmt: skip
        for ax in grid.ravel()[len(images) :]:
            ax.remove()
        for number, image in enumerate(images):
            ax = grid.ravel()[number]
            show_image(ax, image)
            truth = None if truths is None else bool(truths[number])
            _caption(ax, float(scores[number]), truth)
        if title:
            figure.text(0.01, 1 - 0.08 / figure.get_figheight(), title, va="top", weight="bold")
        if truths is not None and title:
            figure.text(
                0.99, 1 - 0.08 / figure.get_figheight(), f"✓ {names[0]}   ✗ {names[1]}",
                va="top", ha="right", color=FAINT, fontsize=9,
            )  # fmt: skip
    return figure


def show_image(ax: Axes, image: NDArray[np.uint8], largest: int = 128) -> None:
    """Show one galaxy, (h, w, 3) or (3, h, w) uint8, without axes, shrunk to `largest` pixels."""
    pixels = np.asarray(image)
    if pixels.shape[0] == 3 and pixels.shape[-1] != 3:
        pixels = pixels.transpose(1, 2, 0)
    if max(pixels.shape) > largest:
        from PIL import Image

        shrunk = Image.fromarray(pixels)
        shrunk.thumbnail((largest, largest), Image.Resampling.LANCZOS)
        pixels = np.asarray(shrunk)
    ax.imshow(pixels, interpolation="none", aspect="equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[:].set_visible(False)


def _caption(ax: Axes, score: float, truth: bool | None) -> None:
    if truth is None:
        ax.set_title(f"{score:.2f}", fontsize=8.5, weight="normal", loc="center", pad=2)
        return
    colour = TRUE if truth else FALSE
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color(colour)
    ax.spines[:].set_linewidth(2.2)
    ax.spines[:].set_linestyle("-" if truth else (0, (2, 1.2)))
    mark = "✓" if truth else "✗"
    ax.set_title(
        f"{score:.2f} {mark}", fontsize=8.5, weight="normal", loc="center", pad=3, color=colour
    )


def posterior_figure(
    images: Images,
    votes: NDArray[np.integer],
    concentrations: NDArray[np.floating],
    schema: Schema,
    *,
    ids: Sequence[str] | None = None,
    questions: Sequence[str] | None = None,
    most: int = 3,
) -> Figure:
    """Draw what volunteers said of some galaxies beside what a model predicted, one galaxy a row.

    Each answer's curve is the predicted distribution of the fraction of volunteers who give it (the
    Beta marginal of the Dirichlet, Walmsley+22 Eq. 1), the line below it its central 90 %, and the
    dot the fraction of the volunteers who were asked.

    Parameters
    ----------
    images
        (h, w, 3) or (3, h, w) uint8 each.
    votes
        (galaxies, answers) counts.
    concentrations
        (galaxies, answers) predicted, > 0.
    schema
        Their questions.
    ids
        Shown beneath the images.
    questions
        Names of the questions to show; by default of each galaxy the first `most` that at least
        three volunteers were asked.
    most
        How many questions at most.

    Raises
    ------
    HoagError
        If shapes disagree.
    """
    shape = (len(images), len(schema.columns))
    if np.shape(votes) != shape or np.shape(concentrations) != shape or not len(images):
        raise HoagError(
            f"{len(images)} images came with votes of shape {np.shape(votes)} and concentrations "
            f"of shape {np.shape(concentrations)}; both must be {shape}, one galaxy or more"
        )
    shown = [_questions(row, schema, questions, most) for row in votes]
    with styled():
        figure = new_figure(10.2, 2.35 * len(images), layout="constrained")
        widths = [1.0] + [1.75] * max(1, max(len(chosen) for chosen in shown))
        grid = figure.subplots(len(images), len(widths), squeeze=False, width_ratios=widths)
        for number, chosen in enumerate(shown):
            show_image(grid[number, 0], images[number], largest=192)
            if ids is not None:
                grid[number, 0].set_xlabel(ids[number], fontsize=8, color=FAINT)
            for ax in grid[number, 1 + len(chosen) :]:
                ax.remove()
            for ax, question in zip(grid[number, 1:], chosen, strict=False):
                part = slice(question.start, question.stop)
                _posterior(ax, question, votes[number, part], concentrations[number, part])
    return figure


def _questions(
    votes: NDArray[np.integer], schema: Schema, names: Sequence[str] | None, most: int
) -> list[Question]:
    if names is not None:
        return [schema.question(name) for name in names][:most]
    counts = [(int(votes[q.start : q.stop].sum()), q) for q in schema.questions]
    return [question for count, question in counts if count >= 3][:most]


def _posterior(
    ax: Axes, question: Question, votes: NDArray[np.integer], concentration: NDArray[np.floating]
) -> None:
    from scipy.stats import beta

    fractions = np.linspace(0, 1, 201)
    asked = int(votes.sum())
    total = float(concentration.sum())
    for row in range(len(question.answers)):
        marginal = beta(float(concentration[row]), total - float(concentration[row]))
        density = marginal.pdf(np.clip(fractions, 1e-6, 1 - 1e-6))
        height = 0.78 * density / density.max()
        ax.fill_between(fractions, -row, -row + height, color=TRUE, alpha=0.25, linewidth=0)
        ax.plot(fractions, -row + height, color=TRUE, linewidth=1)
        ax.hlines(-row, *marginal.ppf([0.05, 0.95]), color=TRUE, linewidth=2.5)
        if asked:
            ax.plot(
                votes[row] / asked, -row, "o", color=FALSE, markersize=6, clip_on=False, zorder=4,
                markeredgecolor="white", markeredgewidth=0.8,
            )  # fmt: skip
    _posterior_axes(ax, question, asked)


def _posterior_axes(ax: Axes, question: Question, asked: int) -> None:
    answers = [readable(answer) for answer in question.answers]
    ax.set_yticks([-row for row in range(len(answers))], answers, fontsize=8)
    ax.set_ylim(-len(answers) + 0.65, 1)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0", "½", "1"], fontsize=8)
    ax.tick_params(length=0)
    ax.grid(axis="y", visible=False)
    ax.spines[:].set_visible(False)
    ax.axhline(-len(answers) + 0.65, color=GRID, linewidth=1)
    name = readable(question.short)
    ax.set_title(name, fontsize=9, color=INK)
    ax.set_title(f"N = {asked}", fontsize=8, color=FAINT, loc="right", weight="normal")


def readable(name: str) -> str:
    """Write a column's name for people: "_featured-or-disk" as "featured or disk"."""
    return name.strip("_").replace("-", " ").replace("_", " ")


def legend_text() -> str:
    """One sentence that explains `posterior_figure`, for captions."""
    return (
        "Blue: the model's distribution of the fraction of volunteers who give each answer, with "
        "its central 90 %. Orange dot: the fraction of the N volunteers asked who gave it."
    )


def pick_best(scores: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Rows of the `count` highest scores, highest first, ties by row."""
    return np.argsort(-np.asarray(scores), kind="stable")[:count].astype(np.int64)
