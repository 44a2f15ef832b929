"""What degrading real galaxies did to a model's answers, as figures, pictures and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.figure_style import FAINT, FALSE, GRID, TRUE, new_figure, styled
from hoag.thumbnails import jpeg_uris

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SELDOM = 0.05  # mean probability to be asked, below which a question is in the table alone


def shift_figure(questions: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the mean shift of each answer's expected fraction, question by question.

    Parameters
    ----------
    questions
        As `hoag.view_changes.question_shifts` gives them; those seldom asked are left out.
    """
    asked = [each for each in questions if each["asked"] >= _SELDOM] or list(questions)
    several = len({each["question"].rpartition("-")[2] for each in asked}) > 1  # campaigns
    names, shifts, breaks = [], [], []
    for each in asked:
        short = each["question"] if several else each["question"].rpartition("-")[0]
        for number, answer in enumerate(each["answers"]):
            named = f"{short}: {answer['name']}" if number == 0 else answer["name"]
            names.append(f"{named}  {answer['before']:.2f}")
            shifts.append(answer["shift"])
        breaks.append(len(names) - 0.5)
    rows = np.arange(len(names))
    with styled():
        figure = new_figure(7.2, 0.9 + 0.21 * len(names), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(rows, shifts, height=0.7, color=[TRUE if s > 0 else FALSE for s in shifts])
        axes.axvline(0, color=FAINT, lw=0.8)
        for place in breaks[:-1]:
            axes.axhline(place, color=GRID, lw=0.8)
        axes.set_yticks(rows, names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        largest = max(0.02, *np.abs(shifts))
        axes.set_xlim(-1.05 * largest, 1.05 * largest)
        axes.set_xlabel("mean shift of the expected vote fraction, whose mean before is given")
        axes.grid(axis="y", visible=False)
        axes.tick_params(length=0, labelsize=8)
        return figure


def pictures_of_pairs(pictures: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Give pictures before and after as data URIs, with their ids."""
    uris = {
        when: jpeg_uris({each["id"]: each[when] for each in pictures}, quality=92)
        for when in ("before", "after")
    }
    return [
        {"id": each["id"], "before": uris["before"][each["id"]], "after": uris["after"][each["id"]]}
        for each in pictures
    ]


def rows_of_questions(questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The table: of each question the answer that shifts most."""
    return [
        {**each, "most": max(each["answers"], key=lambda answer: abs(answer["shift"]))}
        for each in questions
    ]


def degradation_sentences(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say in plain words what was found."""
    sentences = []
    for each in results:
        source, target = each["titles"]
        sentence = (
            f"{each['galaxies']:,} galaxies of {source} seen as by {target}: representations move "
            f"{each['shift']:.2f} of the distance between two galaxies (a mirror image: "
            f"{each['mirrored']:.2f}); {100 * each['kept']:.0f} % of the {each['neighbours']} "
            f"nearest neighbours are kept, {100 * each['chance']:.0f} % would be by chance."
        )
        answers = [
            (abs(answer["shift"]) * question["asked"], question, answer)
            for question in each["questions"]
            for answer in question["answers"]
        ]
        if answers:
            _, question, answer = max(answers, key=lambda one: one[0])
            sentence += (
                f" The largest shift of a vote fraction is {answer['shift']:+.3f}, of "
                f"'{answer['name']}' to {question['question']}."
            )
        if each["calibration"]:
            one, two = (100 * each["calibration"][w]["pit_90"] for w in ("before", "after"))
            sentence += f" {one:.0f} % of PIT values were in the central 90 %, and {two:.0f} % are."
        sentences.append(sentence + _told(each))
    return sentences


def _told(each: Mapping[str, Any]) -> str:
    if not each["told_apart"]:
        return ""
    one, two = (100 * each["told_apart"][when]["accuracy"] for when in ("before", "after"))
    return (
        f" A linear probe tells them from {each['titles'][1]}'s own in {two:.0f} % of cases, "
        f"before degradation in {one:.0f} %; 50 % would be no difference."
    )
