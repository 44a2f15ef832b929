"""What degrading real galaxies did to a model's answers, as figures, pictures and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.figure_style import FAINT, FALSE, TRUE, new_figure, styled
from hoag.thumbnails import jpeg_uris

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SELDOM = 0.05  # mean probability to be asked, below which a question is in the table alone


def shift_figure(questions: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the mean expected fraction of each answer before and after, question by question.

    Parameters
    ----------
    questions
        As `hoag.view_changes.question_shifts` gives them; those seldom asked are left out.
    """
    asked = [each for each in questions if each["asked"] >= _SELDOM] or list(questions)
    names, before, after, breaks = [], [], [], []
    for each in asked:
        for number, answer in enumerate(each["answers"]):
            short = each["question"].rpartition("-")[0]
            names.append(f"{short}: {answer['name']}" if number == 0 else answer["name"])
            before.append(answer["before"])
            after.append(answer["before"] + answer["shift"])
        breaks.append(len(names) - 0.5)
    rows = np.arange(len(names))
    with styled():
        figure = new_figure(7.2, 0.9 + 0.21 * len(names), layout="constrained")
        axes = figure.add_subplot()
        for row, one, two in zip(rows, before, after, strict=True):
            axes.plot([one, two], [row, row], color=TRUE if two > one else FALSE, lw=2.2, zorder=2)
        axes.scatter(before, rows, s=24, facecolors="none", edgecolors=FAINT, zorder=3)
        colours = [TRUE if two > one else FALSE for one, two in zip(before, after, strict=True)]
        axes.scatter(after, rows, s=24, c=colours, zorder=4)
        axes.hlines(breaks[:-1], 0, 1, color=FAINT, lw=0.4)
        axes.set_yticks(rows, names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("mean expected vote fraction: open before, filled after")
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
