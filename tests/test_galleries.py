import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy.stats import beta

from hoag.errors import HoagError
from hoag.figure_style import FALSE, TRUE, png_bytes
from hoag.galleries import gallery_figure, pick_best, posterior_figure, readable
from hoag.schema import load_schema
from tests.example_results import example_galaxy


def images(count: int, size: int = 32) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [example_galaxy(rng, bool(n % 2), size) for n in range(count)]


def test_gallery_shows_images_as_they_are_with_score_and_truth() -> None:
    shown = images(5)
    figure = gallery_figure(
        shown, [0.9, 0.8, 0.7, 0.6, 0.5], [True, False, True, True, False], columns=3
    )
    for ax, image in zip(figure.axes, shown, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
    assert figure.axes[0].get_title() == "0.90 ✓"
    assert figure.axes[1].get_title() == "0.80 ✗"
    frames = [to_hex(ax.spines["left"].get_edgecolor()) for ax in figure.axes]
    assert frames == [TRUE, FALSE, TRUE, TRUE, FALSE]
    assert len({str(ax.spines["left"].get_linestyle()) for ax in figure.axes}) == 2
    assert len(png_bytes(figure)) > 1000


def test_images_with_channels_first_and_large_ones_are_shown_too() -> None:
    [large] = images(1, 400)
    figure = gallery_figure([large.transpose(2, 0, 1)], [0.5], title="One")
    assert figure.axes[0].images[0].get_array().shape == (128, 128, 3)
    assert figure.axes[0].get_title() == "0.50"


def test_scores_that_do_not_fit_are_refused() -> None:
    with pytest.raises(HoagError, match="2 images was given 1 scores"):
        gallery_figure(images(2), [0.5])
    with pytest.raises(HoagError, match="gallery of 0 images"):
        gallery_figure([], [])


def test_best_are_picked_from_the_top() -> None:
    assert pick_best(np.array([0.1, 0.9, 0.9, 0.5]), 3).tolist() == [1, 2, 3]


def test_posteriors_show_vote_fractions_and_the_beta_intervals() -> None:
    schema = load_schema("gz-evo")
    question = schema.question("smooth-or-featured-gz2")
    part = slice(question.start, question.stop)
    votes = np.zeros((1, len(schema.columns)), np.int64)
    votes[0, part] = [30, 9, 1]
    concentrations = np.full(votes.shape, 5.0)
    concentrations[0, part] = [20.0, 8.0, 2.0]
    figure = posterior_figure(images(1), votes, concentrations, schema, ids=["007"])
    assert len(figure.axes) == 2
    image, panel = figure.axes
    assert image.get_xlabel() == "007"
    dots = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, [30 / 40, 9 / 40, 1 / 40])
    spans = [c.get_segments()[0][:, 0] for c in panel.collections if hasattr(c, "get_segments")]
    np.testing.assert_allclose(spans[0], beta(20, 10).ppf([0.05, 0.95]))
    assert panel.get_title(loc="left") == "smooth or featured"
    assert panel.get_title(loc="right") == "N = 40"
    assert [text.get_text() for text in panel.get_yticklabels()] == [
        "smooth",
        "featured or disk",
        "artifact",
    ]


def test_galaxies_nobody_was_asked_about_still_get_a_row() -> None:
    schema = load_schema("gz-evo").select(["gz2"])
    votes = np.zeros((2, len(schema.columns)), np.int64)
    figure = posterior_figure(images(2), votes, votes + 2.0, schema)
    assert len(figure.axes) == 2
    chosen = posterior_figure(images(2), votes, votes + 2.0, schema, questions=["bar-gz2"])
    assert len(chosen.axes) == 4
    with pytest.raises(HoagError, match="both must be"):
        posterior_figure(images(2), votes[:1], votes + 2.0, schema)


def test_names_of_columns_are_written_for_people() -> None:
    assert readable("_featured-or-disk") == "featured or disk"
