"""A campaign's decision tree, drawn with box lines for the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hoag.campaigns import Campaign, Question

if TYPE_CHECKING:
    from hoag.schema import Schema


def draw_tree(schema: "Schema", campaign: str | None = None) -> str:
    """Draw the decision trees of a schema, or of one of its campaigns, for the terminal.

    Questions end in "?", answers hang below them, and a question hangs below the answer after
    which it is asked. One that has several parents is drawn once, with their names below it.

    Parameters
    ----------
    schema
        The schema.
    campaign
        A campaign (column suffix), or None for all.

    Returns
    -------
    str
        Lines without a line break at the end.

    Raises
    ------
    HoagError
        If the schema has no such campaign.
    """
    shown = schema if campaign is None else schema.select(campaign)
    about = {one.name: one for one in shown.about}
    return "\n\n".join(
        _drawn_campaign(
            about.get(name, Campaign(name)), [q for q in shown.questions if q.campaign == name]
        )
        for name in shown.campaigns
    )


def _drawn_campaign(campaign: Campaign, questions: Sequence[Question]) -> str:
    answers = sum(len(question.answers) for question in questions)
    lines = [
        " · ".join(filter(None, (campaign.name, campaign.title, campaign.survey))),
        f"{len(questions)} questions, {answers} answers, columns like {questions[0].columns[0]}",
        "",
    ]
    for question in questions:
        if len(question.asked_after) != 1:
            lines += _question_lines(question, questions, stem="")
    return "\n".join(lines)


def _question_lines(question: Question, questions: Sequence[Question], stem: str) -> list[str]:
    below = {
        column: [child for child in questions if child.asked_after == (column,)]
        for column in question.columns
    }
    # What continues below a question: its own stem with the corner turned into a wall or a gap.
    wall = stem.replace("├─ ", "│  ").replace("╰─ ", "   ")
    note = [f"{wall}   {text}" for text in _parents(question, questions)]
    if not any(below.values()):
        plain = " · ".join(answer.removeprefix("_") for answer in question.answers)
        return [f"{stem}{question.short}?  {plain}", *note]
    lines = [f"{stem}{question.short}?", *note]
    for n, (answer, children) in enumerate(zip(question.answers, below.values(), strict=True)):
        last = n == len(question.answers) - 1
        lines.append(f"{wall}{'╰─ ' if last else '├─ '}{answer.removeprefix('_')}")
        inner = wall + ("   " if last else "│  ")
        for m, child in enumerate(children):
            corner = "╰─ " if m == len(children) - 1 else "├─ "
            lines += _question_lines(child, questions, inner + corner)
    return lines


def _parents(question: Question, questions: Sequence[Question]) -> list[str]:
    if len(question.asked_after) < 2:
        return []
    owners = {column: asker for asker in questions for column in asker.columns}
    names, before = [], None
    for column in question.asked_after:
        asker = owners[column]
        answer = column.removeprefix(asker.name)
        names.append(answer if asker is before else asker.short + answer)
        before = asker
    return [f"after {' or '.join(names)}"]
