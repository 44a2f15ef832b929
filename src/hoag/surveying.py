"""``hoag surveys``: the cross-survey page, from held-out galaxies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hoag.calibration import groups_of, make_pairs, reliability, summary
from hoag.catalogue import require_columns
from hoag.cross_survey import mix_of_neighbours, probe_surveys, through_other_telescopes
from hoag.degradation import through_worse_telescopes
from hoag.embedding import vectors
from hoag.errors import HoagError
from hoag.files import write_json
from hoag.galaxies import Galaxies
from hoag.models import Model
from hoag.pages import chart, render, write_page
from hoag.prediction_choices import own_campaigns
from hoag.provenance import full_stamp
from hoag.simulator.redraw import is_simulated
from hoag.simulator.surveys import load_surveys
from hoag.telescopes import known_telescopes

TEMPLATE = "surveys.html.j2"


def compare_surveys(
    model: Model,
    galaxies: Galaxies,
    out: str | Path | None = None,
    *,
    column: str = "survey",
    neighbours: int = 10,
    redrawn: int = 200,
    telescope: str | None = None,
    degrade_to: Sequence[str] = (),
    telescopes: str | Path | None = None,
    field: float | str | None = None,
    degraded: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """See what a model makes of the telescope, on the test split of galaxies of several surveys.

    Parameters
    ----------
    model
        A model with a vote head; its temperatures, if any, are applied.
    galaxies
        Of two surveys or more; of one where they are degraded.
    out
        Folder for surveys.html and surveys.json; None writes neither.
    column
        Says which survey each galaxy is from.
    neighbours
        How many nearest neighbours are looked at.
    redrawn
        Simulated galaxies of each survey that are drawn again through the others; 0: none.
    telescope
        Survey of the galaxies of which `column` says none.
    degrade_to
        Telescopes through which the galaxies, real or not, are seen again; see
        `hoag.degradation.through_worse_telescopes`.
    telescopes
        File that describes more of them; see `hoag.telescopes.known_telescopes`.
    field
        Side of the pictures on the sky, arcsec, or the column that says it.
    degraded
        Most galaxies of a survey that are degraded.
    seed
        Seed of the noise.

    Returns
    -------
    dict
        What surveys.json holds: ``probe`` and ``neighbours`` (None with one survey),
        ``calibration`` by survey (None without votes), ``telescopes`` (None without simulated
        galaxies), and ``degraded``, a list.

    Raises
    ------
    HoagError
        If there is no such column, only one survey to compare, or a telescope does not fit.
    """
    known = known_telescopes(telescopes)
    test, told = _surveyed(galaxies.split("test"), column, telescope)
    several = len(set(told)) > 1
    if not several and not (degrade_to and told):
        raise HoagError(
            f"column '{column}' names {len(set(told))} survey(s) in the test split; comparing "
            "needs two or more"
        )
    again: list[dict[str, Any]] = []
    if degrade_to:
        again = through_worse_telescopes(
            model, test, told, degrade_to, known, field=field, most=degraded,
            neighbours=neighbours, seed=seed,
        )  # fmt: skip
    pictures = [each.pop("pictures") for each in again]
    represented = vectors(model.embed(test)) if several else np.empty((0, 0), np.float32)
    results = {
        "stamp": full_stamp(schema_hash=model.schema.hash),
        "model": repr(model),
        "data": {"hash": galaxies.hash, "galaxies": len(test)},
        "probe": probe_surveys(represented, told, test.group_hashes) if several else None,
        "neighbours": mix_of_neighbours(represented, told, k=neighbours) if several else None,
        "calibration": _calibration(model, test, told, column) if test.labelled.any() else None,
        "telescopes": _telescopes(model, test, told, redrawn) if redrawn else None,
        "degraded": again,
    }
    if out is not None:
        out = Path(out)
        write_json(out / "surveys.json", results)
        write_surveys_page(results, out / "surveys.html", pictures)
    return results


def _surveyed(galaxies: Galaxies, column: str, telescope: str | None) -> tuple[Galaxies, list[str]]:
    """Galaxies whose survey is known, and the survey of each."""
    if telescope is None or column in galaxies.columns:
        require_columns(galaxies.columns, [column], "the galaxies")
        told = [str(n or telescope or "") for n in galaxies.select([column])[column].to_pylist()]
    else:
        told = [telescope] * len(galaxies)
    return galaxies.where(np.array(told, str) != ""), [name for name in told if name]


def _calibration(
    model: Model, galaxies: Galaxies, surveys: Sequence[str], column: str
) -> list[dict[str, Any]]:
    pairs = make_pairs(galaxies.votes, model.predict(galaxies), galaxies.keys, model.schema)
    return [
        {"name": name, "all": summary(own), "reliability": reliability(own)}
        for cut, name, chosen in groups_of(pairs, {column: surveys})
        if cut == column and chosen.any()
        for own in [pairs.where(chosen)]
    ]


def _telescopes(
    model: Model, galaxies: Galaxies, surveys: Sequence[str], most: int
) -> dict[str, Any] | None:
    known = load_surveys()
    labelled = galaxies.labelled
    rows = [
        row for row, (name, survey) in enumerate(zip(galaxies.ids, surveys, strict=True))
        if labelled[row] and survey in known and is_simulated(name)
    ]  # fmt: skip
    if not rows:
        return None
    campaigns = own_campaigns(galaxies)
    return through_other_telescopes(
        model, [galaxies.ids[row] for row in rows], [surveys[row] for row in rows],
        [str(campaigns[row]) for row in rows], list(known), most=most,
    )  # fmt: skip


def write_surveys_page(
    results: Mapping[str, Any],
    path: str | Path,
    pictures: Sequence[Sequence[Mapping[str, Any]]] = (),
) -> Path:
    """Write the page of what `compare_surveys` found, with pictures of the degraded if given."""
    from hoag.calibration_figures import pit_figure, reliability_figure
    from hoag.degradation_page import pictures_of_pairs, rows_of_questions, shift_figure
    from hoag.matrix_figure import matrix_figure

    probe, near, telescopes = (results[name] for name in ("probe", "neighbours", "telescopes"))
    figures = {}
    if probe:
        figures = {
            "probe": matrix_figure(probe["confusion"], probe["surveys"], probe["surveys"],
                                   rows="from", columns="taken for", percent=True),
            "neighbours": matrix_figure(near["shares"], near["surveys"], near["surveys"],
                                        rows="galaxy", columns="neighbours", percent=True),
        }  # fmt: skip
    for number, each in enumerate(results["degraded"]):
        figures[f"shift-{number}"] = shift_figure(each["questions"])
    with_votes = [
        {"name": " as ".join(each["titles"]), **each["calibration"]}
        for each in results["degraded"] if each["calibration"]
    ]  # fmt: skip
    if with_votes:
        figures["pit"] = pit_figure(with_votes, across=3, labels=("as it is", "degraded"))
    if telescopes:
        for name in ("cosine", "rms", "smooth"):
            figures[name] = matrix_figure(
                telescopes[name], telescopes["from"], telescopes["to"],
                rows="galaxies of", columns="seen through", signed=name == "smooth",
            )  # fmt: skip
    if results["calibration"]:
        groups = [
            {"name": row["name"], "after": row["all"], "reliability": row["reliability"]}
            for row in results["calibration"]
        ]
        figures["reliability"] = reliability_figure(groups)
    drawn = {name: chart(figure, name) for name, figure in figures.items()}
    page = render(
        TEMPLATE, results=results, shown=drawn, summary=summary_sentences(results),
        pictures=[pictures_of_pairs(each) for each in pictures],
        questions=[rows_of_questions(each["questions"]) for each in results["degraded"]],
    )  # fmt: skip
    return write_page(path, page)


def summary_sentences(results: Mapping[str, Any]) -> list[str]:
    """Say in plain words what was found."""
    from hoag.degradation_page import degradation_sentences

    probe, near, telescopes = (results[name] for name in ("probe", "neighbours", "telescopes"))
    sentences = []
    if probe:
        own = float(np.mean(np.diag(near["shares"])))
        sentences += [
            f"A linear classifier reads the survey from the representation in "
            f"{100 * probe['accuracy']:.1f} ± {196 * probe['error']:.1f} % of held-out galaxies; "
            f"chance is {100 * probe['chance']:.1f} %.",
            f"{100 * own:.0f} % of the {near['k']} nearest neighbours of a galaxy are of its own "
            f"survey; {100 * near['even']:.0f} % would be, were surveys mixed evenly.",
        ]
    if telescopes:
        rms = np.array(telescopes["rms"])
        same = [rms[n, telescopes["to"].index(name)] for n, name in enumerate(telescopes["from"])]
        others = rms.sum() - np.sum(same)
        sentences.append(
            "Seen through another telescope, expected vote fractions of the same galaxies change "
            f"by {others / (rms.size - len(same)):.3f} (root mean square); another exposure by the "
            f"same one changes them by {np.mean(same):.3f}."
        )
    return sentences + degradation_sentences(results["degraded"])
